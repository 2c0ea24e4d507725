"""Runs side by side: which belong together (same setting, other seeds), their mean with an interval, what deserves a second look."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from limo.report.runs import Results, Run, Score

MEAN = "mean"
SWEPT = ("selection", "selection.size", "seed", "name", "+experiment", "experiment")
"""Overrides that have a place of their own in the tables."""


@dataclass(frozen=True)
class Point:
    """A mean over seeds with its 95 % interval; 0 to 1."""

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    """The value of each run."""


@dataclass(frozen=True)
class Arm:
    """The runs of one setting and one size: they differ in the seed alone."""

    label: str
    size: int | None
    runs: tuple[Run, ...]

    def point(self, benchmark: str) -> Point | None:
        """The tuned accuracy on a benchmark (or their mean), over the seeds."""
        return combine([run.tuned for run in self.runs if run.tuned], benchmark)


def arms(runs: Sequence[Run]) -> list[Arm]:
    """Runs grouped by setting and size, in the order they first appear; sizes ascend."""
    labels = name(runs)
    groups: dict[tuple[str, int | None], list[Run]] = {}
    for run, label in zip(runs, labels, strict=True):
        groups.setdefault((label, run.size if run.tuned or run.size is not None else None), []).append(run)
    order = list(dict.fromkeys(labels))
    sizes = sorted(groups, key=lambda key: (order.index(key[0]), key[1] or 0))
    return [Arm(label, size, tuple(groups[label, size])) for label, size in sizes]


def name(runs: Sequence[Run]) -> list[str]:
    """What tells each run from the others apart from size and seed: its strategy, and overrides that differ."""
    given = [dict(o.partition("=")[::2] for o in run.overrides) for run in runs]
    keys = [k for k in dict.fromkeys(k for g in given for k in g) if k.lstrip("+~") not in SWEPT and k not in SWEPT]
    told = [k for k in keys if len({g.get(k) for g in given}) > 1]
    several = len({run.name for run in runs}) > 1
    labels = []
    for run, values in zip(runs, given, strict=True):
        parts = [run.name] if several else []
        parts += [run.strategy] if run.strategy else []
        parts += [f"{key.rpartition('.')[2].lstrip('+')}={values[key]}" if values[key] else key for key in told if key in values]
        labels.append(" · ".join(parts) or run.name)
    return labels


def benchmarks(runs: Sequence[Run]) -> list[str]:
    """Names of all benchmarks, in the order of the first run that has each."""
    return list(dict.fromkeys(name for run in runs if run.final for name in run.final.scores))


def bases(runs: Sequence[Run]) -> list[Results]:
    """The evaluations of untuned models, equal ones once (a sweep evaluates its base a single time)."""
    found = {id_of(run.base): run.base for run in runs if run.base}
    return list(found.values())


def id_of(results: Results) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Equal for equal evaluations."""
    return results.model, tuple((name, score.accuracy) for name, score in results.scores.items())


def combine(found: Sequence[Results], benchmark: str) -> Point | None:
    """Mean over runs with a 95 % interval. One run: its own. Several: questions and seeds both vary.

    The variance over questions of the mean over seeds, plus the variance over seeds of the mean over questions: the two-way
    clustered estimate (Cameron, Gelbach & Miller 2011) without its negative term, so slightly wide; t quantile with
    Satterthwaite's degrees of freedom.
    """
    values = [v for v in (value_of(r, benchmark) for r in found) if v is not None]
    if not values:
        return None
    centre = statistics.fmean(values)
    intervals = [i for i in (interval_of(r, benchmark) for r in found) if i is not None]
    if len(values) == 1:
        low, high = intervals[0] if intervals else (centre, centre)
        return Point(centre, low, high, tuple(values))
    seeds = statistics.variance(values) / len(values)
    over, n = _question_variance([r.scores[benchmark] for r in found if benchmark in r.scores])
    if over is None:
        over, n = (statistics.fmean((high - low) / 3.92 for low, high in intervals) ** 2, math.inf) if intervals else (0.0, math.inf)
    total = seeds + over
    if total == 0:
        return Point(centre, centre, centre, tuple(values))
    freedom = total**2 / (seeds**2 / (len(values) - 1) + over**2 / max(n - 1, 1))
    from scipy.stats import t

    half = float(t.ppf(0.975, freedom)) * math.sqrt(total)
    return Point(centre, max(0.0, centre - half), min(1.0, centre + half), tuple(values))


def value_of(results: Results, benchmark: str) -> float | None:
    """Accuracy on a benchmark, or the mean of all."""
    if benchmark == MEAN:
        return results.mean
    score = results.scores.get(benchmark)
    return score.accuracy if score else None


def interval_of(results: Results, benchmark: str) -> tuple[float, float] | None:
    if benchmark == MEAN:
        return results.mean_interval
    score = results.scores.get(benchmark)
    return score.interval if score else None


def _question_variance(scores: Sequence[Score]) -> tuple[float | None, float]:
    """Variance, over questions, of the accuracy averaged over runs; and the number of questions that all runs share."""
    shared = set(scores[0].questions).intersection(*(s.questions for s in scores[1:])) if scores else set()
    if len(shared) < 2:
        return None, math.inf
    means = [statistics.fmean(statistics.fmean(s.questions[q]) for s in scores) for q in sorted(shared)]
    return statistics.variance(means) / len(means), float(len(means))
