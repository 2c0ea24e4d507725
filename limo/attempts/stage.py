"""The attempts stage: a model samples answers to the problems that are left; what they are worth is graded by a task of its own."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from limo import records
from limo.attempts.attempts import Attempts
from limo.config import component, runtime
from limo.engine import Engine
from limo.models import Model
from limo.records import Attempt, AttemptsSummary, Problem
from limo.stage import Input, Stage, summarise

log = logging.getLogger(__name__)


@component
class AttemptsStage(Stage):
    """Sample the model at every problem: `attempts.jsonl`, in the order of the problems and samples."""

    module: ClassVar[str] = "limo.attempts"
    version: ClassVar[int] = 5
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ("attempts.jsonl",)

    problems: Input
    attempts: Attempts
    model: Model
    """Who tries."""
    engine: Engine
    seed: int
    name: str = runtime(default="")
    """The sieve's, for what is said."""

    def missing(self) -> list[str]:
        return [
            *self.model.missing(),
            *self.engine.missing(self.model, self.attempts.sampling.longest(self.model)),
            *self.attempts.lacks(self.name, self.model),
        ]

    def notes(self) -> list[str]:
        return [f"attempts.{self.name}.sampling.{note}" for note in self.attempts.sampling.beyond(self.model)]

    def run(self, folder: Path) -> None:
        pool = sorted(records.read(self.problems, Problem), key=lambda p: p.id)[: self.attempts.limit]
        tries = self._tries(pool)
        records.write(folder / "attempts.jsonl", tries)
        finish = Counter(a.finish for a in tries)
        found = AttemptsSummary(
            problems=len(pool),
            attempts=len(tries),
            finish={reason: count / len(tries) for reason, count in finish.most_common()},
            tokens=sum(a.tokens for a in tries),
        )
        summarise(folder, found)
        if warning := found.warning(self.name):
            log.info(f"! {warning}")

    def _tries(self, pool: Sequence[Problem]) -> list[Attempt]:
        """Every try, in rounds: a problem that the tries so far leave out whatever comes is tried no more."""
        from limo.engine.sampling import sample

        sampling, band = self.attempts.sampling, self.attempts.band if self.attempts.stop else None
        ends = band.rounds() if band else [sampling.samples]
        made: dict[str, list[Attempt]] = {}
        right: Counter[str] = Counter()
        for before, end in zip([0, *ends], ends, strict=False):
            questions = [(p.id, p.question) for p in pool]
            so_far = replace(sampling, samples=end)  # the tries of earlier rounds are in the log of completions
            tries = sample(self.engine, self.model, questions, so_far, self.seed, "attempts", self.store)
            made |= {p.id: tries[n * end : (n + 1) * end] for n, p in enumerate(pool)}
            if band and end < band.of:
                right += self._right(pool, [a for a in tries if a.sample >= before])
                pool = [p for p in pool if not band.lost(right[p.id], end)]
                log.info(f"after {end} of {band.of} tries: {len(pool)} of {len(made)} problems go on")
            if not pool:
                break
        return [a for tries in made.values() for a in tries]

    def _right(self, pool: Sequence[Problem], tries: Sequence[Attempt]) -> Counter[str]:
        """Problem -> how many of these tries are right."""
        from limo.grading import grade_all
        from limo.grading.stage import case

        problems = {p.id: p for p in pool}
        grades = grade_all([case(problems[a.problem], a) for a in tries], self.attempts.rules, title="grading")
        return Counter(grade.problem for grade in grades if grade.correct)
