"""A mean over runs and benchmarks: how far it may be off because other questions, or other seeds, could have been drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limo.records import Answered
from limo.statistics.intervals import CONFIDENCE, deviation, interval, mean_of, never_seen, quantile

Answers = Mapping[str, Sequence[int]]
"""Question id -> right (1) or wrong (0) per sample."""
Suite = Mapping[str, Answers]
"""Benchmark -> its answers: what one run gave."""

LEAST = 1e-15
"""p values are not told apart below."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An accuracy, mean over seeds and benchmarks, with its 95 % interval; 0 to 1."""

    value: float
    low: float
    high: float
    seeds: tuple[float, ...]
    """The value of each run."""


@dataclass(frozen=True, slots=True)
class Part:
    """A source of variation: the variance that it adds to an estimate, and with how many degrees of freedom that is known."""

    variance: float
    freedom: float


def accuracy(runs: Sequence[Suite]) -> Estimate | None:
    """The accuracy of a setting, from its runs: the plain mean over the benchmarks of all of them, on the questions of all
    of them. None where they share none.

    One run: the intervals that its results have. Several: questions and seeds both vary, see `reach`.
    """
    shared = shared_questions(runs)
    if not shared:
        return None
    values = tuple(over_benchmarks(rates(run, shared)) for run in runs)
    if len(runs) == 1:
        tables = {name: [runs[0][name][q] for q in questions] for name, questions in shared.items()}
        value, over = mean_of([(average, interval(tables[name])) for name, average in averages(rates(runs[0], shared))])
        return Estimate(value, over.low, over.high, values)
    centre = math.fsum(values) / len(values)
    means = mean_rates(runs, shared)
    half = reach([*over_seeds(values), over_questions(list(means.values()))])
    return Estimate(centre, max(0.0, centre - half), min(1.0, centre + half), values)


def shared_questions(runs: Sequence[Suite]) -> dict[str, Sequence[str]]:
    """Benchmark -> the questions that every run answered; benchmarks without one are left out."""
    if not runs:
        return {}
    first, *others = runs
    names = [name for name in first if all(name in run for run in others)]
    shared = {name: _shared([run[name] for run in runs]) for name in names}
    return {name: questions for name, questions in shared.items() if questions}


def _shared(runs: Sequence[Answers]) -> Sequence[str]:
    first, *others = runs
    if isinstance(first, Answered) and all(isinstance(o, Answered) and o.questions == first.questions for o in others):
        return first.questions
    return [q for q in first if all(q in other for other in others)]


Rates = Mapping[str, Sequence[float]]
"""Benchmark -> the share of right samples of each shared question."""


def rates(run: Suite, shared: Mapping[str, Sequence[str]]) -> Rates:
    """What a run answered right, per shared question."""
    return {name: _rates(run[name], questions) for name, questions in shared.items()}


def _rates(answers: Answers, questions: Sequence[str]) -> Sequence[float]:
    if isinstance(answers, Answered) and answers.questions == questions:
        return answers.rates
    return [sum(row := answers[q]) / len(row) for q in questions]


def mean_rates(runs: Sequence[Suite], shared: Mapping[str, Sequence[str]]) -> Rates:
    """The mean over runs, per shared question."""
    each = [rates(run, shared) for run in runs]
    if len(each) == 1:
        return each[0]
    return {name: [math.fsum(of) / len(each) for of in zip(*(r[name] for r in each), strict=True)] for name in shared}


def averages(found: Rates) -> list[tuple[str, float]]:
    """The mean of each benchmark."""
    return [(name, math.fsum(values) / len(values)) for name, values in found.items()]


def over_benchmarks(found: Rates) -> float:
    """The plain mean over benchmarks."""
    return math.fsum(average for _, average in averages(found)) / len(found)


def over_seeds(values: Sequence[float]) -> list[Part]:
    """What other seeds would change in the mean of these; nothing is known of it from one."""
    return [Part(deviation(values) ** 2 / len(values), len(values) - 1.0)] if len(values) > 1 else []


def over_questions(benchmarks: Sequence[Sequence[float]]) -> Part:
    """What other questions would change in the mean over benchmarks of the means of these values, one a question.

    Benchmarks are independent; their degrees of freedom are those of Satterthwaite 1946. A benchmark whose values are
    all equal, which on other questions they need not be, counts with the rule of three.
    """
    parts = [_of_benchmark(values) for values in benchmarks]
    total = math.fsum(part.variance for part in parts)
    spread = math.fsum(part.variance**2 / part.freedom for part in parts)
    return Part(total / len(parts) ** 2, total**2 / spread if spread else math.inf)


def _of_benchmark(values: Sequence[float]) -> Part:
    n = len(values)
    if n > 1 and (variance := deviation(values) ** 2 / n) > 0:
        return Part(variance, n - 1.0)
    return Part((never_seen(n) / quantile()) ** 2, math.inf)


def reach(parts: Sequence[Part], tail: float = (1 - CONFIDENCE) / 2) -> float:
    """How far the interval reaches to either side.

    Variances over questions (of the mean over seeds) and over seeds (of each side's mean) add up as in two-way
    clustering (Cameron, Gelbach & Miller 2011, without its negative term). Each enters with its own t quantile, in
    quadrature (Howe 1974): with three seeds a t quantile of the whole would hold the truth too rarely.
    """
    return math.sqrt(math.fsum(part.variance * quantile(part.freedom, tail) ** 2 for part in parts))


def chance(value: float, parts: Sequence[Part]) -> float:
    """p, two-sided: the level at which the interval of that `reach` just touches 0; so p and interval always agree."""
    if value == 0:
        return 1.0
    low, high = math.log(LEAST), 0.0
    for _ in range(50):
        middle = (low + high) / 2
        if reach(parts, math.exp(middle) / 2) > abs(value):
            low = middle
        else:
            high = middle
    return math.exp(high)
