"""The attempts stage: a model samples answers to every problem; grading them is a stage of its own."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import ClassVar

from limo import records
from limo.attempts.attempts import Attempts
from limo.config import component
from limo.engine import Engine
from limo.models import Model
from limo.records import AttemptsSummary, Problem
from limo.stage import Input, Stage, summarise

log = logging.getLogger(__name__)


@component
class AttemptsStage(Stage):
    """Sample the model at every problem: `attempts.jsonl`, in the order of the problems and samples."""

    module: ClassVar[str] = "limo.attempts"
    version: ClassVar[int] = 4
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ("attempts.jsonl",)

    problems: Input
    attempts: Attempts
    model: Model
    """Who tries."""
    engine: Engine
    seed: int

    def missing(self) -> list[str]:
        return [
            *self.model.missing(),
            *self.engine.missing(self.model, self.attempts.sampling.longest(self.model)),
            *self.attempts.lacks(self.model),
        ]

    def notes(self) -> list[str]:
        return [f"attempts.sampling.{note}" for note in self.attempts.sampling.beyond(self.model)]

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
        if found.warning:
            log.info(f"! attempts: {found.warning}")
