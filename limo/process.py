"""Child processes that never outlive their parent: own process group, cleaned environment, ended as a group."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO

DISTRIBUTED = {
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "ROLE_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "DS_ACCELERATOR"),
    *("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"),
}
IDLE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Threads that wait give their core away: on shared cores, spinning slows everybody."""
PR_SET_PDEATHSIG = 1


class Terminated(KeyboardInterrupt):
    """SIGTERM to a run, which ends as at Ctrl-C; exit code 143."""


def terminate(*_: object) -> None:
    """A run's handler of SIGTERM."""
    raise Terminated


def environment(python: str = sys.executable, **extra: str) -> dict[str, str]:
    """This process's environment without what a launcher left in it: a stray LOCAL_RANK reads as 'already launched'.

    Programs beside the interpreter come first, also where its environment was not activated: kernels are built with `ninja`.
    """
    kept = {k: v for k, v in os.environ.items() if k not in DISTRIBUTED and not k.startswith(("TORCHELASTIC_", "PL_"))}
    beside = os.path.dirname(shutil.which(python) or python)  # noqa: PTH120
    kept["PATH"] = os.pathsep.join([beside, kept.get("PATH", os.defpath)])
    return IDLE | kept | extra


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies (Linux), so that no orphan writes into a folder given to another."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prepare() -> None:
    """In a child before its program starts. SIGUSR2, which can reach every process of a SLURM job, is for its first process."""
    die_with_parent()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def start(command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
    """Start a child in a process group of its own; `options` go to Popen."""
    return subprocess.Popen(command, env=env or environment(), start_new_session=True, preexec_fn=_prepare, **options)


def stop(process: subprocess.Popen[Any], grace: float = 5.0) -> None:
    """End a child and everything it started: SIGTERM to its group, SIGKILL after `grace` seconds or another Ctrl-C meanwhile."""
    again: KeyboardInterrupt | None = None
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
        except KeyboardInterrupt as interrupt:
            again = interrupt
    if again:
        raise again


class Child:
    """A child process spoken to in lines of JSON: requests to its standard input, replies from its standard output."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any) -> None:
        inbox, sending = os.pipe()
        receiving, outbox = os.pipe()
        os.set_blocking(receiving, False)
        self._to, self._from = os.fdopen(sending, "wb", buffering=0), os.fdopen(receiving, "rb", buffering=0)
        try:
            self.process = start(command, env, stdin=inbox, stdout=outbox, **options)
        finally:
            os.close(inbox)
            os.close(outbox)
        self._unread = b""
        self.closed = False
        """It will say no more, and everything it said was read."""

    def fileno(self) -> int:
        """What a selector waits on until there is something to `read`."""
        return self._from.fileno()

    def send(self, line: bytes) -> None:
        """One line of `encode`. A child that is gone is noticed by its end of output."""
        rest = memoryview(line)
        with suppress(BrokenPipeError):
            while rest:
                rest = rest[self._to.write(rest) or 0 :]

    def read(self) -> list[Any]:
        """The messages that arrived since; never waits."""
        block = self._from.read(1 << 16)
        self.closed = block == b""
        *lines, self._unread = (self._unread + (block or b"")).split(b"\n")
        return [json.loads(line) for line in lines]

    def hang_up(self) -> None:
        """Close its input, which asks it to end."""
        self._to.close()

    def kill(self) -> int:
        """End it and what it started at once; its exit code, negative for a signal."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._to.close()
        self._from.close()
        return self.process.wait()


def encode(message: Any) -> bytes:
    """A message as the line that goes over a pipe."""
    return json.dumps(message).encode() + b"\n"


def conversation() -> tuple[TextIO, TextIO]:
    """A child's side: its two ends on descriptors of their own, so that what libraries print goes to standard error."""
    inbox, outbox = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return inbox, outbox
