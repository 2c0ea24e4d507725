"""Two sides on the questions that both answered: the difference, its interval and its p value, all of one computation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from limo.statistics.intervals import CONFIDENCE, quantile
from limo.statistics.metrics import Table
from limo.statistics.metrics import rates as shares_of
from limo.statistics.over_runs import (
    Suite,
    chance,
    mean_rates,
    over_benchmarks,
    over_questions,
    over_seeds,
    rates,
    reach,
    shared_questions,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIANCE = 0.04
"""Assumed variance over questions of the true difference between two models; `detectable` needs it before there are
two."""
POWER = 0.8
NOISE = 0.47
"""Share of p(1-p) that is sampling noise where one sample a question cannot tell: a U-shaped solve rate, Beta(0.45,
0.45)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better the second side is than the first, on the questions of both; -1 to 1."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided: how often a difference as large comes about when the two are equally good (or as far apart as was asked).
    Below 0.05 exactly where 0 (or that) is outside the interval."""
    first: float
    """Accuracy of the first side on the shared questions."""
    second: float
    questions: dict[str, int]
    """Benchmark -> questions that every run of both sides answered."""
    exact: bool
    """Whether p counts all sign flips (McNemar's exact test with one sample each), or follows from the interval."""

    @property
    def visible(self) -> float:
        """The smallest true difference that four of five such comparisons would tell from none: from the interval's width."""
        z = quantile()
        return (self.high - self.low) / 2 * (z + NormalDist().inv_cdf(POWER)) / z


def difference(first: Sequence[Suite], second: Sequence[Suite], than: float = 0.0) -> Difference | None:
    """Second minus first: mean over each side's runs (seeds), plain mean over the benchmarks, all of it on the questions
    that every run answered. None where there is none.

    Several runs or benchmarks: `reach` gives the interval, questions and seeds both varying, and p is the level at
    which that interval touches 0. One run each on one benchmark: p counts every sign flip of the differences per
    question, exactly; the interval is t over questions, and ends at 0 where the two would disagree about 0.
    `than` is the difference that p asks about: with another than 0 it follows from the interval.
    """
    shared = shared_questions([*first, *second]) if first and second else {}
    if not shared:
        return None
    values = [[over_benchmarks(rates(run, shared)) for run in side] for side in (first, second)]
    before, after = (math.fsum(side) / len(side) for side in values)
    sides = [mean_rates(side, shared) for side in (first, second)]
    gaps = {name: [b - a for a, b in zip(sides[0][name], sides[1][name], strict=True)] for name in shared}
    parts = [*over_seeds(values[0]), *over_seeds(values[1]), over_questions(list(gaps.values()))]
    value, half = after - before, reach(parts)
    low, high = max(-1.0, value - half), min(1.0, value + half)
    exact = len(first) == len(second) == len(shared) == 1 and not than
    p = _exact(first[0], second[0], shared) if exact else chance(value - than, parts)
    if exact:
        low, high = _agree(low, high, value, p)
    counts = {name: len(questions) for name, questions in shared.items()}
    return Difference(value, low, high, p, before, after, counts, exact)


def _agree(low: float, high: float, value: float, p: float) -> tuple[float, float]:
    """The bound nearer to 0 moved to 0 where interval and exact test disagree about it: the exact test decides."""
    if (p >= 1 - CONFIDENCE) != (low <= 0 <= high):
        return (0.0, high) if value > 0 else (low, 0.0)
    return low, high


def _exact(first: Suite, second: Suite, shared: Mapping[str, Sequence[str]]) -> float:
    ((name, questions),) = shared.items()
    pairs = [(first[name][q], second[name][q]) for q in questions]
    scale = math.lcm(*(len(row) for pair in pairs for row in pair))
    return sign_flips([sum(b) * (scale // len(b)) - sum(a) * (scale // len(a)) for a, b in pairs])


def sign_flips(gaps: Sequence[int]) -> float:
    """P(|sum of the gaps with random signs| >= |their sum|), exactly, by the distribution of the sum over all 2^n sign
    patterns.

    gaps: whole numbers (differences per question times a common denominator); zeros don't matter.
    """
    import numpy as np

    common = math.gcd(*gaps) or 1
    counts = Counter(abs(gap) // common for gap in gaps if gap)
    chances: NDArray[np.floating[Any]] = np.ones(1)
    for size, count in counts.items():
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = _binomial(count)
        chances = np.convolve(chances, steps)
    most = len(chances) // 2
    extreme = abs(sum(gaps)) // common
    return float(min(1.0, chances[: most - extreme + 1].sum() + chances[most + extreme :].sum()))


def _binomial(n: int) -> list[float]:
    """How likely 0 to n of n fair coins show heads."""
    ways, found = 1, []
    for k in range(n + 1):
        found.append(ways / 2**n)
        ways = ways * (n - k) // (k + 1)
    return found


def detectable(table: Table, power: float = POWER) -> float:
    """The smallest true difference to another model that a paired comparison on these questions finds with this power
    at 5 %.

    (z at 5 %, two-sided, + z of the power) * sqrt((VARIANCE + 2 noise / k) / n), noise the mean of p(1-p) within questions
    (Miller 2024, section 5).
    """
    shares, n, k = shares_of(table), len(table), len(table[0])
    mean = math.fsum(shares) / n
    noise = math.fsum(p * (1 - p) for p in shares) / n * k / (k - 1) if k > 1 else NOISE * mean * (1 - mean)
    return (quantile() + NormalDist().inv_cdf(power)) * math.sqrt((VARIANCE + 2 * noise / k) / n)
