"""The candidates of a selection: solutions that came with the source and attempts that were right, one Example each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from limo.records import Attempt, Example, Grade, Origin, Problem

Which = Literal["source", "attempts", "both"]


def candidates(
    problems: Iterable[Problem],
    attempts: Sequence[Attempt] = (),
    grades: Sequence[Grade] = (),
    checked: Sequence[Grade] = (),
    which: Which = "both",
) -> list[Example]:
    """Every solution that may be learned from, by id: `<problem>#<n>` of the source, `<problem>#a<sample>` of a model.

    `scores.solve_rate` is the share of the problem's attempts that were right, where there were any.
    `checked` are grades of the source's solutions.
    """
    verdicts = {(g.problem, g.sample): g for g in grades}
    checks = {(g.problem, g.sample): g.verdict for g in checked}
    rates = solve_rates(grades)
    tries: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        tries[attempt.problem].append(attempt)
    pool = []
    for problem in problems:
        texts: list[tuple[str, str, str | None, Origin]] = []
        if which != "attempts":
            texts += [(f"{n}", text, checks.get((problem.id, n)), "source") for n, text in enumerate(problem.solutions)]
        if which != "source":
            for attempt in tries[problem.id]:
                grade = verdicts.get((problem.id, attempt.sample))
                if grade is not None and grade.correct:
                    texts.append((f"a{attempt.sample}", attempt.text, grade.verdict, "attempt"))
        scores = {"solve_rate": rates[problem.id]} if problem.id in rates else {}
        for name, text, verdict, origin in texts:
            pool.append(
                Example(
                    id=f"{problem.id}#{name}",
                    problem=problem.id,
                    question=problem.question,
                    answer=problem.answer,
                    solution=text,
                    origin=origin,
                    verdict=verdict,
                    scores=dict(scores),
                    meta=problem.meta,
                )
            )
    return sorted(pool, key=lambda example: example.id)


def solve_rates(grades: Iterable[Grade]) -> dict[str, float]:
    """The share of right attempts of every problem that was tried."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for grade in grades:
        outcomes[grade.problem].append(grade.correct)
    return {problem: sum(held) / len(held) for problem, held in outcomes.items()}
