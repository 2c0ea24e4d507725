"""How often a problem was solved: verdicts counted by kind, and the bounds that a sieve sets on the right ones."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from limo.records.answers import RIGHT, Grade
from limo.records.record import record

WRONG = ("wrong", "judge_wrong")
"""Verdicts on an answer that is another than the gold one."""
BAND = re.compile(r"(\d+)(?:\s*\.\.\s*(\d+))?\s+of\s+(\d+)")


@record
class Tally:
    """The tries at one problem, by how they ended, and what a sieve makes of it."""

    problem: str
    right: int
    wrong: int
    """With another answer."""
    cut: int = 0
    """Ended before an answer: what they would have come to is not known."""
    unparsed: int = 0
    """Ended without an answer that can be compared."""
    low: float | None = None
    """95 % interval of the rate, where there is one."""
    high: float | None = None
    length: float | None = None
    """Mean characters of the tries, whatever they came to."""
    dropped: str | None = None
    """Why the sieve leaves it out: `too easy`, `too hard`, `not tried`; None where it stays."""

    @property
    def tried(self) -> int:
        return self.right + self.wrong + self.cut + self.unparsed

    @property
    def rate(self) -> float | None:
        """The share of right tries; None without tries, and where most were cut: then nobody knows how hard it is."""
        return self.right / self.tried if self.tried and 2 * self.cut <= self.tried else None


def tallied(grades: Iterable[Grade]) -> dict[str, Tally]:
    """Problem -> its verdicts counted."""
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    for grade in grades:
        kinds[grade.problem][_kind(grade.verdict)] += 1
    return {p: Tally(p, c["right"], c["wrong"], c["cut"], c["unparsed"]) for p, c in kinds.items()}


def _kind(verdict: str) -> str:
    """A verdict as it is counted."""
    if verdict in RIGHT:
        return "right"
    return "wrong" if verdict in WRONG else "cut" if verdict == "truncated" else "unparsed"


@dataclass(frozen=True, slots=True)
class Band:
    """From `low` to `high` right tries `of` so many: counts, for a share means one thing with 4 tries and another with 32."""

    low: int
    high: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Band:
        """`0 of 4`, `1..3 of 32`. Raises ValueError."""
        if not (found := BAND.fullmatch(text.strip())):
            raise ValueError(f"{text!r} is no count of right tries; write '0 of 4' or '1..3 of 32'")
        low, of = int(found[1]), int(found[3])
        high = int(found[2] or low)
        if not low <= high <= of:
            raise ValueError(f"{text!r} can hold for no problem; write counts with 0 <= low <= high <= {of}")
        return cls(low, high, of)

    def fault(self, right: int) -> str | None:
        """Why a problem with so many right tries lies outside; None inside."""
        return "too hard" if right < self.low else "too easy" if right > self.high else None

    def lost(self, right: int, tried: int) -> bool:
        """Whether a problem lies outside whatever its further tries come to."""
        return right > self.high or right + self.of - tried < self.low

    def rounds(self) -> list[int]:
        """How many tries each problem has had at the end of each round: as many as can decide one, then twice as many."""
        ends = [min(self.high, self.of - self.low) + 1]
        while ends[-1] < self.of:
            ends.append(2 * ends[-1])
        return [*ends[:-1], self.of]


@record
class Disputed:
    """A gold answer that many tries contradict: it may be the gold that is wrong."""

    problem: str
    gold: str
    other: str
    """The answer on which they agree."""
    agree: int
    parsed: int
    """Tries with an answer that can be compared."""
    chance: float = 0.0
    """At most how likely it is that guesses agree so often anywhere in the pool."""
