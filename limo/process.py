"""Child processes that never outlive their parent: own process group, cleaned environment, ended as a group."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

DISTRIBUTED = {
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "ROLE_RANK", "MASTER_ADDR", "MASTER_PORT",
    "DS_ACCELERATOR", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID",
}  # fmt: skip
IDLE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
"""Threads that wait give their core away: on shared cores, spinning slows everybody."""
PR_SET_PDEATHSIG = 1


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without what a launcher left in it: a stray LOCAL_RANK reads as 'already launched'."""
    kept = {k: v for k, v in os.environ.items() if k not in DISTRIBUTED and not k.startswith(("TORCHELASTIC_", "PL_"))}
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
    """End a child and everything it started: SIGTERM to its group, SIGKILL after `grace` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
