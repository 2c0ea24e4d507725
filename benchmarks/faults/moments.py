"""Moments of a run, each a condition that can be seen on disk, in the output or among the processes; nothing is timed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

from benchmarks.faults.case import Case, Running
from benchmarks.faults.ends import VoidError

LOOK = 0.002
"""Seconds between two looks."""

Moment = Callable[[Case, Running], object]
"""Whether it has come, as something that is true."""


def reach(case: Case, running: Running, moment: Moment, what: str) -> None:
    """Return when a moment has come. Raises VoidError where the command ends before."""
    while not moment(case, running):
        if not running.alive() and not moment(case, running):
            raise VoidError(f"ended before the moment: {what}")
        time.sleep(LOOK)


def hold(case: Case, running: Running, moment: Moment, what: str) -> list[psutil.Process]:
    """Stop the processes of a stage at a moment that is soon over; the processes. Raises VoidError where it does not come."""
    while True:
        reach(case, running, moment, what)
        stage = [process for name in ("rank", "stage") for process in find(running, name)]
        with contextlib.suppress(psutil.Error):
            for process in stage:
                process.suspend()
            while any(process.status() != psutil.STATUS_STOPPED for process in stage):
                time.sleep(LOOK)
            if stage and moment(case, running):
                return stage
        resume(stage)


def resume(stage: list[psutil.Process]) -> None:
    for process in stage:
        with contextlib.suppress(psutil.Error):
            process.resume()


def said(words: str) -> Moment:
    """It has printed this."""
    return lambda case, running: words in running.text


def step(number: int) -> Moment:
    """A training has written the metrics of so many steps."""
    return lambda case, running: case.written() >= number


def there(pattern: str) -> Moment:
    """A file of this pattern is in the store."""
    return lambda case, running: next(case.store.glob(pattern), None)


def answered(number: int) -> Moment:
    """So many more answers are in the logs than in the reference."""

    def reached(case: Case, running: Running) -> bool:
        return len(case.known()) >= number

    return reached


def at_work(victim: str) -> Moment:
    """A process of this kind has started."""
    return lambda case, running: find(running, victim)


def ready(case: Case, running: Running) -> bool:
    """A grading worker has imported what it needs and limited its memory: it takes items now."""
    found = find(running, "worker")
    with contextlib.suppress(psutil.Error, OSError):
        return any(p.rlimit(psutil.RLIMIT_AS)[0] != psutil.RLIM_INFINITY for p in found)
    return False


def find(running: Running, victim: str) -> list[psutil.Process]:
    """The processes of a kind below a command: `stage`, `torchrun`, `rank`, `engine`, `worker`; or the `command` itself."""
    top = psutil.Process(running.process.pid)
    if victim == "command":
        return [top]
    found = []
    with contextlib.suppress(psutil.Error):
        for process in top.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if kind(process.cmdline(), process.ppid() == top.pid) == victim:
                    found.append(process)
    return found


def kind(line: list[str], direct: bool) -> str:
    """What a process of limo is, from its command line and whether the command itself started it."""
    if "limo.torchrun" in line:
        return "torchrun"
    if "limo.grading.worker" in line:
        return "worker"
    if "limo.engine" in line:
        return "engine"
    if any(word.startswith("limo.") for word in line):
        return "stage" if direct else "rank"
    return "other"
