"""Runs side by side: which belong together (same setting, other seeds), what each started from, what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os.path import commonpath
from statistics import fmean

from limo.records import Answered, Results
from limo.report.runs import Run
from limo.statistics import Difference, Estimate, accuracy, difference, holm

MEAN = "mean"
REFERENCE = "random"
"""The strategy that others are compared with, where a sweep has it."""
SWEPT = ("selection", "selection.size", "seed", "name", "experiment")
"""Overrides that have a place of their own in the tables."""
RECIPE = "+experiment"
SEPARATOR = " · "
"""Between the parts of what a setting is called."""


@dataclass(frozen=True, eq=False)
class Setting:
    """The runs of one setting and one size: they differ in the seed alone. Every number of it comes from its own runs."""

    strategy: str
    rest: str
    """What else tells it from other settings."""
    size: int | None
    runs: tuple[Run, ...]
    label: str
    """What it is called beside the others: strategy and rest; the rest alone where all have one strategy."""
    accuracies: dict[str, Estimate | None] = field(default_factory=dict, repr=False)
    befores: dict[str, Estimate | None] = field(default_factory=dict, repr=False)
    gains: dict[str, Difference | None] = field(default_factory=dict, repr=False)
    """Made when first asked for, once a report; so are the others."""

    @cached_property
    def tuned(self) -> list[Results]:
        return [run.tuned for run in self.runs if run.tuned]

    @cached_property
    def bases(self) -> list[Results]:
        """The evaluations of the model that its own runs started from, equal ones once."""
        found = {identity(run.base): run.base for run in self.runs if run.base}
        return list(found.values())

    def accuracy(self, benchmark: str) -> Estimate | None:
        """Of its tuned models on a benchmark, or the mean of those that all its runs have."""
        if benchmark not in self.accuracies:
            self.accuracies[benchmark] = estimate(self.tuned, benchmark)
        return self.accuracies[benchmark]

    def before(self, benchmark: str) -> Estimate | None:
        """Of what its own runs started from."""
        if benchmark not in self.befores:
            self.befores[benchmark] = estimate(self.bases, benchmark)
        return self.befores[benchmark]

    def gain(self, benchmark: str) -> Difference | None:
        """What training changed, on the questions that base and tuned models share."""
        if benchmark not in self.gains:
            self.gains[benchmark] = change(self.bases, self.tuned, benchmark)
        return self.gains[benchmark]

    @property
    def ended(self) -> float | None:
        """Share of the tuned models' answers that ended by themselves, mean over benchmarks."""
        return _mean([one.ended for found in self.tuned for one in found.benchmarks.values()])

    @property
    def learned(self) -> float | None:
        """Share of the tokens of the trainings' last epoch that were the first choice; None where it was not measured."""
        said = [run.training.token_accuracy for run in self.runs if run.training]
        return _mean([one for one in said if one is not None])

    def domain(self, benchmark: str) -> str:
        """Of a benchmark, in or out of that of the training data; nothing for the mean."""
        found = (r.benchmarks[benchmark].domain for r in (*self.tuned, *self.bases) if benchmark in r.benchmarks)
        return next(found, "")


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


@dataclass(frozen=True, eq=False)
class Base:
    """A model as it came, and the settings that started from it."""

    label: str
    results: list[Results]

    def accuracy(self, benchmark: str) -> Estimate | None:
        return estimate(self.results, benchmark)


def settings_of(runs: Sequence[Run]) -> list[Setting]:
    """Runs grouped by setting and size, in the order they first appear; sizes ascend."""
    groups: dict[tuple[str, str, int | None], list[Run]] = {}
    names = list(zip((run.strategy for run in runs), _differing(runs), strict=True))
    for run, name in zip(runs, names, strict=True):
        groups.setdefault((*name, run.size), []).append(run)
    order = list(dict.fromkeys(names))
    keys = sorted(groups, key=lambda key: (order.index(key[:2]), key[2] or 0))
    alike = len({run.strategy for run in runs}) == 1 and all(rest for _, rest in names)
    found = []
    for strategy, rest, size in keys:
        own = tuple(sorted(groups[strategy, rest, size], key=_by_seed))
        label = SEPARATOR.join(part for part in ("" if alike else strategy, rest) if part) or own[0].name
        found.append(Setting(strategy, rest, size, own, label))
    return found


def bases_of(settings: Sequence[Setting]) -> list[Base]:
    """Each model that a setting started from, once; told apart by the settings where the name alone would not."""
    groups: dict[tuple[tuple[str, str], ...], list[Setting]] = {}
    for setting in settings:
        if setting.bases:
            groups.setdefault(tuple(sorted(map(identity, setting.bases))), []).append(setting)
    if len(groups) == 1:
        return [Base("base model", only[0].bases) for only in groups.values()]
    models = [short(group[0].bases[0].model) for group in groups.values()]
    found = []
    for model, group in zip(models, groups.values(), strict=True):
        of = ", ".join(dict.fromkeys(setting.label for setting in group))
        found.append(Base(f"base model {model}" + (f" of {of}" if models.count(model) > 1 else ""), group[0].bases))
    return found


