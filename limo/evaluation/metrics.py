"""From verdicts to numbers: avg@k, pass@k, maj@k, two intervals that are told apart, the smallest difference a
benchmark can show."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Hashable, Sequence

from limo.records import Interval

CONFIDENCE = 0.95
MIDDLE = (0.1, 0.9)
"""Accuracies for which the t interval is used; nearer 0 or 1 Wilson's covers better (in simulations from 30 to 675
questions)."""
SUBSETS = 2000
"""Up to this many subsets maj@j is computed exactly; beyond, from as many random ones."""
SPREAD = 0.04
"""Assumed variance over questions of the true difference between two models; `detectable` needs it before there are
two."""
NOISE = 0.47
"""Share of p(1-p) that is sampling noise where one sample a question cannot tell: a U-shaped solve rate, Beta(0.45,
0.45)."""

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
        draw = random.Random(0)
        subsets = [draw.sample(range(k), j) for _ in range(SUBSETS)]
    total = 0.0
    for subset in subsets:
        votes = Counter(kinds[i] for i in subset if kinds[i] is not None)
        if votes:
            top = max(votes.values())
            winners = [kind for kind, n in votes.items() if n == top]
            total += sum(worth[kind] for kind in winners) / len(winners)
    return total / len(subsets)


def interval(table: Table) -> Interval:
    """For the accuracy on questions like these: whole questions vary, so samples of one question are not counted as
    independent.

    t over questions; for an accuracy below 0.1 or above 0.9, or where all questions agree, Wilson's interval with the
    effective number of independent answers, because t is too short there.
    """
    from scipy import stats

    shares, n, k = rates(table), len(table), len(table[0])
    mean = math.fsum(shares) / n
    error = _deviation(shares) / math.sqrt(n) if n > 1 else 0.0
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) if n > 1 else 0.0
    if error > 0 and MIDDLE[0] <= mean <= MIDDLE[1]:
        return _interval(mean, error, quantile, "t over questions")
    effective = min(mean * (1 - mean) / error**2, n * k) if error > 0 else float(n)
    low, high = wilson(mean, effective)
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    return Interval(low, high, (high - low) / 2 / z, f"Wilson, effective n = {effective:.1f}")


def fixed_interval(table: Table) -> Interval | None:
    """For the accuracy on exactly these questions, were they sampled again: only the samples vary. None with one
    sample a question."""
    from scipy import stats

    shares, n, k = rates(table), len(table), len(table[0])
    if k < 2:
        return None
    error = math.sqrt(math.fsum(p * (1 - p) / (k - 1) for p in shares)) / n
    method = "normal, questions fixed"
    if error == 0:  # each question always right or always wrong: that is not certainty
        smooth = [(p * k + 0.5) / (k + 1) for p in shares]
        error = math.sqrt(math.fsum(p * (1 - p) / k for p in smooth)) / n
        method = "normal, questions fixed, half a right and half a wrong answer added to each"
    return _interval(math.fsum(shares) / n, error, float(stats.norm.ppf(0.5 + CONFIDENCE / 2)), method)


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share p of n independent answers; n need not be whole."""
    from scipy import stats

    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def detectable(table: Table, power: float = 0.8) -> float:
    """The smallest true difference to another model that a paired comparison on these questions finds with this power
    at 5 %.

    (z_0.975 + z_power) * sqrt((SPREAD + 2 noise / k) / n), noise the mean of p(1-p) within questions (Miller 2024,
    section 5).
    """
    from scipy import stats

    shares, n, k = rates(table), len(table), len(table[0])
    mean = math.fsum(shares) / n
    noise = math.fsum(p * (1 - p) for p in shares) / n * k / (k - 1) if k > 1 else NOISE * mean * (1 - mean)
    z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2) + stats.norm.ppf(power))
    return z * math.sqrt((SPREAD + 2 * noise / k) / n)


def mean_of(intervals: Sequence[tuple[float, Interval]]) -> tuple[float, Interval]:
    """The plain mean over benchmarks and its interval, from theirs: independent, and not symmetric near 0 and 1.

    Each bound is as far from the mean as the root of the sum of squared distances of the benchmarks' bounds, divided by
    their number (Zou and Donner 2008).
    """
    n = len(intervals)
    mean = math.fsum(value for value, _ in intervals) / n
    below = math.sqrt(math.fsum((value - i.low) ** 2 for value, i in intervals)) / n
    above = math.sqrt(math.fsum((i.high - value) ** 2 for value, i in intervals)) / n
    error = math.sqrt(math.fsum(i.error**2 for _, i in intervals)) / n
    return mean, Interval(max(0.0, mean - below), min(1.0, mean + above), error, "from the benchmarks' intervals")


def steps(k: int) -> list[int]:
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


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _interval(mean: float, error: float, quantile: float, method: str) -> Interval:
    return Interval(max(0.0, mean - quantile * error), min(1.0, mean + quantile * error), error, method)
