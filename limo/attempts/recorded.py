"""Tries that others made: counts, rates or the completions themselves, in columns of the data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from limo import UserError, records
from limo.attempts.attempts import Sieve
from limo.config import component
from limo.data import Data, Table
from limo.records import AttemptsSummary, Problem, Tally
from limo.stage import Input, Stage, summarise


@component
class Recorded(Sieve):
    """What a column says of each problem, in place of sampling; a problem where it is empty was not tried."""

    column: str
    """Of the data, carried along by `data.meta`."""
    holds: Literal["right", "wrong", "rate", "answers"]
    """How many tries were right or wrong, the share that was right, or a list of completions, graded by `rules`."""
    tried: int | str | None = None
    """How many tries that were, or the column that says so; of completions they are counted."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.tried is None) != (self.holds == "answers"):
            raise ValueError(
                f"holds={self.holds} and tried={self.tried}: a count or a rate needs the number of tries, completions none"
            )
        if self.band and self.samples not in (None, self.band.of):
            raise ValueError(f"keep={self.keep!r} counts {self.band.of} tries and tried={self.tried}; make them equal")

    @property
    def samples(self) -> int | None:
        return self.tried if isinstance(self.tried, int) else None

    def lacks(self, name: str, data: Data) -> list[str]:
        """Columns that the data do not carry along, one sentence each; nothing where that cannot be known before they are read."""
        if not isinstance(data, Table):
            return []
        wanted = [self.column, *([self.tried] if isinstance(self.tried, str) else [])]
        return [
            f"attempts.{name}: the column {column!r} is not carried along; name it in data.meta"
            for column in wanted
            if column not in data.meta
        ]

    def tallies(self, pool: Sequence[Problem]) -> Iterator[Tally]:
        """The counts of each problem that has some. Raises UserError with the problem whose column cannot be read."""
        for problem in pool:
            said = _number(problem, self.column)
            tried = _number(problem, self.tried) if isinstance(self.tried, str) else self.tried
            if said is None or tried is None:
                continue
            right = {"right": said, "wrong": tried - said, "rate": said * tried}[self.holds]
            whole = round(right)
            # a rate may have been written with few digits
            if not 0 <= whole <= tried or (self.holds != "rate" and right != whole):
                raise UserError(
                    f"problem {problem.id}: {self.column}={said:g} is no {self.holds} of {tried:g} tries; see attempts.….holds and tried"
                )
            if self.band and self.band.of != tried:
                raise UserError(
                    f"problem {problem.id}: keep={self.keep!r} counts {self.band.of} tries and {tried:g} were made; make them equal"
                )
            yield Tally(problem.id, whole, int(tried) - whole)


def _number(problem: Problem, column: str) -> float | None:
    value = problem.meta.get(column)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise UserError(f"problem {problem.id}: {column}={value!r} is no number")
    return number


@component
class RecordedStage(Stage):
    """Completions of a column as `attempts.jsonl`; nothing is generated."""

    module: ClassVar[str] = "limo.attempts"
    version: ClassVar[int] = 1
    products: ClassVar[tuple[str, ...]] = ("attempts.jsonl",)

    problems: Input
    column: str

    def run(self, folder: Path) -> None:
        pool = sorted(records.read(self.problems, Problem), key=lambda p: p.id)
        tries = [one for p in pool for one in records.unsampled(p.id, self._texts(p))]
        if not tries:
            raise UserError(f"attempts: no problem has completions in its column {self.column!r}; name another column")
        records.write(folder / "attempts.jsonl", tries)
        finish = Counter(a.finish for a in tries)
        summarise(folder, AttemptsSummary(len(pool), len(tries), {r: n / len(tries) for r, n in finish.items()}, 0))

    def _texts(self, problem: Problem) -> list[str]:
        texts = problem.meta.get(self.column) or []
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise UserError(f"problem {problem.id}: {self.column} is no list of texts; see attempts.….holds")
        return texts
