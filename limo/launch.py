"""Stage processes: how each is started (plain, under torchrun on one machine, one torchrun on each of several) and how it ends."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from limo import EndedError, StageError, UserError, hardware, process
from limo.serial import dump, plugins
from limo.stage import END, SUMMARY, TOLD, Stage, last_word

log = logging.getLogger(__name__)

TORCHRUN = ("-m", "limo.torchrun")
AGENT = 'trap "" TERM USR2; exec "$0" -m limo.torchrun --node-rank "$SLURM_PROCID" "$@"'
"""What srun starts on each node; `$0` is the Python. Before SLURM takes a job's nodes away it sends SIGTERM, and submitit's SIGUSR2,
to every step: the run that started this one decides when it ends, and SIGTERM to its srun ends it."""
QUIET = ("--signals-to-handle", "SIGINT", "--shutdown-timeout", "5")
"""torchrun would take SIGTERM back; its ranks, which ignore SIGTERM too, get these seconds before SIGKILL."""


def run(name: str, stage: Stage, folder: Path, python: str) -> None:
    """Run a stage as a process of its own; returns when it succeeded."""
    for left in (TOLD, END):
        (folder / left).unlink(missing_ok=True)
    child = start(stage, folder, python)
    with _queued_again_after():
        try:
            code = child.wait()
        finally:
            _end(name, child, stage, folder)
    again = f"its log is {folder / 'log.txt'}; run the same command again to resume"
    if last := last_word(folder):
        kind = {2: UserError, EndedError.code: EndedError}.get(last.code, StageError)
        raise kind(last.sentence if kind is UserError else f"{name}: {last.sentence}")
    reason = f"signal {-code}" if code < 0 else f"exit code {code}"
    if code in (-signal.SIGTERM, EndedError.code):
        raise EndedError(f"{name} broke off ({reason}: it was told to end); {again}")
    if code:
        raise StageError(f"{name} broke off ({reason}); {again}")
    # done is never an exit code: a result is finished when its products and its last word are there
    if absent := [part for part in (*stage.products, SUMMARY) if not (folder / part).exists()]:
        raise StageError(f"{name} ended without {' and '.join(absent)}; {again}")


def _end(name: str, child: subprocess.Popen[bytes], stage: Stage, folder: Path) -> None:
    """See that a stage's process is gone: one at work is asked to end and has its grace, which another Ctrl-C cuts short."""
    working = child.poll() is None
    try:
        if working and stage.grace:
            with suppress(OSError):
                (folder / END).touch()
            child.wait(stage.grace)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.stop(child)
    if working and (last := last_word(folder)):
        log.info(f"{name}: {last.sentence}")


class _Requeue(BaseException):
    """submitit's signal has come."""


@contextmanager
def _queued_again_after() -> Iterator[None]:
    """Inside, submitit's signal leads out first: its handler has the job queued again, and then SLURM kills what still works."""
    theirs = signal.getsignal(signal.SIGUSR2)
    if not callable(theirs) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(*_: object) -> None:
        raise _Requeue

    signal.signal(signal.SIGUSR2, leave)
    try:
        yield
    except _Requeue:
        theirs(signal.SIGUSR2, None)
        raise EndedError("SLURM ends this job; run the same command again to resume") from None
    finally:
        signal.signal(signal.SIGUSR2, theirs)


def start(stage: Stage, folder: Path, python: str) -> subprocess.Popen[Any]:
    """The process of a stage, of all its ranks on this machine."""
    env = process.environment(python, **plugins(dump(stage)))
    for key, value in stage.environment.items():
        env.setdefault(key, value)
    if stage.ranks > 1:
        env.setdefault("OMP_NUM_THREADS", str(max(1, hardware.cores() // stage.ranks)))
    return process.start(command(stage, folder, python), env)


def command(stage: Stage, folder: Path, python: str) -> list[str]:
    """The command that runs `stage` in `folder` on all machines it asks for; what it needs beyond this machine is logged.

    The first machine has rank 0, which writes what this machine then reads. Inside a SLURM job, srun starts one torchrun
    on each node. Elsewhere torchrun waits here, fifteen minutes at most, until the user has started it on the other machines.
    """
    module = ["-m", stage.module, str(folder)]
    if stage.nodes == 1:
        alone = stage.ranks == 1
        return [python, *(module if alone else [*TORCHRUN, "--standalone", *_ranks(stage), *module])]
    if os.environ.get("SLURM_JOB_NODELIST"):
        srun = ["srun", "--overlap", f"--nodes={stage.nodes}", f"--ntasks={stage.nodes}", "--ntasks-per-node=1"]
        srun += ["--kill-on-bad-exit=1", "--cpu-bind=none", "--export=ALL"]
        return [*srun, "sh", "-c", AGENT, python, *_meet(stage, *_first()), *QUIET, *module]
    host, port = os.environ.get("MASTER_ADDR") or socket.gethostname(), os.environ.get("MASTER_PORT") or "29500"
    agents = [[python, *TORCHRUN, "--node-rank", str(rank), *_meet(stage, host, port), *module] for rank in (0, 1)]
    others = "the other machine" if stage.nodes == 2 else f"each other machine, --node-rank 1 to {stage.nodes - 1},"
    said = [f"{name}={value}" for name, value in plugins(dump(stage)).items()]
    log.info(f"waiting for {others} to run: cd {shlex.quote(str(Path.cwd()))} && {shlex.join([*said, *agents[1]])}")
    return agents[0]


def _ranks(stage: Stage) -> list[str]:
    return ["--nproc-per-node", str(stage.ranks)]


def _meet(stage: Stage, host: str, port: str) -> list[str]:
    return ["--nnodes", str(stage.nodes), *_ranks(stage), "--master-addr", host, "--master-port", port]


def _first() -> tuple[str, str]:
    """Name of the first node of this SLURM job, and a port that other jobs on it are unlikely to take."""
    ask = ["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
    names = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.split()
    return names[0], str(10_000 + int(os.environ["SLURM_JOB_ID"]) % 20_000)
