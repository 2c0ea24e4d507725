"""The stage that grades the attempts at a pool of problems."""

from __future__ import annotations

import collections
import time
from pathlib import Path
from typing import ClassVar

from limo import UserError, records
from limo.config import component, runtime
from limo.grading.rules import Case, Rules
from limo.records import Attempt, GradingSummary, Problem
from limo.stage import Input, Stage, summarise


@component
class GradingStage(Stage):
    """Grade every attempt against its problem's gold answer: `grades.jsonl`, one Grade an attempt, in the order of the attempts."""

    module: ClassVar[str] = "limo.grading"
    version: ClassVar[int] = 3
    products: ClassVar[tuple[str, ...]] = ("grades.jsonl",)

    problems: Input
    attempts: Input
    rules: Rules = Rules()
    jobs: int = runtime(default=0)
    """Worker processes; 0 takes one a core."""

    def run(self, folder: Path) -> None:
        from limo.grading.decide import grade_all

        started = time.monotonic()
        problems = {problem.id: problem for problem in records.read(self.problems, Problem)}
        attempts = records.read(self.attempts, Attempt)
        for attempt in attempts:
            if attempt.problem not in problems:
                raise UserError(
                    f"{self.attempts}: there is an attempt at {attempt.problem}, which {self.problems} does not hold; "
                    "give the problems that were attempted"
                )
        cases = [case(problems[attempt.problem], attempt) for attempt in attempts]
        grades = grade_all(cases, self.rules, self.jobs, title="grading")
        records.write(folder / "grades.jsonl", grades)
        counts = collections.Counter(grade.verdict for grade in grades)
        found = GradingSummary(
            attempts=len(grades),
            problems=len({grade.problem for grade in grades}),
            accuracy=counts["correct"] / len(grades) if grades else None,
            verdicts=dict(counts.most_common()),
            rules=dict(collections.Counter(grade.rule for grade in grades).most_common()),
            seconds=round(time.monotonic() - started, 1),
        )
        summarise(folder, found)


def case(problem: Problem, attempt: Attempt) -> Case:
    """What grading needs of a problem and an attempt at it."""
    gold = problem.gold
    return Case(
        gold=gold.value,
        response=attempt.text,
        answer_type=gold.type,
        finish=attempt.finish,
        choices=gold.choices,
        problem=problem.id,
        sample=attempt.sample,
    )
