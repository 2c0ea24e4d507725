"""Engine processes that share the work: each with its own GPUs or cores, fed as it finishes, replaced when it dies."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import selectors
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from limo import UserError, hardware, process
from limo.config import quoted
from limo.engine.protocol import Completion, Engine, Request
from limo.engine.wire import SAID, Asked, Said, Work, line
from limo.models import Model
from limo.placement import Wanted, serving
from limo.serial import dump, plugins

log = logging.getLogger(__name__)

TICK = 0.5
"""Seconds between looks at the processes when none says anything."""
LIVES = 2
"""How many processes may die under a request before it is given up."""
STARTS = 2
"""How often a place may fail to load its weights: a port or memory that another has not yet given back is free the next time."""
LINGER = 5.0
"""Seconds that a process that says no more gets to end by itself, so that its own exit code is known."""
GRACE = 25.0
"""Seconds that a process gets to end when it is no longer needed."""
ERROR = re.compile(r"\b[A-Z]\w*(Error|Exception): .+")


@dataclasses.dataclass(slots=True)
class Replica:
    """One engine process and what it is busy with."""

    place: int
    child: process.Child
    log: Path
    """What it prints."""
    window: int = 0
    """Requests it can use at once; 0 until its weights are loaded."""
    busy: set[int] = dataclasses.field(default_factory=set)
    """Places of the requests it was given and has not answered."""
    tokens: int = 0
    """Generated so far."""

    @property
    def gone(self) -> bool:
        """It will say no more: it closed its end of the line, or it ended and a process it started holds the line open."""
        return self.child.closed or self.child.process.poll() is not None


def serve(
    engine: Engine,
    model: Model,
    requests: Sequence[Request],
    max_length: int,
    logs: Path,
    on_tokens: Callable[[int], None] = lambda tokens: None,
) -> Generator[tuple[int, Completion], None, None]:
    """Place in `requests` and completion, as they finish; the requests are begun in the order given.

    `logs` is the stem of the files for what the processes print; `on_tokens` hears how many more tokens were generated.
    Raises UserError with the end of a process's log where it cannot start twice, or where a request outlived two processes.
    """
    fleet = Fleet(engine, model, requests, max_length, logs)
    try:
        fleet.begin(0)
        while fleet.left:
            ready = fleet.selector.select(TICK)
            for key, _ in ready:
                replica = fleet.replicas[key.data]
                for said in map(SAID.validate_python, replica.child.read()):
                    if more := fleet.generated(replica, said):
                        on_tokens(more)
                    if (answer := fleet.hear(replica, said)) is not None:
                        yield answer
            for replica in [r for r in fleet.replicas.values() if r.child.closed or (not ready and r.gone)]:
                fleet.replace(replica)
            fleet.feed()
    finally:
        fleet.dismiss()


class Fleet:
    """The replicas of an engine, the requests that wait, and under which a process died."""

    def __init__(self, engine: Engine, model: Model, requests: Sequence[Request], max_length: int, logs: Path) -> None:
        self.engine, self.requests, self.logs = engine, requests, logs
        self.shares = Shares(engine, len(requests))
        self.waiting = deque(range(len(requests)))
        self.left = len(requests)
        self.deaths: Counter[int] = Counter()
        self.failed: Counter[int] = Counter()
        self.replicas: dict[int, Replica] = {}
        self.selector = selectors.DefaultSelector()
        self.work = Work(dump(engine), dump(model), max_length, len(requests), [])
        for place in range(self.shares.count):
            self.log(place).unlink(missing_ok=True)

    def log(self, place: int) -> Path:
        return self.logs.with_name(f"{self.logs.name}.{place}.log")

    def begin(self, place: int) -> None:
        """Start a process; it says its window once the weights are loaded."""
        may = plugins([self.work.engine, self.work.model])
        log, environment = self.log(place), process.environment(**self.shares.environment(place), **may)
        with log.open("ab") as sink:
            child = process.Child([sys.executable, "-m", "limo.engine"], environment, stderr=sink)
        self.replicas[place] = Replica(place, child, log)
        self.selector.register(child, selectors.EVENT_READ, place)
        child.send(line(dataclasses.replace(self.work, cores=self.shares.cores(place))))

    def generated(self, replica: Replica, said: Said) -> int:
        """How many tokens more than it last said."""
        before, replica.tokens = replica.tokens, replica.tokens if said.tokens is None else said.tokens
        return replica.tokens - before

    def hear(self, replica: Replica, said: Said) -> tuple[int, Completion] | None:
        """Take in what a process says; an answer, where it is one. Raises UserError where it says what the user can mend."""
        if said.mistake is not None:
            raise UserError(said.mistake)
        if said.window is not None:
            replica.window = said.window
            # the others start when the first is up: it fills the disk cache and compiles for all
            for other in range(self.shares.count):
                if other not in self.replicas:
                    self.begin(other)
        if said.number is None or said.completion is None or said.number not in replica.busy:
            return None
        replica.busy.remove(said.number)
        self.left -= 1
        return said.number, said.completion

    def feed(self) -> None:
        """Requests to whoever has room, the least busy first; near the end nobody takes more than a fair share."""
        fair = max(1, -(-self.left // self.shares.count))
        ready = [r for r in self.replicas.values() if r.window]
        while self.waiting and (free := [r for r in ready if len(r.busy) < min(r.window, fair)]):
            replica = min(free, key=lambda r: len(r.busy))
            number = self.waiting.popleft()
            replica.busy.add(number)
            replica.child.send(line(Asked(number, self.requests[number])))

    def replace(self, replica: Replica) -> None:
        """Put a dead process's requests back and start another in its place, or give up with a UserError."""
        self.selector.unregister(replica.child)
        with contextlib.suppress(subprocess.TimeoutExpired):
            replica.child.process.wait(LINGER)
        code = replica.child.process.poll()
        process.stop(replica.child.process)
        replica.child.kill()
        del self.replicas[replica.place]
        self.deaths.update(replica.busy)
        self.failed[replica.place] += not replica.window
        twice = any(self.deaths[n] >= LIVES for n in replica.busy)
        obituary = _obituary(self.engine, replica, code, twice)
        if twice or self.failed[replica.place] >= STARTS:
            raise UserError(obituary)
        log.info(f"! {obituary}; started once more")
        self.waiting.extendleft(sorted(replica.busy, reverse=True))
        self.begin(replica.place)

    def dismiss(self) -> None:
        """Hang up, which ends a process and what it started; by force where that takes too long."""
        self.selector.close()
        for replica in self.replicas.values():
            replica.child.hang_up()
        for replica in self.replicas.values():
            try:  # what ends well leaves a process that removes its shared memory
                replica.child.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                replica.child.kill()


