"""The stage that makes the training examples of the problems, their attempts and grades."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from limo import records
from limo.config import component
from limo.records import Attempt, Example, Grade, Problem, SelectionSummary
from limo.selection.candidates import candidates
from limo.selection.selection import Selection
from limo.selection.steps import Filter
from limo.stage import Input, Stage, summarise

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@component
class SelectionStage(Stage):
    """Select: `examples.jsonl`, best first with all scores, and `dropped.jsonl` with step and reason of the others."""

    module: ClassVar[str] = "limo.selection"
    version: ClassVar[int] = 3
    products: ClassVar[tuple[str, ...]] = ("examples.jsonl", "dropped.jsonl")

    problems: Input
    attempts: Input | None = None
    grades: Input | None = None
    """Grades of the attempts."""
    checked: Input | None = None
    """Grades of the source's own solutions, where they were graded (`sample` is the solution's place)."""
    selection: Selection
    seed: int

    def missing(self) -> list[str]:
        if self.attempts is not None:
            return []
        asked = [f"rank={self.selection.rank}"] if self.selection.rank == "solve_rate" else []
        asked += [f"candidates={self.selection.candidates}"] if self.selection.candidates != "source" else []
        return [f"selection.{key} needs attempts at the problems; choose a member of attempts" for key in asked]

    def run(self, folder: Path) -> None:
        problems = records.read(self.problems, Problem)
        pool = candidates(
            problems,
            records.read(self.attempts, Attempt) if self.attempts else (),
            records.read(self.grades, Grade) if self.grades else (),
            records.read(self.checked, Grade) if self.checked else (),
            self.selection.candidates,
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
