"""Engine processes that share the work: each with its own GPUs or cores, fed as it finishes, replaced when it dies."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import selectors
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from limo import UserError, hardware, process
from limo.engine.protocol import Completion, Engine, Request
from limo.models import Model
from limo.placement import serving
from limo.serial import dump

TICK = 0.5
"""Seconds between looks at the processes when none says anything."""
LIVES = 2
"""How many processes may die under a request before it is given up."""
GRACE = 25.0
"""Seconds that a process gets to end when it is no longer needed."""
ERROR = re.compile(r"\b[A-Z]\w*(Error|Exception): .+")


@dataclasses.dataclass(slots=True)
class Replica:
    """One engine process and what it is busy with."""

    place: int
    process: subprocess.Popen[bytes]
    window: int = 0
    """Requests it can use at once; 0 until its weights are loaded."""
    busy: set[int] = dataclasses.field(default_factory=set)
    unread: bytes = b""
    gone: bool = False
    """Its end of the line is closed and everything it said was read."""
    tokens: int = 0


def serve(
    engine: Engine,
    model: Model,
    requests: Sequence[Request],
    max_length: int,
    logs: Path,
    tell: Callable[[int], None] = lambda tokens: None,
) -> Generator[tuple[int, Completion], None, None]:
    """Place in `requests` and completion, as they finish; the requests are begun in the order given.

    `logs` is the stem of the files for what the processes print; `tell` hears of newly generated tokens. Raises
    UserError with the end of a process's log where it cannot start, or where a request outlived two processes.
    """
    share = Shares(engine, len(requests))
    queue = deque(range(len(requests)))
    deaths: Counter[int] = Counter()
    left = len(requests)
    replicas: dict[int, Replica] = {}
    selector = selectors.DefaultSelector()
    opening = {"engine": dump(engine), "model": dump(model), "max_length": max_length, "requests": len(requests)}

    def log(place: int) -> Path:
        return logs.with_name(f"{logs.name}.{place}.log")

    def begin(place: int) -> None:
        with log(place).open("ab") as sink:
            child = process.start(
                [sys.executable, "-m", "limo.engine"],
                process.environment(**share.environment(place)),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, bufsize=0,
            )  # fmt: skip
        replicas[place] = Replica(place, child)
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        selector.register(child.stdout, selectors.EVENT_READ, place)
        send(child, opening | {"cores": share.cores(place)})

    def feed() -> None:
        """Requests to whoever has room, the least busy first; near the end nobody takes more than a fair share."""
        fair = max(1, -(-left // share.count))
        ready = [r for r in replicas.values() if r.window]
        while queue and (free := [r for r in ready if len(r.busy) < min(r.window, fair)]):
            replica = min(free, key=lambda r: len(r.busy))
            number = queue.popleft()
            replica.busy.add(number)
            send(replica.process, {"number": number, "request": dataclasses.asdict(requests[number])})

    def bury(replica: Replica) -> None:
        """Put a dead process's requests back and start another in its place, or give up."""
        assert replica.process.stdout is not None
        selector.unregister(replica.process.stdout)
        process.stop(replica.process)
        del replicas[replica.place]
        deaths.update(replica.busy)
        if not replica.window or any(deaths[n] >= LIVES for n in replica.busy):
            raise UserError(_obituary(engine, replica, log(replica.place)))
        queue.extendleft(sorted(replica.busy, reverse=True))
        begin(replica.place)

    for place in range(share.count):
        log(place).unlink(missing_ok=True)
    try:
        begin(0)
        while left:
            events = selector.select(TICK)
            for key, _ in events:
                replica = replicas[key.data]
                for message in _read(replica):
                    if "mistake" in message:
                        raise UserError(message["mistake"])
                    if "window" in message:
                        replica.window = message["window"]
                        # the others start when the first is up: it fills the disk cache and compiles for all
                        for other in range(share.count):
                            if other not in replicas:
                                begin(other)
                    if "tokens" in message:
                        tell(message["tokens"] - replica.tokens)
                        replica.tokens = message["tokens"]
                    if (number := message.get("number")) in replica.busy:
                        replica.busy.remove(number)
                        left -= 1
                        yield number, Completion(**message["completion"])
            for replica in [r for r in replicas.values() if r.gone or (not events and r.process.poll() is not None)]:
                bury(replica)
            feed()
    finally:
        selector.close()
        _dismiss([replica.process for replica in replicas.values()])


class Shares:
    """How many replicas there are, and which part of the machine each may use."""

    def __init__(self, engine: Engine, requests: int) -> None:
        self.gpus = hardware.handles()
        placed = serving(hardware.gpus(), None, engine.tensor_parallel, engine.replicas)
        self.group = placed.tensor_parallel
        if self.gpus and (needed := engine.replicas * self.group) > len(self.gpus):
            raise UserError(
                f"engine.replicas={engine.replicas} with tensor_parallel={self.group} needs {needed} GPUs, "
                f"this machine has {len(self.gpus)}; set engine.replicas={len(self.gpus) // self.group} or 0"
            )
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


def _dismiss(children: list[subprocess.Popen[bytes]]) -> None:
    """Hang up, which ends a process and what it started; by force where that takes too long."""
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
    for child in children:
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.stop(child, grace=0)


def send(child: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    """Write a line to a process; one that is gone is noticed by the loop."""
    assert child.stdin is not None
    line = memoryview(json.dumps(message).encode() + b"\n")
    with suppress(BrokenPipeError):
        while line:
            line = line[child.stdin.write(line) :]


def _read(replica: Replica) -> list[dict[str, Any]]:
    """The whole lines that a process has written since."""
    assert replica.process.stdout is not None
    block = replica.process.stdout.read(1 << 20)
    if block == b"":
        replica.gone = True
    *lines, replica.unread = (replica.unread + (block or b"")).split(b"\n")
    return [json.loads(line) for line in lines]


def _obituary(engine: Engine, replica: Replica, log: Path) -> str:
    code = replica.process.returncode
    how = f"was killed by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
    if code == -9:
        how += " (often: out of memory)"
    when = "before it could answer" if not replica.window else "twice under the same request"
    words = last_words(log.read_text(encoding="utf-8", errors="replace"))
    name = type(engine).__name__.lower()
    return (
        f"engine={name}: its process {how} {when}{words and f' ({words})'}; finished answers are kept; its log is {log}"
    )


def last_words(text: str) -> str:
    """The line of a log that says most about an end: the last error, not vLLM's pointer to one further up."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and "%|" not in line]  # no progress bars
    errors = [line for line in lines if ERROR.search(line) and "See root cause above" not in line]
    last = errors[-1] if errors else lines[-1] if lines else ""
    found = ERROR.search(last)
    return last[found.start() if found else 0 :][:300]
