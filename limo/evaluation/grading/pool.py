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

WORKER = "limo.evaluation.grading.worker"
BATCH = 16
"""Items sent to a worker at once; results come back one by one, so the clock of an item starts when its predecessor is done."""
START = 120.0
"""Seconds a worker may take to import what it needs before its first item."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an item has no result."""

    reason: str


@dataclass(slots=True)
class Worker:
    """A child process, the items it still owes, and since when it works on the first of them."""

    process: subprocess.Popen[bytes]
    owed: deque[int] = field(default_factory=deque)
    since: float = 0.0
    ready: bool = False
    pending: bytes = b""

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout


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
    progress: called with the number of items finished since its last call. warm: a function that a worker calls before its
    first item, off the clock.
    """
    results: list[Any] = [None] * len(items)
    todo = deque(range(len(items)))
    workers: list[Worker] = []
    selector = selectors.DefaultSelector()

    def start() -> Worker:
        command = [sys.executable, "-m", WORKER, target, str(seconds), str(memory), warm]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        worker = Worker(process, since=time.monotonic())
        os.set_blocking(worker.output.fileno(), False)
        selector.register(worker.output, selectors.EVENT_READ, worker)
        workers.append(worker)
        return worker

    def stop(worker: Worker) -> None:
        selector.unregister(worker.output)
        workers.remove(worker)
        worker.process.kill()
        worker.process.communicate()

    def feed(worker: Worker) -> None:
        share = max(1, min(BATCH, len(todo) // (2 * jobs)))
        worker.owed.extend(todo.popleft() for _ in range(min(share, len(todo))))
        worker.since = time.monotonic()
        text = "".join(json.dumps(items[i]) + "\n" for i in worker.owed)
        assert worker.process.stdin is not None
        # a worker that died meanwhile is found by the end of its output
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.write(text.encode())
            worker.process.stdin.flush()

    def lose(worker: Worker, reason: str) -> None:
        """The first item of a worker failed with it; the others go back."""
        if not worker.ready:
            stop(worker)
            raise RuntimeError(
                f"a grading worker could not start ({reason}); run `python -m {WORKER} {target} 5 0` to see why"
            )
        if worker.owed:
            results[worker.owed.popleft()] = Failure(reason)
            if progress:
                progress(1)
        todo.extendleft(reversed(worker.owed))
        stop(worker)

    try:
        while todo or any(worker.owed for worker in workers):
            while len(workers) < jobs and len(workers) * BATCH < len(todo) + sum(len(w.owed) for w in workers):
                start()
            for worker in workers:
                if worker.ready and not worker.owed and todo:
                    feed(worker)
            for key, _ in selector.select(timeout=0.2):
                worker = key.data
                received, open_ = _receive(worker)
                for message in received:
                    worker.since = time.monotonic()
                    if not worker.ready:
                        worker.ready = True
                        continue
                    value = json.loads(message)
                    results[worker.owed.popleft()] = value["result"] if "result" in value else Failure(value["failure"])
                    if progress:
                        progress(1)
                if not open_:
                    lose(worker, _death(worker.process.wait()))
            now = time.monotonic()
            for worker in list(workers):
                if not worker.ready and now - worker.since > START:
                    lose(worker, f"not ready after {START:g} s")
                elif worker.ready and worker.owed and now - worker.since > seconds:
                    lose(worker, f"over {seconds:g} s")
    finally:
        for worker in list(workers):
            stop(worker)
        selector.close()
    return results


def _receive(worker: Worker) -> tuple[list[bytes], bool]:
    """The whole lines a worker has written, and whether its output is still open."""
    data = worker.output.read()
    *lines, worker.pending = (worker.pending + (data or b"")).split(b"\n")
    return lines, data != b""


def _death(code: int) -> str:
    if code in (-signal.SIGPROF, -signal.SIGXCPU):
        return "over its processor time"
    return f"worker killed by {signal.Signals(-code).name}" if code < 0 else f"worker ended with code {code}"
