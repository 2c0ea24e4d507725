"""95 % intervals: of an accuracy over questions like these or over these questions, of a mean over benchmarks, of a ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from limo.records import Interval
from limo.statistics.metrics import Table, rates

CONFIDENCE = 0.95
MIDDLE = (0.1, 0.9)
"""Accuracies for which the t interval is used; nearer 0 or 1 Wilson's covers better (in simulations from 30 to 675
questions)."""


def quantile(freedom: float = math.inf, tail: float = (1 - CONFIDENCE) / 2) -> float:
    """How many standard errors lie above 0 until `tail` is left: Student's t, the normal distribution without a number
    of degrees of freedom."""
    if math.isinf(freedom):
        return -NormalDist().inv_cdf(tail)
    from scipy.special import stdtrit

    return -float(stdtrit(freedom, tail))


def interval(table: Table) -> Interval:
    """For the accuracy on questions like these: whole questions vary, so samples of one question are not counted as
    independent.

    t over questions; for an accuracy below 0.1 or above 0.9, or where all questions agree, Wilson's interval with the
    effective number of independent answers, because t is too short there.
    """
    shares, n, k = rates(table), len(table), len(table[0])
    mean = math.fsum(shares) / n
    error = deviation(shares) / math.sqrt(n) if n > 1 else 0.0
    if error > 0 and MIDDLE[0] <= mean <= MIDDLE[1]:
        return _around(mean, error, quantile(n - 1), "t over questions")
    effective = min(mean * (1 - mean) / error**2, n * k) if error > 0 else float(n)
    low, high = wilson(mean, effective)
    return Interval(low, high, (high - low) / 2 / quantile(), f"Wilson, effective n = {effective:.1f}")


def fixed_interval(table: Table) -> Interval | None:
    """For the accuracy on exactly these questions, were they sampled again: only the samples vary. None with one
    sample a question."""
    shares, n, k = rates(table), len(table), len(table[0])
    if k < 2:
        return None
    error = math.sqrt(math.fsum(p * (1 - p) / (k - 1) for p in shares)) / n
    method = "normal, questions fixed"
    if error == 0:  # each question always right or always wrong: that is not certainty
        smooth = [(p * k + 0.5) / (k + 1) for p in shares]
        error = math.sqrt(math.fsum(p * (1 - p) / k for p in smooth)) / n
        method = "normal, questions fixed, half a right and half a wrong answer added to each"
    return _around(math.fsum(shares) / n, error, quantile(), method)


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share p of n independent answers; n need not be whole."""
    z = quantile()
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def jeffreys(k: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of which k of n tries were right: the middle of Beta(k + ½, n − k + ½)."""
    from scipy.special import betaincinv

    tail = (1 - CONFIDENCE) / 2
    return float(betaincinv(k + 0.5, n - k + 0.5, tail)), float(betaincinv(k + 0.5, n - k + 0.5, 1 - tail))


def at_least(k: int, n: int, chance: float) -> float:
    """How likely k or more of n independent tries are hits, each with this chance (the upper tail of the binomial)."""
    from scipy.special import betainc

    return 1.0 if k <= 0 else float(betainc(k, n - k + 1, chance))


def never_seen(n: int) -> float:
    """The largest share that n cases without a single one leave plausible: the rule of three, 1 where n is small."""
    return min(1.0, -math.log(1 - CONFIDENCE) / n)


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


def ratio(counts: Sequence[tuple[int, int]]) -> Interval | None:
    """Of a share pooled over texts, the sum of their first numbers by the sum of their second: texts vary, what stands
    in one text belongs together. None with a single text.

    Normal, its error from what each text deviates (linearised).
    """
    n, total = len(counts), sum(of for _, of in counts)
    if n < 2:
        return None
    share = sum(part for part, _ in counts) / total
    error = math.sqrt(math.fsum((part - share * of) ** 2 for part, of in counts) * n / (n - 1)) / total
    return _around(share, error, quantile(), "normal over texts")


def deviation(values: Sequence[float]) -> float:
    """Standard deviation of a sample of two or more."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _around(mean: float, error: float, reach: float, method: str) -> Interval:
    return Interval(max(0.0, mean - reach * error), min(1.0, mean + reach * error), error, method)
