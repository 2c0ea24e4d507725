"""Steps that leave candidates out, each with its reason."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from limo import UserError
from limo.config import component
from limo.data.text import boxed, text_hash
from limo.grading.rules import Rules
from limo.records import RIGHT, Band, Example, Limits
from limo.selection.quality import scale
from limo.selection.scores import number
from limo.selection.steps import Dropped, Measure, refuse_unknown


@component
class Boxed:
    """Solutions need a closed \\boxed{…}: without one a model learns to end without an answer."""

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        return {e.id: Dropped("no box") for e in pool if not boxed(e.solution)}


@component
class Correct:
    """The final answer of a solution must be the gold one, as graded: attempts, and the source's own solutions too."""

    box: bool = True
    """And it must stand in a closed \\boxed{…}."""
    rules: Rules
    """Rules by which the source's solutions are graded."""

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        return {e.id: found for e in pool if (found := self._fault(e)) is not None}

    def _fault(self, example: Example) -> Dropped | None:
        verdict, answer = example.verdict, boxed(example.solution)
        if verdict not in RIGHT:
            return Dropped(f"graded {verdict}" if verdict else "not graded", answer)
        return Dropped("no box") if self.box and answer is None else None


@component
class SolveRate:
    """How often the problem was solved must lie in a band: the paper keeps what 1 to 3 of 32 attempts solve.

    Problems without attempts, or most of whose attempts were cut, are kept, and counted in the summary under `unmeasured`.
    """

    sieve: str | None = None
    """Whose attempts count; null takes the last that has a rule, else the last."""
    keep: str | None = None
    """Counts of right ones, `1..3 of 32`, in place of shares; needs `sieve`."""
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"low={self.low}, high={self.high} must be shares with 0 <= low <= high <= 1")
        if self.keep is not None and self.sieve is None:
            raise ValueError(f"keep={self.keep!r} counts the attempts of one sieve; name it, sieve=…")
        if self.keep is not None:
            Band.parse(self.keep)

    def fault(self, samples: Mapping[str, int | None]) -> str | None:
        """Why it cannot go by these sieves (name -> tries of a problem, where that is known); None where it can."""
        if self.sieve is not None and self.sieve not in samples:
            return f"sieve={self.sieve} is none of this run ({', '.join(samples) or 'attempts=none'})"
        tries = samples.get(self.sieve or "")
        if self.keep is not None and tries is not None and (of := Band.parse(self.keep).of) != tries:
            return f"keep={self.keep!r} counts {of} tries and {self.sieve} makes {tries}; make them equal"
        return None

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        dropped = {}
        for example in pool:
            if (rate := example.scores.get(self._column)) is not None and (reason := self._reason(example, rate)):
                dropped[example.id] = Dropped(reason, round(rate, 4))
        return dropped

    def limits(self) -> dict[str, Limits]:
        """Its column, and between which values that must lie."""
        if self.keep is None:
            return {self._column: Limits(self.low, self.high)}
        band = Band.parse(self.keep)
        return {self._column: Limits(band.low / band.of, band.high / band.of)}

    @property
    def _column(self) -> str:
        return "solve_rate" if self.sieve is None else f"solve_rate.{self.sieve}"

    def _reason(self, example: Example, rate: float) -> str | None:
        if self.keep is None:
            return None if self.low <= rate <= self.high else "too hard" if rate < self.low else "too easy"
        band, tried = Band.parse(self.keep), example.scores[f"tried.{self.sieve}"]
        if tried != band.of:
            raise UserError(
                f"selection: keep={self.keep!r} counts {band.of} tries, and {example.problem} has {tried:g} of {self.sieve}"
            )
        return band.fault(round(example.scores[f"right.{self.sieve}"]))


@component
class Bounds(Measure):
    """The length of a solution must lie within bounds, both included."""

    min: int = 0
    max: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min < 0 or (self.max is not None and self.max < self.min):
            raise ValueError(f"min={self.min}, max={self.max} must be 0 <= min <= max; null is no upper bound")

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        count = self.counter()
        dropped = {}
        for example in pool:
            length = count(example.solution)
            if length < self.min:
                dropped[example.id] = Dropped("too short", length)
            elif self.max is not None and length > self.max:
                dropped[example.id] = Dropped("too long", length)
        return dropped


