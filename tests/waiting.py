"""Waiting for what happens, however slow the machine is: a limit by the clock only ends a test that would never end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import psutil

LAST = 3600.0
"""Seconds after which something will never happen."""

T = TypeVar("T")


def until(what: str, holds: Callable[[], T], alive: Callable[[], object] = lambda: True) -> T:
    """What `holds` gives once it is true. Fails where it is not and what should make it so is no longer `alive`."""
    end = time.monotonic() + LAST
    while not (found := holds()):
        working = alive() and time.monotonic() < end
        if not working and not (found := holds()):
            raise AssertionError(f"never came: {what}")
        if found:
            break
        time.sleep(0.01)
    return found


def gone(pids: Iterable[int]) -> None:
    """Return when these processes have ended."""

    def running(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    left = list(pids)
    until(f"the end of {left}", lambda: not any(map(running, left)))
