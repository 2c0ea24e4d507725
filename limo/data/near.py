"""Near-duplicates: candidate pairs by MinHash, each confirmed by the exact share of common runs of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from limo.data.text import grams, tokens

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

WIDTH = 3
"""Tokens of a run; a shorter text is one run."""
BANDS, ROWS = 25, 5
"""Of two texts that share 0.8 of their runs 0.01 % are missed, of 0.7 1 %, of 0.5 45 %."""
SMALL = 8
"""Members of a band up to which all pairs are tried; in larger ones each only with the first, so that time stays linear."""


def refuse_near(near: float | None) -> None:
    """Raises ValueError where that is no share from which questions are near duplicates."""
    if near is not None and not 0 < near <= 1:
        raise ValueError(f"near={near} must be a share above 0 and at most 1, or null")


def shingles(text: tuple[str, ...]) -> list[str]:
    """The runs of a text's tokens."""
    return [" ".join(run) for run in grams(text, WIDTH)] or [" ".join(text)]


def bands(texts: Sequence[list[str]]) -> list[bytes]:
    """For each list of runs its BANDS hashes of 8 bytes: two texts with one of them equal are candidates."""
    import numpy
    import rensa

    if not texts:
        return []
    made = rensa.RMinHash.digests_from_token_sets(texts, num_perm=BANDS * ROWS, seed=1)
    rows = numpy.array(made, dtype=numpy.uint64).reshape(len(texts), BANDS, ROWS)
    mixed = numpy.zeros(rows.shape[:2], dtype=numpy.uint64)
    for column in range(ROWS):
        mixed = (mixed ^ rows[:, :, column]) * numpy.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> numpy.uint64(29)
    return [row.tobytes() for row in mixed]


def similar(questions: Sequence[str], hashes: Sequence[bytes], least: float) -> Iterator[tuple[int, int]]:
    """Pairs of numbers of questions that share so much of their runs (Jaccard), each once."""
    import numpy

    table = numpy.frombuffer(b"".join(hashes), dtype=numpy.uint64).reshape(len(hashes), BANDS)
    tried: set[tuple[int, int]] = set()
    for band in range(BANDS):
        for pair in _candidates(table[:, band]):
            if pair not in tried:
                tried.add(pair)
                if jaccard(questions[pair[0]], questions[pair[1]]) >= least:
                    yield pair


def jaccard(one: str, other: str) -> float:
    """Share of the runs of either text that both have."""
    a, b = set(shingles(tokens(one))), set(shingles(tokens(other)))
    return len(a & b) / len(a | b)


def _candidates(column: NDArray[numpy.uint64]) -> Iterator[tuple[int, int]]:
    """Pairs of rows with equal hashes."""
    import numpy

    order = numpy.argsort(column, kind="stable")
    edges = numpy.flatnonzero(numpy.diff(column[order], prepend=column[order[:1]] + numpy.uint64(1)))
    for begin, end in zip(edges, [*edges[1:], len(column)], strict=True):
        if end - begin < 2:
            continue
        group = [int(n) for n in order[begin:end]]
        yield from ((a, b) for i, a in enumerate(group) for b in group[i + 1 :] if end - begin <= SMALL or i == 0)


def groups(pairs: Iterator[tuple[int, int]], count: int) -> list[int]:
    """For each of so many numbers the one that stands for its group: union by pairs."""
    above = list(range(count))

    def top(n: int) -> int:
        while above[n] != n:
            above[n] = n = above[above[n]]
        return n

    for one, other in pairs:
        above[top(one)] = top(other)
    return [top(n) for n in range(count)]
