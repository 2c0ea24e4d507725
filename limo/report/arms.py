"""Runs side by side: which belong together (same setting, other seeds), their mean with an interval, what deserves a
second look.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from limo.report.runs import Results, Run

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

    @property
    def bases(self) -> list[Results]:
        """The evaluations of the model as it came."""
        return [run.base for run in self.runs if run.base]


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
    given = [{k: _plain(v) for k, v in (o.partition("=")[::2] for o in run.overrides)} for run in runs]
    keys = [k for k in dict.fromkeys(k for g in given for k in g) if k.lstrip("+~") not in SWEPT and k not in SWEPT]
    told = [k for k in keys if len({g.get(k) for g in given}) > 1]
    several = len({run.name for run in runs}) > 1
    labels = []
    for run, values in zip(runs, given, strict=True):
        parts = [run.name] if several else []
        parts += [run.strategy] if run.strategy else []
        parts += [
            f"{key.rpartition('.')[2].lstrip('+')}={values[key]}" if values[key] else key
            for key in told
            if key in values
        ]
        labels.append(" · ".join(parts) or run.name)
    return labels


def palette(runs: Sequence[Run]) -> dict[str, int]:
    """The place of each setting in the palette, the same in every figure of a page."""
    return {label: place for place, label in enumerate(dict.fromkeys(name(runs)))}


def describe(runs: Sequence[Run]) -> list[str]:
    """Each run in a few words, seed and size included: what a reader calls it."""
    return [
        ", ".join(
            p
            for p in (
                label,
                f"{run.size:,} examples" if run.size else "",
                f"seed {run.seed}" if run.seed is not None else "",
            )
            if p
        )
        for run, label in zip(runs, name(runs), strict=True)
    ]


def _plain(value: str) -> str:
    """Numbers in one spelling, so that 2e-3 and 0.002 are the same setting."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return value


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
    """Mean over runs with a 95 % interval. One run: its own interval. Several: questions and seeds both vary, see
    `gap`.
    """
    values = [v for v in (value_of(r, benchmark) for r in found) if v is not None]
    if len(values) != 1:
        return gap([], found, benchmark)
    low, high = next((i for r in found if (i := interval_of(r, benchmark))), (values[0], values[0]))
    return Point(values[0], low, high, tuple(values))


def gap(first: Sequence[Results], second: Sequence[Results], benchmark: str) -> Point | None:
    """How much higher the second runs are than the first on the same questions (than nothing, where there are none), mean over seeds.

    Variances over questions (of the difference of the seeds' means) and over seeds (of each side's mean) add up as in
    two-way clustering (Cameron, Gelbach & Miller 2011, without its negative term). Each enters with its own t quantile, in
    quadrature (Howe 1974): with three seeds a t quantile of the whole would hold the truth too rarely. Without answers per
    question, the width of the runs' own intervals stands for the questions.
    """
    sides = [[r for r in side if value_of(r, benchmark) is not None] for side in (first, second)]
    values = [[v for r in side if (v := value_of(r, benchmark)) is not None] for side in sides]
    if not values[1] or (first and not values[0]):
        return None
    centre = statistics.fmean(values[1]) - (statistics.fmean(values[0]) if first else 0.0)
    parts = [(statistics.variance(v) / len(v), len(v) - 1.0) for v in values if len(v) > 1]
    parts.append(_over_questions(sides[0], sides[1], benchmark))
    from scipy.stats import t

    half = math.sqrt(sum(variance * float(t.ppf(0.975, freedom)) ** 2 for variance, freedom in parts))
    least = -1.0 if first else 0.0
    return Point(centre, max(least, centre - half), min(1.0, centre + half), tuple(values[1]))


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


def _over_questions(first: Sequence[Results], second: Sequence[Results], benchmark: str) -> tuple[float, float]:
    """Variance, over questions, of the difference of the two sides' means over seeds; and its degrees of freedom.

    The mean of several benchmarks takes theirs as independent.
    """
    if benchmark == MEAN:
        names = [n for n in second[0].scores if all(n in r.scores for r in (*first, *second))]
        parts = [_over_questions(first, second, n) for n in names]
        if not parts:
            return 0.0, math.inf
        total = sum(v for v, _ in parts)
        spread = sum(v**2 / n for v, n in parts)
        return total / len(parts) ** 2, total**2 / spread if spread else math.inf
    scores = [[r.scores[benchmark] for r in side] for side in (first, second)]
    shared = set.intersection(*(set(s.questions) for side in scores for s in side))
    if len(shared) < 2:
        intervals = [s.interval for side in scores for s in side if s.interval]
        return sum(((high - low) / 3.92) ** 2 for low, high in intervals) / max(1, len(scores[1])) ** 2, math.inf
    means = [
        [statistics.fmean(statistics.fmean(s.questions[q]) for s in side) for q in sorted(shared)]
        for side in scores
        if side
    ]
    gaps = [b - a for a, b in zip(*means, strict=True)] if len(means) == 2 else means[0]
    if (variance := statistics.variance(gaps) / len(gaps)) == 0:
        # equal on every question seen, which other questions need not be: the rule of three, as `compare` has it
        variance = (min(1.0, 3 / len(gaps)) / 1.96) ** 2
        return variance, math.inf
    return variance, float(len(gaps) - 1)
