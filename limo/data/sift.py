"""What is looked at in every problem of a pool, in as many processes as there are processors; texts stay on disk."""

from __future__ import annotations

import itertools
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from limo.data.contamination import Search, Trace
from limo.data.near import bands, shingles
from limo.data.text import hash_of, tokens
from limo.records import Gold

BATCH = 2000
"""Problems that a process takes at once."""
FEW = 20_000
"""Problems up to which starting processes costs more than they save."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A problem as cleaning needs it."""

    id: str
    question: str
    answer: str
    mark: bytes
    """Equal for questions of equal tokens."""
    bands: bytes
    """What near-duplicates have in common; empty where nobody looks for them."""
    trace: Trace | None
    """What it shares with benchmark questions."""


@dataclass(frozen=True, slots=True)
class Look:
    """What to look for."""

    search: Search | None
    near: bool

    def at(self, lines: list[str]) -> list[Seen]:
        """The problems of some lines."""
        rows = [json.loads(line) for line in lines]
        read = [tokens(row["question"]) for row in rows]
        hashes = bands([shingles(text) for text in read]) if self.near else [b""] * len(rows)
        return [
            Seen(
                row["id"],
                row["question"],
                Gold(**row["gold"]).text,
                hash_of(text),
                found,
                self.search.look(row["question"], row["solutions"]) if self.search else None,
            )
            for row, text, found in zip(rows, read, hashes, strict=True)
        ]


def sift(spool: Path, count: int, look: Look) -> Iterator[Seen]:
    """The problems of a file of so many lines, in order."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with spool.open(encoding="utf-8") as handle:
        batches = iter(lambda: list(itertools.islice(handle, BATCH)), [])
        if count <= FEW or workers == 1:
            yield from itertools.chain.from_iterable(map(look.at, batches))
            return
        with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (look,)) as pool:
            yield from itertools.chain.from_iterable(_in_order(pool, batches, 2 * workers))


def _in_order(pool: ProcessPoolExecutor, batches: Iterable[list[str]], ahead: int) -> Iterator[list[Seen]]:
    """Results in the order of the batches, few of them in memory at once."""
    waiting: deque[Future[list[Seen]]] = deque()
    for batch in batches:
        waiting.append(pool.submit(_at, batch))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


_look: list[Look] = []


def _begin(look: Look) -> None:
    _look[:] = [look]


def _at(lines: list[str]) -> list[Seen]:
    return _look[0].at(lines)
