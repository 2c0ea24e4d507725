"""Stage processes: how each is started (plain, under torchrun on one machine, one torchrun on each of several) and how it ends."""

from __future__ import annotations

import errno
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from limo import StageError, UserError, hardware, process
from limo.serial import dump, plugins
from limo.stage import SUMMARY, TOLD, Stage

log = logging.getLogger(__name__)

TORCHRUN = ("-m", "torch.distributed.run")
AGENT = 'trap "" TERM USR2; exec "$0" -m torch.distributed.run --node-rank "$SLURM_PROCID" "$@"'
"""What srun starts on each node; `$0` is the Python. Before SLURM takes a job's nodes away it sends SIGTERM, and submitit's SIGUSR2,
to every step: the run that started this one decides when it ends, and SIGTERM to its srun ends it."""
QUIET = ("--signals-to-handle", "SIGINT", "--shutdown-timeout", "5")
"""torchrun would take SIGTERM back; its ranks, which ignore SIGTERM too, get these seconds before SIGKILL."""


def run(name: str, stage: Stage, folder: Path, python: str) -> None:
    """Run a stage as a process of its own; returns when it succeeded."""
    told = folder / TOLD
    told.unlink(missing_ok=True)
    child = start(stage, folder, python)
    # a handler that is there already is submitit's: SLURM sends SIGTERM before the signal on which the job is queued again
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code = child.wait()
    finally:
        process.stop(child)
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if told.is_file():
        full = f"{folder}: {os.strerror(errno.ENOSPC)}; make room and run the same command again"
        raise UserError(told.read_text(encoding="utf-8") or full)
    if code:
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise StageError(
            f"{name} broke off ({reason}); its log is {folder / 'log.txt'}; run the same command again to resume"
        )
    # done is never an exit code: a result is finished when its products and its last word are there
    if absent := [part for part in (*stage.products, SUMMARY) if not (folder / part).exists()]:
        lost = " and ".join(absent)
        raise StageError(
            f"{name} ended without {lost}; its log is {folder / 'log.txt'}; run the same command again to resume"
        )


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
