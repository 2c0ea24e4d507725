"""The candidates of a selection: solutions that came with the source and attempts that were right, one Example each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from limo.records import Attempt, Example, Grade, Problem

Origin = Literal["source", "attempts", "both"]


def candidates(
    problems: Iterable[Problem],
    attempts: Sequence[Attempt] = (),
    grades: Sequence[Grade] = (),
    checked: Sequence[Grade] = (),
    origin: Origin = "both",
) -> list[Example]:
    """Every solution that may be learned from, by id: `<problem>#<n>` of the source, `<problem>#a<sample>` of a model.

    `scores.solve_rate` is the share of the problem's attempts that were right, where there were any; `meta.origin` and
    `meta.verdict` say where the solution is from and how it was graded. `checked` are grades of the source's solutions.
    """
    verdicts = {(g.problem, g.sample): g for g in grades}
    checks = {(g.problem, g.sample): g.verdict for g in checked}
    rates = solve_rates(grades)
    tries: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        tries[attempt.problem].append(attempt)
    pool = []
    for problem in problems:
        texts: list[tuple[str, str, str | None, str]] = []
        if origin != "attempts":
            texts += [(f"{n}", text, checks.get((problem.id, n)), "source") for n, text in enumerate(problem.solutions)]
        if origin != "source":
            for attempt in tries[problem.id]:
                grade = verdicts.get((problem.id, attempt.sample))
                if grade is not None and grade.correct:
                    texts.append((f"a{attempt.sample}", attempt.text, grade.verdict, "attempt"))
        scores = {"solve_rate": rates[problem.id]} if problem.id in rates else {}
        for name, text, verdict, place in texts:
            meta = {**problem.meta, "origin": place, "verdict": verdict}
            pool.append(
                Example(f"{problem.id}#{name}", problem.id, problem.question, problem.answer, text, dict(scores), meta)
            )
    return sorted(pool, key=lambda example: example.id)


def solve_rates(grades: Iterable[Grade]) -> dict[str, float]:
    """The share of right attempts of every problem that was tried."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for grade in grades:
        outcomes[grade.problem].append(grade.correct)
    return {problem: sum(held) / len(held) for problem, held in outcomes.items()}
