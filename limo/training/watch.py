"""A thread beside a training that hears when it is told to end, and ends it where it waits for ever: for a rank that is lost, say."""

from __future__ import annotations

import os
import select
import signal
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from limo import EndedError, StageError
from limo.stage import END, tell

T = TypeVar("T")

TICK = 0.5
"""Seconds between two looks."""
AGAIN = 5.0
"""Seconds after which SIGTERM counts as said twice: SLURM and systemd send it to a process and to the torchrun that passes it on."""
PATIENT = 20
"""Median step times without a step that are too many, where they are longer than `patience`."""


class Watch:
    """Between `begin` and `finish` a training makes steps. Told to end, it ends at the next; before and after, at once.

    It is a thread because a rank that waits for another inside a collective runs no Python: C writes a signal's number into
    a pipe, and the thread reads it.
    """

    def __init__(self, folder: Path, grace: float, patience: float) -> None:
        self.folder = folder
        self.grace = grace
        """Seconds, once told, for the step and its checkpoint."""
        self.patience = patience * 60
        """Seconds without a step that are always borne."""
        self.first = os.environ.get("RANK", "0") == "0"
        self.steps = False
        """Whether it is between `begin` and `finish`."""
        self.kept = 0
        """The optimizer step from which the same command goes on."""
        self.idle = 0.0
        """Seconds since the last sign of progress in which this process ran: what stops all ranks is no fault of one."""
        self.times: deque[float] = deque(maxlen=101)
        self._told: float | None = None

    @property
    def told(self) -> bool:
        """Whether it is to end."""
        return self._told is not None

    def __enter__(self) -> Watch:
        self._ear, self._mouth = os.pipe()
        os.set_blocking(self._mouth, False)
        self._before = signal.getsignal(signal.SIGTERM)
        self._hears = (
            threading.current_thread() is threading.main_thread()
            and self._before is not signal.SIG_IGN  # of launch.AGENT: there the run alone decides
        )
        if self._hears:
            self._wakes = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
            signal.signal(signal.SIGTERM, _nothing)
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._mouth, b"\0")
        self._thread.join()
        if self._hears:
            signal.signal(signal.SIGTERM, self._before)
            signal.set_wakeup_fd(self._wakes)
        os.close(self._ear)
        os.close(self._mouth)

    def begin(self, step: int) -> None:
        """Steps begin, after so many of an earlier process."""
        if self._hears:  # Lightning's own handler would broadcast to ranks that listen to something else
            signal.signal(signal.SIGTERM, _nothing)
        self.kept, self.steps = step, True
        self.beat()

    def beat(self) -> None:
        """There is progress."""
        self.idle = 0.0

    def beating(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, each a sign of progress."""
        for item in items:
            self.beat()
            yield item

    def step(self, seconds: float) -> None:
        """An optimizer step took so long."""
        self.times.append(seconds)
        self.beat()

    def finish(self) -> None:
        """The last step and its checkpoint are made."""
        self.steps = False

    def _look(self) -> None:
        before = time.monotonic()
        while True:
            heard = os.read(self._ear, 64) if select.select([self._ear], [], [], TICK)[0] else b""
            if 0 in heard:
                return
            now = time.monotonic()
            self.idle += min(now - before, 2 * TICK)
            before = now
            if signal.SIGTERM in heard or (self.first and not self.told and (self.folder / END).exists()):
                self._hear(now)
            self._judge(now)

    def _hear(self, now: float) -> None:
        if _bereft():
            os._exit(EndedError.code)
        if self._told is None:
            self._told = now
        elif now - self._told > AGAIN:
            self._leave(EndedError.code, f"told to end twice; {self._goes_on()}")

    def _judge(self, now: float) -> None:
        if self._told is not None:
            if not self.steps:
                self._leave(EndedError.code, f"told to end; {self._goes_on()}")
            if now - self._told > self.grace:
                late = f"told to end, with no end of the step in {self.grace:.0f} s (training.grace)"
                self._leave(EndedError.code, f"{late}; {self._goes_on()}", hung=True)
        elif self.steps and self.idle > (limit := self._limit()):
            step = f", where one takes {statistics.median(self.times):.3g} s" if self.times else ""
            hung = f"no step in {limit / 60:.3g} minutes{step} (training.patience); ended"
            self._leave(StageError.code, f"{hung}; {self._goes_on()}", hung=True)

    def _limit(self) -> float:
        return max(self.patience, PATIENT * statistics.median(self.times) if self.times else 0.0)

    def _goes_on(self) -> str:
        return f"the same command goes on from {f'step {self.kept}' if self.kept else 'the start'}"

    def _leave(self, code: int, sentence: str, hung: bool = False) -> None:
        """End this process whatever its main thread does; where ranks wait for each other, all that torchrun started here."""
        tell(self.folder, code, sentence)
        os.write(2, b"\n")  # behind the bar
        if hung and "TORCHELASTIC_RUN_ID" in os.environ:
            os.kill(os.getppid(), signal.SIGKILL)  # ranks die with their torchrun, a stopped one too
        os._exit(code)


def _bereft() -> bool:
    """Whether torchrun ends this rank because it has lost another one here, which has said why if it could."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return False
    try:
        tasks = list(Path(f"/proc/{os.getppid()}/task").glob("*/children"))
        return sum(len(task.read_text().split()) for task in tasks) < int(os.environ["LOCAL_WORLD_SIZE"])
    except OSError:
        return False


def _nothing(*_: object) -> None:
    """In place of the default action; the number of the signal is in the pipe."""
