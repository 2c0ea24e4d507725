"""What a study expected, against what came of it: it holds, it fails, or these runs cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from limo.records import Expectation, Results
from limo.report.runs import Run, given
from limo.report.settings import MEAN, RECIPE, SWEPT, Setting, change, identity
from limo.report.values import points
from limo.statistics import Difference, holm

BASE, TUNED = "base", "tuned"
"""Arms that stand for models and not for overrides."""
LEVEL = 0.05
ASIDE = {word for word in SWEPT if not word.startswith("selection")}
"""Overrides that may differ between the arms of a contrast."""
State = Literal["holds", "fails", "undecided", "not measured"]


@dataclass(frozen=True)
class Contrast:
    """Two neighbouring arms of an expectation where all else is equal."""

    lower: str
    higher: str
    rest: str
    """What else tells these runs from those of other contrasts."""
    found: Difference
    """The higher above the lower; its p asks about the gap that was expected."""

    def words(self) -> str:
        """`model=lab-s1: limo above random by +43.3 points [+38.1, +48.2]`."""
        where = f"{self.rest}: " if self.rest else ""
        return f"{where}{self.higher} above {self.lower} by {points(self.found)}"


@dataclass(frozen=True)
class Verdict:
    """What came of an expectation."""

    name: str
    expected: Expectation
    contrasts: tuple[Contrast, ...]
    lack: str = ""
    """Why not all of it was measured."""

    @property
    def gap(self) -> float:
        """As a share of the questions."""
        return self.expected.gap / 100

    @property
    def state(self) -> State:
        """It holds where every contrast shows it at 5 % each (a claim about all of them needs no correction); it fails where
        any one shows the contrary at 5 % after correction for their number (Holm)."""
        if self.lack:
            return "not measured"
        chances = [contrast.found.p for contrast in self.contrasts]
        short = [contrast.found.value < self.gap for contrast in self.contrasts]
        if not any(short) and max(chances) < LEVEL:
            return "holds"
        against = zip(holm(chances), short, strict=True)
        return "fails" if any(p < LEVEL for p, below in against if below) else "undecided"

    @property
    def weakest(self) -> Contrast:
        """The contrast that decides: where it fails the surest one against it, else the one whose interval reaches lowest."""
        if self.state == "fails":
            return min((c for c in self.contrasts if c.found.value < self.gap), key=lambda c: c.found.p)
        return min(self.contrasts, key=lambda c: c.found.low)

    @property
    def claim(self) -> str:
        """What was expected, in words."""
        words = f"{' < '.join(self.expected.order)} on {self.expected.benchmark}"
        return words + (f", {self.expected.gap:g} points apart" if self.expected.gap else "")

    @property
    def sentence(self) -> str:
        """The answer with numbers; where it cannot be told, the smallest difference that could have been."""
        told = f"{self.name} {self.state}: {self.claim}"
        if self.lack:
            return f"{told}; {self.lack}"
        least = f" (the weakest of {len(self.contrasts)})" if len(self.contrasts) > 1 else ""
        told += f"; {self.weakest.words()}{least}"
        if self.state == "undecided":
            from_gap = f" from the {self.expected.gap:g} points expected" if self.expected.gap else ""
            told += f"; no difference{from_gap} below {100 * self.weakest.found.visible:.1f} points could be seen"
        return told


def verdicts(settings: Sequence[Setting]) -> list[Verdict]:
    """Of every expectation that the runs name, in their order."""
    runs = [run for setting in settings for run in setting.runs]
    named = {(name, expected): None for run in runs for name, expected in run.expect.items()}
    return [_verdict(name, expected, [r for r in runs if r.expect.get(name) == expected]) for name, expected in named]


def _verdict(name: str, expected: Expectation, runs: Sequence[Run]) -> Verdict:
    arms = {arm: [run for run in runs if _is_of(run, arm)] for arm in expected.order}
    if missing := [arm for arm in arms if not _results(arm, arms[arm], expected.benchmark)]:
        return Verdict(name, expected, (), f"there is no measured run of {' and '.join(missing)}")
    keys = {key for arm in arms for key in given(arm.split())}
    groups: dict[tuple[tuple[str, str], ...], dict[str, list[Run]]] = {}
    for arm, members in arms.items():
        for run in members:
            rest = tuple(sorted((k, v) for k, v in run.given.items() if k not in keys and k.lstrip("+~") not in ASIDE))
            groups.setdefault(rest, {}).setdefault(arm, []).append(run)
    common = set.intersection(*map(set, groups))
    pairs, contrasts, apart = list(pairwise(expected.order)), list[Contrast](), list[str]()
    for rest, members_of in groups.items():
        where = ", ".join(_word(*pair) for pair in rest if pair not in common)
        for lower, higher in pairs:
            if found := _contrast(expected, members_of, lower, higher):
                contrasts.append(Contrast(_short(lower), _short(higher), where, found))
            elif len(members_of) > 1:  # an arm that stands alone here was not meant to be compared here
                apart.append(f"{lower} and {higher}" + (f" with {where}" if where else ""))
    told = {(contrast.lower, contrast.higher) for contrast in contrasts}
    if never := [f"{low} and {high}" for low, high in pairs if (_short(low), _short(high)) not in told]:
        apart = never
    lack = f"no measured runs of {'; '.join(apart)} share all else and a question" if apart else ""
    return Verdict(name, expected, tuple(contrasts), lack)


def _contrast(expected: Expectation, arms: Mapping[str, list[Run]], lower: str, higher: str) -> Difference | None:
    sides = [_results(arm, arms.get(arm, ()), expected.benchmark) for arm in (lower, higher)]
    return change(sides[0], sides[1], expected.benchmark, expected.gap / 100)


def _is_of(run: Run, arm: str) -> bool:
    return arm in (BASE, TUNED) or given(arm.split()).items() <= run.given.items()


def _results(arm: str, runs: Sequence[Run], benchmark: str) -> list[Results]:
    """What the arm's runs measured, equal ones once; a base is one for many runs."""
    found = [run.base if arm == BASE else run.tuned for run in runs]
    there = [r for r in found if r and (benchmark == MEAN or benchmark in r.benchmarks)]
    return list({identity(r): r for r in there}.values()) if arm == BASE else there


def _short(arm: str) -> str:
    """`selection=limo selection.size=100` as `limo 100`, `training.steps=40` as `steps=40`."""
    return " ".join(_word(*word.partition("=")[::2]) for word in arm.split())


def _word(key: str, value: str) -> str:
    """An override in a sentence: the value alone where it tells by itself what it is, a recipe without its folder."""
    if key == RECIPE:
        return value.rpartition("/")[2]
    return value if value and key.lstrip("+~") in SWEPT else f"{key.rpartition('.')[2]}={value}".rstrip("=")
