"""Which of a question's answers are the same answer: majority votes count classes of equal answers, not strings."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from limo.grading import Case, Rules, grade_all
from limo.records import Grade, Problem

RIGHT = -1
"""The class of answers equal to the gold answer."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def classes(
    problems: Sequence[Problem], grades: Sequence[Grade], rules: Rules, jobs: int
) -> dict[str, list[int | None]]:
    """For each question the class of each sample's answer, in the order of samples; None where there was no answer.

    Answers graded right are one class. Wrong ones are compared with each other by the rules of grading, in workers
    that can be killed: two that cannot be compared in time count as different.
    """
    found: dict[str, list[Grade]] = defaultdict(list)
    for grade in sorted(grades, key=lambda g: g.sample):
        found[grade.problem].append(grade)
    wrong = {id_: list(dict.fromkeys(_key(g) for g in rows if _votes(g))) for id_, rows in found.items()}
    equal = _equal(problems, wrong, rules, jobs)
    result: dict[str, list[int | None]] = {}
    for id_, rows in found.items():
        named: dict[str, int] = {}
        for text in wrong[id_]:
            same = (named[other] for other in named if (id_, other, text) in equal)
            named[text] = next(same, len(named))
        result[id_] = [RIGHT if g.correct else named[_key(g)] if _votes(g) else None for g in rows]
    return result


def _votes(grade: Grade) -> bool:
    return not grade.correct and grade.answer is not None and bool(grade.answer.strip())


def _key(grade: Grade) -> str:
    return (grade.answer or "").strip()


def _equal(
    problems: Sequence[Problem], answers: dict[str, list[str]], rules: Rules, jobs: int
) -> set[tuple[str, str, str]]:
    """The pairs (question, earlier answer, later answer) that are equal, in either direction of comparison."""
    equal: set[tuple[str, str, str]] = set()
    cases: list[Case] = []
    pairs: list[tuple[str, str, str]] = []
    for problem in problems:
        kind = problem.gold.type
        for a, b in itertools.combinations(answers.get(problem.id, []), 2):
            if NUMBER.fullmatch(a) and NUMBER.fullmatch(b):
                if Decimal(a) == Decimal(b):
                    equal.add((problem.id, a, b))
            elif kind != "letter":
                for gold, other in ((a, b), (b, a)):
                    cases.append(Case(gold=gold, response=f"\\boxed{{{other}}}", answer_type=kind))
                    pairs.append((problem.id, a, b))
    verdicts = grade_all(cases, rules, jobs) if cases else []
    equal.update(pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.correct)
    return equal
