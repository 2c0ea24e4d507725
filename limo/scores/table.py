"""What a member of `scores` gives: columns of numbers and vectors of candidates; and the member that reads them from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from limo import UserError
from limo.config import component
from limo.data.columns import as_text
from limo.data.formats import absent, read
from limo.models import Model
from limo.records import Example

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True)
class Table:
    """What was measured of candidates."""

    columns: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Id of a candidate -> name of a column -> value; a candidate may be left out."""
    vectors: Mapping[str, numpy.ndarray] = field(default_factory=dict)
    """Id of a candidate -> [width] float32 of length 1; all of them, or none."""
    tokens: int = 0
    """Tokens that a model was given for it."""
    unmeasured: Mapping[str, int] = field(default_factory=dict)
    """Why candidates have no value -> how many."""
    relative: bool = False
    """Whether a value depends on what else the pool holds."""


@runtime_checkable
class Scorer(Protocol):
    """A member of `scores`. One that reads texts with a model may have `model`, where null is the run's, and `passes`, the tokens it
    reads for each token of a candidate.
    """

    def missing(self, model: Model) -> list[str]:
        """What this machine lacks to measure, one sentence each; `model` is the run's own."""
        ...

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        """Measure candidates, whose order makes no difference. What costs much may be kept below `store`."""
        ...


@component
class External:
    """Numbers that somebody else measured (influence, rewards, difficulty), in a table with a row for each candidate or problem."""

    path: Path
    """JSONL, JSON, CSV, TSV or Parquet."""
    id: str = "id"
    """Column with the id of a candidate (`<problem>#<n>`) or of a problem, whose candidates then all have its numbers."""
    columns: tuple[str, ...]
    """Columns of numbers; an empty cell is no value."""

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("columns=[] reads nothing; name the columns of numbers")

    def missing(self, model: Model) -> list[str]:
        return absent([self.path])

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        rows = {}
        for place, row in read(self.path):
            if isinstance(row, UserError):
                raise row
            rows[as_text(row.get(self.id))] = self._numbers(place, row)
        columns = {e.id: held for e in pool if (held := rows.get(e.id, rows.get(e.problem)))}
        if pool and not columns:
            raise UserError(
                f"scores: no id of {self.path} (column {self.id}) is one of a candidate or a problem, such as {pool[0].id}; name the "
                "right column with id"
            )
        lost = len(pool) - len(columns)
        return Table(columns, unmeasured={"not in the file": lost} if lost else {})

    def _numbers(self, place: str, row: Mapping[str, object]) -> dict[str, float]:
        if lost := [name for name in (self.id, *self.columns) if name not in row]:
            raise UserError(f"{place}: no column {lost[0]!r} among {', '.join(row)}; name those of the file")
        found = {}
        for name in self.columns:
            if (text := as_text(row[name])) != "":
                try:
                    found[name] = float(text)
                except ValueError:
                    raise UserError(f"{place}: column {name!r} holds {text!r}, which is no number") from None
        return found
