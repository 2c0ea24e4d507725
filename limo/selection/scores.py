"""Steps that measure candidates; a ranking goes by one of these, or by `solve_rate`, which attempts give."""

from __future__ import annotations

from collections.abc import Sequence

from limo.config import component
from limo.data.progress import bar
from limo.records import Example
from limo.selection.steps import Measure, draw


@component
class Random:
    """A number drawn by the seed and the candidate's id: the same whatever else the pool holds."""

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        return {e.id: {"": draw(seed, "random", e.id)} for e in pool}


@component
class Length(Measure):
    """How long a solution is."""

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        count = self.counter()
        return {e.id: {"": count(e.solution)} for e in bar(pool, "length", "solution")}
