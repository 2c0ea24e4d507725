"""Two runs on the same questions: the difference with its interval and exact p-values, corrected over benchmarks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limo.evaluation.metrics import CONFIDENCE

Answers = Mapping[str, Sequence[int]]
"""Question id -> right (1) or wrong (0) per sample."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better the second run is than the first, on the questions of both."""

    n: int
    """Questions that both runs answered."""
    left_out: int
    """Questions that only one of them answered."""
    first: float
    second: float
    difference: float
    low: float
    high: float
    error: float
    method: str
    """How the interval was made."""
    p: float
    """Two-sided: how often a difference as large comes about when the two are equally good."""
    test: str


def compare(first: Answers, second: Answers) -> Difference:
    """The paired difference of accuracy, second minus first. Raises ValueError where no question is in both.

    Interval: t on the differences per question. p: every sign flip of those differences, counted exactly; with one
    sample on both sides that is McNemar's exact test.
    """
    from scipy import stats

    both = [id_ for id_ in first if id_ in second]
    if not both:
        raise ValueError("the two runs have no question in common; compare runs on the same benchmark")
    ours, theirs = ([sum(run[i]) / len(run[i]) for i in both] for run in (first, second))
    gaps = [b - a for a, b in zip(ours, theirs, strict=True)]
    n = len(gaps)
    mean = math.fsum(gaps) / n
    error = math.sqrt(math.fsum((g - mean) ** 2 for g in gaps) / (n - 1) / n) if n > 1 else 0.0
    method = "t over questions"
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * error if n > 1 else 0.0
    if error == 0:  # the runs differ by the same on every question seen; on others they may not
        half = min(1.0, -math.log(1 - CONFIDENCE) / n)
        error, method = half / float(stats.norm.ppf(0.5 + CONFIDENCE / 2)), "rule of three"
    single = all(len(run[i]) == 1 for run in (first, second) for i in both)
    scale = math.lcm(*(len(run[i]) for run in (first, second) for i in both))
    return Difference(
        n=n,
        left_out=len(set(first) ^ set(second)),
        first=math.fsum(ours) / n,
        second=math.fsum(theirs) / n,
        difference=mean,
        low=max(-1.0, mean - half),
        high=min(1.0, mean + half),
        error=error,
        method=method,
        p=sign_flips([round(g * scale) for g in gaps]),
        test="McNemar, exact" if single else "sign flips, exact",
    )


def sign_flips(gaps: Sequence[int]) -> float:
    """P(|sum of the gaps with random signs| >= |their sum|), exactly, by the distribution of the sum over all 2^n sign
    patterns.

    gaps: whole numbers (differences per question times a common denominator); zeros don't matter.
    """
    import numpy as np

    size = sum(map(abs, gaps))
    chances = np.zeros(2 * size + 1)
    chances[size] = 1.0
    for gap in map(abs, gaps):
        if gap:
            shifted = np.zeros_like(chances)
            shifted[gap:] += chances[:-gap]
            shifted[:-gap] += chances[gap:]
            chances = shifted / 2
    extreme = abs(sum(gaps))
    values = np.abs(np.arange(-size, size + 1))
    return float(min(1.0, chances[values >= extreme].sum()))


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, highest = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = highest
    return adjusted


def compare_results(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two `results.json` compared: per benchmark the difference and its p-value after Holm; and the mean over
    benchmarks.

    Gives `{"benchmarks": {name: {…Difference, "p_holm"}}, "mean": {"difference", "interval", "p"} | None}`; benchmarks
    that only one of them has are left out and named in `only`.
    """
    from scipy import stats

    one, two = first["benchmarks"], second["benchmarks"]
    names = [name for name in one if name in two]
    found = {name: compare(one[name]["questions"], two[name]["questions"]) for name in names}
    corrected = holm([d.p for d in found.values()])
    rows = {
        name: {f: getattr(d, f) for f in Difference.__slots__} | {"p_holm": p}
        for (name, d), p in zip(found.items(), corrected, strict=True)
    }
    mean = None
    if found:
        value = math.fsum(d.difference for d in found.values()) / len(found)
        error = math.sqrt(math.fsum(d.error**2 for d in found.values())) / len(found)
        z = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))
        p = float(2 * stats.norm.sf(abs(value) / error)) if error else float(value == 0)
        mean = {"difference": value, "interval": [value - z * error, value + z * error], "p": p}
    return {"benchmarks": rows, "mean": mean, "only": sorted(set(one) ^ set(two))}
