"""From verdicts to numbers: avg@k, pass@k, maj@k, and whether an answer runs in circles."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Hashable, Sequence

SUBSETS = 2000
"""Up to this many subsets maj@j is computed exactly; beyond, from as many random ones."""

SENTENCE = re.compile(r"(?<=[.!?。！？])(?=\s)")

Table = Sequence[Sequence[int]]
"""Right (1) or wrong (0): one row a question, one column a sample; all rows equally long."""


def average(table: Table) -> float:
    """avg@k: the mean over questions of the share of right samples; the unbiased estimate of pass@1 with the
    smallest variance."""
    return math.fsum(rates(table)) / len(table)


def rates(table: Table) -> list[float]:
    """The share of right samples of each question. Raises ValueError where questions have unequally many samples."""
    if not table or len(lengths := {len(row) for row in table}) != 1 or lengths == {0}:
        raise ValueError(
            f"every question needs the same number of samples, one or more; found {sorted({len(row) for row in table})}"
        )
    return [sum(row) / len(row) for row in table]


def pass_at(table: Table, j: int) -> float:
    """pass@j, unbiased: the mean over questions of 1 - C(k-c, j) / C(k, j) (Chen et al. 2021, section 2.1); j at
    most k."""
    k = len(table[0])
    if not 1 <= j <= k:
        raise ValueError(f"pass@{j} needs {j} samples a question or more; there are {k}")
    return 1 - math.fsum(math.comb(k - sum(row), j) / math.comb(k, j) for row in table) / len(table)


def majority(classes: Sequence[Sequence[Hashable | None]], table: Table, j: int) -> float:
    """maj@j: how often the most frequent of j answers is right, over the subsets of j of the k samples.

    classes: for each question and sample the class of equal answers it belongs to, None where there was no answer: it
    has no vote but stays in the count. Of classes with equally many votes each counts its share. A class is as right
    as its members on average. Exact where there are at most SUBSETS subsets, else from that many drawn with a fixed
    seed.
    """
    k = len(table[0])
    if not 1 <= j <= k:
        raise ValueError(f"maj@{j} needs {j} samples a question or more; there are {k}")
    return math.fsum(_vote(kinds, row, j) for kinds, row in zip(classes, table, strict=True)) / len(table)


def _vote(kinds: Sequence[Hashable | None], row: Sequence[int], j: int) -> float:
    k = len(row)
    count = Counter(kind for kind in kinds if kind is not None)
    worth = {kind: sum(r for c, r in zip(kinds, row, strict=True) if c == kind) / n for kind, n in count.items()}
    if len(set(kinds)) == 1:
        return worth.get(kinds[0], 0.0)
    if math.comb(k, j) <= SUBSETS:
        subsets: Sequence[Sequence[int]] = list(itertools.combinations(range(k), j))
    else:
        rng = random.Random(0)
        subsets = [rng.sample(range(k), j) for _ in range(SUBSETS)]
    total = 0.0
    for subset in subsets:
        votes = Counter(kinds[i] for i in subset if kinds[i] is not None)
        if votes:
            top = max(votes.values())
            winners = [kind for kind, n in votes.items() if n == top]
            total += sum(worth[kind] for kind in winners) / len(winners)
    return total / len(subsets)


def powers(k: int) -> list[int]:
    """At which j pass@j and maj@j are given: powers of two up to k, and k."""
    return sorted({2**i for i in range(k.bit_length()) if 2**i <= k} | {k})


def repeats(text: str, times: int = 4, least: int = 64, window: int = 2000) -> bool:
    """Whether a text ends in a loop: its last `least` characters or more are one block `times` times over or more."""
    tail = text.rstrip()[-window:]
    for period in range(1, len(tail) // times + 1):
        same = 0
        while same + period < len(tail) and tail[-1 - same] == tail[-1 - same - period]:
            same += 1
        if same + period >= max(times * period, least):
            return True
    return False


def without_loops(text: str) -> str:
    """A text without the sentences (or lines that are no sentences) that stand in it already, word for word."""
    seen: set[str] = set()
    kept = []
    for line in text.splitlines(keepends=True):
        fresh = []
        for part in SENTENCE.split(line):
            said = part.strip()
            if said not in seen:
                fresh.append(part)
            seen.update([said] if said else [])
        if not line.strip() or any(part.strip() for part in fresh):
            kept += fresh
    return "".join(kept)


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Rank correlation, ties in the middle, to four digits; None where either is the same everywhere."""
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return round(float(spearmanr(one, other).statistic), 4)
