"""Worker processes that can be killed: each item has its own time and memory limit, and a hang or a crash costs one item."""

from __future__ import annotations

import contextlib
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from limo.process import Child, encode

WORKER = "limo.grading.worker"
SHARE = 16
"""Items for which one more worker is worth its start."""
AHEAD = 8
"""Items a worker holds at most, so that it need not wait for the next."""
PIPE = 48 << 10
"""Bytes on their way to a worker beside the first item: less than a pipe holds, so that a write never blocks on a hang."""
BLOCKED = 20
"""Wall seconds for a second of processor time, after which an item that sleeps or waits is given up. A last resort: on a busy machine
an item needs more wall time than its own."""
START = 1800.0
"""Wall seconds after which a worker that has not finished its imports is given up."""
GRACE = 5.0
"""Seconds for a worker whose output ended to be gone, so that its exit code says why."""
TRIES = 2
"""Workers that may die under an item, or before their first one, before it is given up."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no result."""

    reason: str
    late: bool = False
    """Its time was up."""
    final: bool = False
    """It would come to the same again."""
    tried: bool = True
    """False where no worker could start."""


@dataclass(slots=True, eq=False)
class Worker:
    """A child process, the items it owes (with their bytes), and since when it works on the first."""

    child: Child
    since: float = field(default_factory=time.monotonic)
    owed: deque[tuple[int, int]] = field(default_factory=deque)
    ready: bool = False

    def give(self, item: int, line: bytes) -> None:
        if not self.owed:
            self.since = time.monotonic()
        self.owed.append((item, len(line)))
        self.child.send(line)

    def takes(self, line: bytes) -> bool:
        """Whether one more item can be written at once."""
        waiting = sum(size for _, size in self.owed)
        return self.ready and (not self.owed or (len(self.owed) < AHEAD and waiting + len(line) <= PIPE))


def run(
    target: str,
    items: Sequence[object],
    *,
    jobs: int,
    seconds: float,
    memory: int = 4 << 30,
    progress: Callable[[int], object] | None = None,
    warm: str = "",
) -> list[Any]:
    """The results of the function `target` ("module:name") on JSON values, in order; a `Failure` where there is none.

    seconds: processor time of one item; one that sleeps or waits gets BLOCKED times as many by the clock. memory: bytes of
    address space of a worker. progress: called with 1 for each item finished. warm: a function that a worker calls before
    its first item, without limit. An item under which a worker died (of the machine's memory, of a signal) is tried again once.
    """
    command = [sys.executable, "-m", WORKER, target, str(seconds), str(memory), warm]
    pool = _Pool(command, items, jobs, seconds, progress or (lambda done: None))
    with contextlib.closing(pool):
        return pool.results()


class _Pool:
    """The items, who works on which, and what became of them."""

    def __init__(
        self,
        command: Sequence[str],
        items: Sequence[object],
        jobs: int,
        seconds: float,
        progress: Callable[[int], object],
    ) -> None:
        self.command, self.items, self.jobs, self.seconds, self.progress = command, items, jobs, seconds, progress
        self.done: dict[int, object] = {}
        self.todo = deque(range(len(items)))
        self.deaths: Counter[int] = Counter()
        self.workers: list[Worker] = []
        self.unready, self.reason = 0, ""
        """How many workers in a row ended before their first item, and how the last one did."""
        self.selector = selectors.DefaultSelector()

    def results(self) -> list[object]:
        while len(self.done) < len(self.items):
            self.start()
            self.feed()
            for key, _ in self.selector.select(timeout=0.2):
                self.hear(key.data)
            for worker in list(self.workers):
                self.watch(worker)
        return [self.done[i] for i in range(len(self.items))]

    def start(self) -> None:
        """As many workers as the items that are left are worth; where none can start, the items fail."""
        left = len(self.items) - len(self.done)
        while self.todo and len(self.workers) < self.jobs and len(self.workers) * SHARE < left:
            if self.unready >= TRIES * self.jobs:
                break
            try:
                worker = Worker(Child(self.command))
            except OSError as error:
                self.unready += 1
                self.reason = str(error)
                continue
            self.selector.register(worker.child, selectors.EVENT_READ, worker)
            self.workers.append(worker)
        if not self.workers:
            while self.todo:
                self.finish(self.todo.popleft(), Failure(f"no worker could start: {self.reason}", tried=False))

    def feed(self) -> None:
        for worker in self.workers:
            while worker.ready and self.todo:
                line = encode(self.items[self.todo[0]])
                if not worker.takes(line):
                    break
                worker.give(self.todo.popleft(), line)

    def hear(self, worker: Worker) -> None:
        for answer in worker.child.read():
            if worker.ready:
                item, _ = worker.owed.popleft()
                worker.since = time.monotonic()
                self.finish(item, answer["result"] if "result" in answer else Failure(answer["failure"]))
            worker.ready, self.unready = True, 0
        if worker.child.closed:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.child.process.wait(GRACE)
            self.selector.unregister(worker.child)
            self.bury(worker, self.death(worker.child.kill()))

    def watch(self, worker: Worker) -> None:
        """Give up a worker that neither works nor answers."""
        waited = time.monotonic() - worker.since
        limit = self.seconds * BLOCKED if worker.ready else START
        if (worker.owed or not worker.ready) and waited > limit:
            self.selector.unregister(worker.child)
            worker.child.kill()
            self.bury(worker, Failure(f"no result in {limit:g} s", late=True))

    def death(self, code: int) -> Failure:
        """How a worker came to its end."""
        if code == -signal.SIGPROF:
            return Failure(f"over {self.seconds:g} s of processor time", late=True, final=True)
        return Failure(
            f"worker killed by {signal.Signals(-code).name}" if code < 0 else f"worker ended with code {code}"
        )

    def bury(self, worker: Worker, why: Failure) -> None:
        """Its first item is tried again or fails with it, the others go back."""
        self.workers.remove(worker)
        if not worker.ready:
            self.unready, self.reason = self.unready + 1, why.reason
        owed = [item for item, _ in worker.owed]
        self.deaths.update(owed[:1])
        if owed and (why.final or self.deaths[owed[0]] >= TRIES):
            self.finish(owed.pop(0), why)
        self.todo.extendleft(reversed(owed))

    def finish(self, item: int, result: object) -> None:
        self.done[item] = result
        self.progress(1)

    def close(self) -> None:
        for worker in self.workers:
            worker.child.kill()
        self.selector.close()
