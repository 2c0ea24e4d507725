"""Worker processes that can be killed: each item has its own time and memory limit, and a hang or a crash costs one item."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

WORKER = "limo.grading.worker"
SHARE = 16
"""Items for which one more worker is worth its start."""
AHEAD = 8
"""Items a worker holds at most, so that it need not wait for the next."""
PIPE = 48 << 10
"""Bytes on their way to a worker beside the first item: less than a pipe holds, so that a write never blocks on a hang."""
START = 120.0
"""Seconds a worker may take to import what it needs before its first item."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no result."""

    reason: str


@dataclass(slots=True)
class Worker:
    """A child process, the items it owes (with their bytes), and since when it works on the first."""

    process: subprocess.Popen[bytes]
    since: float
    owed: deque[tuple[int, int]] = field(default_factory=deque)
    ready: bool = False
    pending: bytes = b""

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def lines(self) -> tuple[list[bytes], bool]:
        """The whole lines it has written, and whether its output is still open."""
        data = self.output.read()
        *lines, self.pending = (self.pending + (data or b"")).split(b"\n")
        return lines, data != b""

    def give(self, item: int, value: Any) -> bool:
        """One more item, if it can be written at once. The death of the child is seen by the end of its output."""
        line = json.dumps(value).encode() + b"\n"
        if self.owed and (len(self.owed) >= AHEAD or sum(size for _, size in self.owed) + len(line) > PIPE):
            return False
        if not self.owed:
            self.since = time.monotonic()
        self.owed.append((item, len(line)))
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line)
            self.process.stdin.flush()
        return True


def run(
    target: str,
    items: Sequence[Any],
    *,
    jobs: int,
    seconds: float,
    memory: int = 4 << 30,
    progress: Callable[[int], object] | None = None,
    warm: str = "",
) -> list[Any]:
    """The results of the function `target` ("module:name") on JSON values, in order; a `Failure` where there is none.

    seconds: wall time of one item, counted from when its work starts. memory: bytes of address space of a worker.
    progress: called with 1 for each item finished. warm: a function that a worker calls before its first item, off the clock.
    """
    results: list[Any] = [None] * len(items)
    todo = deque(range(len(items)))
    workers: list[Worker] = []
    selector = selectors.DefaultSelector()

    def start() -> None:
        command = [sys.executable, "-m", WORKER, target, str(seconds), str(memory), warm]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        worker = Worker(process, since=time.monotonic())
        os.set_blocking(worker.output.fileno(), False)
        selector.register(worker.output, selectors.EVENT_READ, worker)
        workers.append(worker)

    def stop(worker: Worker) -> None:
        selector.unregister(worker.output)
        workers.remove(worker)
        worker.process.kill()
        worker.process.communicate()

    def finish(worker: Worker, result: Any) -> None:
        results[worker.owed.popleft()[0]] = result
        worker.since = time.monotonic()
        if progress:
            progress(1)

    def lose(worker: Worker, reason: str) -> None:
        """The first item of a worker fails with it; the others go back."""
        stop(worker)
        if not worker.ready:
            raise RuntimeError(
                f"a grading worker could not start ({reason}); run `python -m {WORKER} {target} 5 0` to see why"
            )
        if worker.owed:
            finish(worker, Failure(reason))
        todo.extendleft(item for item, _ in reversed(worker.owed))

    try:
        while todo or any(worker.owed for worker in workers):
            while todo and len(workers) < jobs and len(workers) * SHARE < len(todo) + sum(len(w.owed) for w in workers):
                start()
            for worker in workers:
                while worker.ready and todo and worker.give(todo[0], items[todo[0]]):
                    todo.popleft()
            for key, _ in selector.select(timeout=0.2):
                worker = key.data
                received, open_ = worker.lines()
                for line in received:
                    if worker.ready:
                        value = json.loads(line)
                        finish(worker, value["result"] if "result" in value else Failure(value["failure"]))
                    worker.ready = True
                if not open_:
                    lose(worker, _death(worker.process.wait()))
            for worker in list(workers):
                waited = time.monotonic() - worker.since
                if not worker.ready and waited > START:
                    lose(worker, f"not ready after {START:g} s")
                elif worker.owed and waited > seconds:
                    lose(worker, f"over {seconds:g} s")
    finally:
        for worker in list(workers):
            stop(worker)
        selector.close()
    return results


def _death(code: int) -> str:
    if code == -signal.SIGPROF:
        return "over its processor time"
    return f"worker killed by {signal.Signals(-code).name}" if code < 0 else f"worker ended with code {code}"