class Shares:
    """How many replicas there are, and which part of the machine each may use."""

    def __init__(self, engine: Engine, requests: int) -> None:
        self.gpus = hardware.handles()
        placed = serving(hardware.gpus(), Wanted(None, engine.tensor_parallel, engine.replicas))
        self.group = placed.tensor_parallel
        self.count = max(1, min(placed.replicas, requests))

    def environment(self, place: int) -> dict[str, str]:
        """What differs between the replicas."""
        if self.gpus:
            return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus[place * self.group : (place + 1) * self.group])}
        threads = len(self.cores(place)) or hardware.cores()
        asked = os.environ.get("OMP_NUM_THREADS", "")
        threads = min(threads, int(asked)) if asked.isdigit() else threads
        return {"OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}

    def cores(self, place: int) -> list[int]:
        """The processor cores of a replica; empty where it may use all."""
        if self.gpus or self.count == 1 or not hasattr(os, "sched_getaffinity"):
            return []
        every = sorted(os.sched_getaffinity(0))
        return every[place % len(every) :: self.count] or every[place % len(every) :][:1]


def _obituary(engine: Engine, replica: Replica, code: int | None, twice: bool) -> str:
    """Why a process ended: the error that it wrote, or how it was ended where it wrote none."""
    words = last_words(replica.log.read_text(encoding="utf-8", errors="replace"))
    when = (
        "twice under the same request" if twice else "while it answered" if replica.window else "before it could answer"
    )
    if code is not None and code < 0:
        how = f"its process was killed by signal {-code}" + (" (often: out of memory)" if code == -9 else "")
        cause = f"{how} {when}" + (f"; its last words: {words}" if words else "")
    else:
        cause = f"{words or f'exit code {code}'}; its process ended {when}"
    return f"engine={type(engine).__name__.lower()}: {cause}; finished answers are kept; its log is {replica.log}"


def last_words(text: str) -> str:
    """The line of a log that says most about an end: the last error, not vLLM's pointer to one further up."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "%|" not in line]  # no progress bars
    errors = [line for line in lines if ERROR.search(line) and "See root cause above" not in line]
    last = errors[-1] if errors else lines[-1] if lines else ""
    found = ERROR.search(last)
    return quoted(last[found.start() if found else 0 :])[:300]