def reference(setting: Setting, settings: Sequence[Setting], against: str = REFERENCE) -> Setting | None:
    """The setting to compare one with, of as many examples: where `against` is a strategy that with all else equal, where it is the
    whole name of a setting that one."""
    whole = against in {s.label for s in settings} - {s.strategy for s in settings}
    if against in (setting.label, None if whole else setting.strategy):
        return None
    asked = (against,) if whole else (against, setting.rest)
    twins = ((s.label,) if whole else (s.strategy, s.rest) for s in settings)
    return next((s for s, twin in zip(settings, twins, strict=True) if twin == asked and s.size == setting.size), None)


def estimate(results: Sequence[Results], benchmark: str) -> Estimate | None:
    """Accuracy over the results of one setting; those without the benchmark are left out. One alone has the intervals that it came
    with."""
    there = [r for r in results if benchmark == MEAN or benchmark in r.benchmarks]
    if len(there) == 1:
        one, over = there[0], there[0].mean_interval
        if benchmark == MEAN:
            return Estimate(one.mean, over.low, over.high, (one.mean,))
        of = one.benchmarks[benchmark]
        return Estimate(of.accuracy, of.interval.low, of.interval.high, (of.accuracy,))
    if benchmark == MEAN:
        return accuracy([suite(r) for r in results])
    return accuracy([suite(r, benchmark) for r in results if benchmark in r.benchmarks])


def change(first: Sequence[Results], second: Sequence[Results], benchmark: str, than: float = 0.0) -> Difference | None:
    """Second minus first on the questions of both; its p asks whether it is other `than` this."""
    if benchmark == MEAN:
        return difference([suite(r) for r in first], [suite(r) for r in second], than)
    sides = [[suite(r, benchmark) for r in side if benchmark in r.benchmarks] for side in (first, second)]
    return difference(sides[0], sides[1], than)


def chances(changes: Mapping[str, Difference | None]) -> dict[str, float]:
    """p values of the benchmarks' differences, corrected for their number (Holm); the mean is no test of its own."""
    tested = {name: one.p for name, one in changes.items() if one and name != MEAN}
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def suite(results: Results, *only: str) -> dict[str, Answered]:
    """Benchmark -> question -> right or wrong, as statistics take it."""
    return {name: results.benchmarks[name].answered for name in only or results.benchmarks}


def names_of(results: Sequence[Results]) -> list[str]:
    """Names of all benchmarks, in the order of the first result that has each."""
    return list(dict.fromkeys(name for one in results for name in one.benchmarks))


def columns(names: Sequence[str]) -> list[str]:
    """The benchmarks, and their mean where there are several."""
    return [*names, MEAN] if len(names) > 1 else list(names)


def identity(results: Results) -> tuple[str, str]:
    """Equal for equal evaluations: the model, and a digest of all that it answered."""
    return results.model, results.digest


def share(results: Sequence[Results], benchmark: str, field: str) -> float | None:
    """The mean over results of a share of a benchmark's answers: cut, no_answer, repetition; or of their tokens."""
    return _mean([float(getattr(r.benchmarks[benchmark], field)) for r in results if benchmark in r.benchmarks])


def fullest(setting: Setting, weights: str, benchmark: str, field: str) -> Run:
    """The run of a setting whose `tuned` or `base` model has the largest share of a benchmark's answers, as `share` takes it."""
    there = {run: model for run in setting.runs if (model := run.tuned if weights == "tuned" else run.base)}
    return max(there, key=lambda run: share([there[run]], benchmark, field) or 0.0)


def palette(settings: Sequence[Setting]) -> dict[str, int]:
    """The place of each setting in the palette, the same in every figure of a page."""
    return {label: place for place, label in enumerate(dict.fromkeys(s.label for s in settings))}


def differing(runs: Sequence[Run]) -> list[str]:
    """Keys of the overrides in which runs differ, but those that have a place of their own; a recipe has that where its name is
    told in its stead."""
    given = [run.given for run in runs]
    recipes = {(run.name, g.get(RECIPE)) for run, g in zip(runs, given, strict=True)}
    named = len(recipes) == len({name for name, _ in recipes})
    keys = dict.fromkeys(k for g in given for k in g if k.lstrip("+~") not in SWEPT or (k == RECIPE and not named))
    return [k for k in keys if len({g.get(k) for g in given}) > 1]


def _differing(runs: Sequence[Run]) -> list[str]:
    """What tells each run from the others apart from strategy, size and seed: its name, and overrides that differ."""
    given, told = [run.given for run in runs], differing(runs)
    several = len({run.name for run in runs}) > 1
    folder = commonpath([values.get(RECIPE, "").rpartition("/")[0] for values in given]) if RECIPE in told else ""
    found = []
    for run, values in zip(runs, given, strict=True):
        parts = [run.name] if several else []
        parts += [values[RECIPE].removeprefix(f"{folder}/")] if RECIPE in told and RECIPE in values else []
        short = ((key.rpartition(".")[2].lstrip("+"), values[key]) for key in told if key in values and key != RECIPE)
        parts += [f"{key}={value}" if value else key for key, value in short]
        found.append(SEPARATOR.join(parts))
    return found


def _by_seed(run: Run) -> tuple[bool, int]:
    return run.seed is None, run.seed or 0


def short(model: str) -> str:
    """A model's name without the path to it."""
    return model.rstrip("/").rpartition("/")[2]
