"""Attempts of a model at each problem: how many are right is the difficulty, the right ones are candidate solutions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from limo import records
from limo.config import component
from limo.engine import Sampling
from limo.grading.rules import Rules
from limo.models import Model
from limo.records import AttemptsSummary, Problem
from limo.stage import Input, Stage, summarise


@component
class Attempts:
    """Who tries the problems, how often, and how the tries are graded."""

    sampling: Sampling
    model: Model | None = None
    """Who tries; null takes the model of the run."""
    rules: Rules
    """Rules by which the tries are graded."""
    limit: int | None = None
    """Only the first so many problems, by id; null tries all."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} must be 1 or more, or null for all problems")


@component
class AttemptsStage(Stage):
    """Sample the model at every problem: `attempts.jsonl`, in the order of the problems and samples."""

    module: ClassVar[str] = "limo.attempts"
    version: ClassVar[int] = 1

    problems: Input
    attempts: Attempts
    model: Model
    """Who tries."""
    engine: Any
    """A `limo.engine.Engine`."""
    seed: int

    def missing(self) -> list[str]:
        return [*self.model.missing(), *self.engine.missing(self.model)]

    def run(self, folder: Path) -> None:
        from limo.engine.sampling import sample

        pool = sorted(records.read(self.problems, Problem), key=lambda p: p.id)[: self.attempts.limit]
        questions = [(p.id, p.question) for p in pool]
        tries = sample(self.engine, self.model, questions, self.attempts.sampling, self.seed, "attempts", self.store)
        records.write(folder / "attempts.jsonl", tries)
        finish = Counter(a.finish for a in tries)
        found = AttemptsSummary(
            problems=len(pool),
            attempts=len(tries),
            finish={reason: count / len(tries) for reason, count in finish.most_common()},
            tokens=sum(a.tokens for a in tries),
        )
        summarise(folder, found)
