"""The stage that grades the attempts at a pool of problems."""

from __future__ import annotations

import collections
import time
from pathlib import Path
from typing import ClassVar

from limo import UserError, records
from limo.config import component, runtime
from limo.grading.rules import Case, Rules
from limo.records import Attempt, Grade, GradingSummary, Problem
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
        started = time.monotonic()
        grades = graded(self.problems, self.attempts, self.rules, self.jobs)
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


def graded(problems: Path, attempts: Path, rules: Rules, jobs: int = 0) -> list[Grade]:
    """The grades of the attempts in one file at the problems in another, in their order. Raises UserError for an attempt at none
    of them.
    """
    from limo.grading.decide import grade_all

    known = {problem.id: problem for problem in records.read(problems, Problem)}
    tries = records.read(attempts, Attempt)
    for attempt in tries:
        if attempt.problem not in known:
            raise UserError(
                f"{attempts}: there is an attempt at {attempt.problem}, which {problems} does not hold; "
                "give the problems that were attempted"
            )
    return grade_all([case(known[attempt.problem], attempt) for attempt in tries], rules, jobs, title="grading")


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