@component
class Duplicates:
    """Of equal texts, up to typesetting, the one with the first id stays."""

    of: Literal["question", "solution"] = "question"
    """Two solutions of one problem are no duplicate questions."""

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        first: dict[bytes, Example] = {}
        dropped = {}
        for example in sorted(pool, key=lambda e: e.id):
            kept = first.setdefault(text_hash(getattr(example, self.of)), example)
            if kept is not example and (self.of == "solution" or kept.problem != example.problem):
                dropped[example.id] = Dropped(f"same {self.of}", kept.id)
        return dropped


@component
class Where:
    """What the source says of the problem (`meta`) must be one of some values."""

    key: str
    """Key of `meta`, such as level or subject."""
    values: tuple[str | float | bool | None, ...]

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        refuse_unknown(pool, self.key, "key")
        wanted = {_comparable(value) for value in self.values}
        return {
            e.id: Dropped(f"{self.key} differs", str(e.meta.get(self.key)))
            for e in pool
            if _comparable(e.meta.get(self.key)) not in wanted
        }


@component
class Between:
    """A number must lie in a band, both ends included: of values, or of the quantiles of the candidates that are left.

    Candidates without the number are kept.
    """

    of: str
    """A score, or a key of `meta`."""
    low: float | None = None
    high: float | None = None
    quantiles: bool = False
    """`low` and `high` are shares of the candidates, 0.25 and 0.75 the middle half; a pool that grows moves its values."""

    def __post_init__(self) -> None:
        low, high = (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)
        if low > high:
            raise ValueError(f"low={self.low}, high={self.high}: low must not be above high; null is no bound")
        if self.quantiles and not all(bound is None or 0 <= bound <= 1 for bound in (self.low, self.high)):
            raise ValueError(f"low={self.low}, high={self.high} must be shares from 0 to 1, as quantiles=true says")

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        refuse_unknown(pool, self.of, "of")
        values = {e.id: value for e in pool if (value := number(e, self.of)) is not None}
        places = dict(zip(values, scale(list(values.values()), "rank"), strict=True)) if self.quantiles else values
        dropped = {}
        for name, place in places.items():
            if self.low is not None and place < self.low:
                dropped[name] = Dropped(f"{self.of} too low", round(values[name], 6))
            elif self.high is not None and place > self.high:
                dropped[name] = Dropped(f"{self.of} too high", round(values[name], 6))
        return dropped

    def limits(self) -> dict[str, Limits]:
        """Its column, and between which values that must lie; nothing where the candidates decide which."""
        return {} if self.quantiles else {self.of: Limits(self.low, self.high)}


@component
class Level:
    """One of several equal bands of a score stays (the paper's RQ1 speaks of five, L1 to L5; quantiles as edges are our choice).

    Within each `problem`, the paper's way, every level has the same problems and one of their solutions each; a problem with
    fewer solutions than levels is left out, by name. Within the `pool`, levels have different problems.
    """

    of: str = "quality"
    """The score."""
    keep: int = 5
    """Which band stays, 1 the lowest."""
    levels: int = 5
    within: Literal["problem", "pool"] = "problem"

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.levels:
            raise ValueError(f"keep={self.keep} must be one of 1 to {self.levels} (levels)")

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        refuse_unknown(pool, self.of, "of")
        groups: dict[str, list[Example]] = defaultdict(list)
        for example in pool:
            groups[example.problem if self.within == "problem" else ""].append(example)
        dropped: dict[str, Dropped] = {}
        for group in groups.values():
            dropped |= self._bands(group)
        if len(dropped) == len(pool) and pool:
            most = max(sum(number(e, self.of) is not None for e in group) for group in groups.values())
            each = "of any problem" if self.within == "problem" else "with a score"
            other = "" if self.within == "pool" else ", or compare levels of different problems with within=pool"
            raise UserError(
                f"levels={self.levels}: the {most} candidates {each} do not make so many; set levels={max(most, 1)} or less{other}"
            )
        return dropped

    def _bands(self, group: Sequence[Example]) -> dict[str, Dropped]:
        """Of the candidates of one group those that leave, and why."""
        values = {e.id: value for e in group if (value := number(e, self.of)) is not None}
        if len(values) < self.levels:
            return {e.id: Dropped("too few solutions for the levels", len(values)) for e in group}
        order = sorted(values, key=lambda name: (values[name], name))
        band = {name: 1 + place * self.levels // len(order) for place, name in enumerate(order)}
        return {e.id: Dropped("another level", band.get(e.id)) for e in group if band.get(e.id) != self.keep}


def _comparable(value: object) -> object:
    """A value as it compares: 5, 5.0 and "5" are one number, which a column with an empty cell turns into each other."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            number = float(value)
            return None if math.isnan(number) else number
    return value if isinstance(value, bool) or value is None else str(value)
