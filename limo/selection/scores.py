"""Steps that measure candidates; a ranking goes by one of these, or by `solve_rate`, which attempts give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from limo import UserError
from limo.config import component
from limo.data.progress import bar
from limo.records import Example
from limo.selection.quality import Scaling, scale
from limo.selection.steps import Measure, column, refuse_unknown, seeded_uniform


@component
class Random:
    """A number drawn by the seed and the candidate's id: the same whatever else the pool holds."""

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        return {e.id: {"": seeded_uniform(seed, "random", e.id)} for e in pool}


@component
class Length(Measure):
    """How long a solution is."""

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        count = self.counter()
        return {e.id: {"": count(e.solution)} for e in bar(pool, "length", "solution")}


@component
class Column:
    """A number that came with the source, in a column that `data.meta` carries along."""

    of: str
    """Key of `meta`."""

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        refuse_unknown(pool, self.of, "of")
        return {e.id: {"": value} for e in pool if (value := number(e, self.of)) is not None}


@component
class Combine:
    """One score of several columns: their weighted sum or product, each brought to a common scale within the pool.

    A candidate that lacks one of the columns has no score.
    """

    of: dict[str, float]
    """Column (a score, or a number in `meta`) -> weight; below 0 where less of it is better. The absolute weights of a sum are
    1 together."""
    how: Literal["sum", "product"] = "sum"
    """`product`: each to the power of its weight, multiplied."""
    scaling: Scaling = "rank"

    def __post_init__(self) -> None:
        total = sum(abs(weight) for weight in self.of.values())
        if not total:
            raise ValueError(f"of={self.of}: name at least one column with a weight other than 0")
        if self.how == "sum" and not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"of={self.of}: the weights are {total:g} together; give such as are 1")

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        for name in self.of:
            refuse_unknown(pool, name, "of")
        rows = {e.id: [number(e, name) for name in self.of] for e in pool}
        whole = {name: [x for x in row if x is not None] for name, row in rows.items() if None not in row}
        totals = [0.0 if self.how == "sum" else 1.0] * len(whole)
        for place, weight in enumerate(self.of.values()):
            scaled = scale([row[place] for row in whole.values()], self.scaling)
            if weight < 0 and self.scaling != "none":
                scaled = [1 - x for x in scaled]
            totals = [self._joined(t, x, weight) for t, x in zip(totals, scaled, strict=True)]
        return {name: {"": total} for name, total in zip(whole, totals, strict=True)}

    def _joined(self, total: float, value: float, weight: float) -> float:
        strength = weight if self.scaling == "none" else abs(weight)
        if self.how == "sum":
            return total + strength * value
        if value < 0 or (value == 0 and strength < 0):
            raise UserError(f"selection.steps: {value:g} to the power of {strength:g} is no score; choose a scaling")
        return float(total * value**strength)


def number(example: Example, name: str) -> float | None:
    value = column(example, name)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
