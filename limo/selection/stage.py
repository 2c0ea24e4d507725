"""The stage that makes the training examples of the problems, their attempts and grades."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar

from limo import records
from limo.config import component
from limo.records import Attempt, Example, Grade, Problem, SelectionSummary, Tally
from limo.selection.candidates import Tried, candidates
from limo.selection.selection import Selection
from limo.selection.steps import Filter
from limo.stage import Input, Stage, summarise

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@component
class SelectionStage(Stage):
    """Select: `examples.jsonl`, best first with all scores, and `dropped.jsonl` with step and reason of the others."""

    module: ClassVar[str] = "limo.selection"
    version: ClassVar[int] = 4
    products: ClassVar[tuple[str, ...]] = ("examples.jsonl", "dropped.jsonl")

    problems: Input
    """Those that the sieves left."""
    sieves: tuple[str, ...] = ()
    """Names, in their order."""
    tallies: dict[str, Input] = field(default_factory=dict)
    """Sieve -> what it counted."""
    attempts: dict[str, Input] = field(default_factory=dict)
    """Sieve -> its tries, of those that have some; and their grades."""
    grades: dict[str, Input] = field(default_factory=dict)
    checked: Input | None = None
    """Grades of the source's own solutions, where they were graded (`sample` is the solution's place)."""
    selection: Selection
    seed: int

    def missing(self) -> list[str]:
        rank, _, sieve = (self.selection.rank or "").partition(".")
        asked = {
            f"rank={self.selection.rank}": rank != "solve_rate"
            or (sieve in self.sieves if sieve else bool(self.sieves)),
            f"candidates={self.selection.candidates}": self.selection.candidates == "source" or bool(self.attempts),
            **{f"teachers=[{name}]": name in self.attempts for name in self.selection.teachers or ()},
        }
        known = f"those of this run are {', '.join(self.sieves)}" if self.sieves else "choose a member of attempts"
        return [f"selection.{key} needs attempts at the problems; {known}" for key, there in asked.items() if not there]

    def run(self, folder: Path) -> None:
        problems = records.read(self.problems, Problem)
        pool = candidates(
            problems,
            {name: self._tried(name) for name in self.sieves},
            records.read(self.checked, Grade) if self.checked else (),
            self.selection.candidates,
            self.selection.verdicts,
        )
        outcome = self.selection.choose(pool, self.seed)
        reasons = [
            {"id": e.id, "step": step, "reason": why.reason, "value": why.value, "scores": e.scores}
            for e, step, why in outcome.dropped
        ]
        records.write(folder / "dropped.jsonl", reasons)
        records.write(folder / "examples.jsonl", outcome.kept)
        names = [name for name, step in self.selection.steps.items() if isinstance(step, Filter)]
        found = SelectionSummary(
            problems=len(problems),
            candidates=len(pool),
            origins=dict(Counter(e.origin for e in pool)),
            kept=len(outcome.kept),
            dropped={name: _reasons(reasons, name) for name in [*names, "level", "per_problem", "size"]},
            unmeasured={"solve_rate": sum("solve_rate" not in e.scores for e in pool)},
            scores={"pool": quantiles(outcome.scored), "kept": quantiles(outcome.kept)},
        )
        summarise(folder, found)

    def _tried(self, name: str) -> Tried:
        teachers = self.attempts if self.selection.teachers is None else self.selection.teachers
        tallies = records.read(self.tallies[name], Tally)
        if self.selection.candidates == "source" or name not in self.attempts or name not in teachers:
            return Tried(tallies)
        return Tried(tallies, records.read(self.attempts[name], Attempt), records.read(self.grades[name], Grade))


def _reasons(rows: list[dict[str, Any]], step: str) -> dict[str, int]:
    return dict(Counter(row["reason"] for row in rows if row["step"] == step))


def quantiles(examples: list[Example]) -> dict[str, dict[str, float]]:
    """Quantiles of every score: its name, then quantile -> value."""
    found: dict[str, dict[str, float]] = {}
    for name in sorted({name for e in examples for name in e.scores}):
        values = sorted(e.scores[name] for e in examples if name in e.scores)
        found[name] = {f"{q:g}": round(values[round(q * (len(values) - 1))], 6) for q in QUANTILES}
        found[name]["mean"] = round(statistics.fmean(values), 6)
    return found
