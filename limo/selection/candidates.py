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

    `scores.solve_rate` is the share of the problem's attempts that were right, where most were not cut.
    `checked` are grades of the source's solutions.
    """
    checks = {(g.problem, g.sample): g.verdict for g in checked}
    rates, right = solve_rates(grades), _right(attempts, grades)
    pool = []
    for problem in problems:
        scores = {"solve_rate": rates[problem.id]} if problem.id in rates else {}
        if which != "attempts":
            for n, text in enumerate(problem.solutions):
                pool.append(_example(problem, f"{n}", text, checks.get((problem.id, n)), "source", scores))
        if which != "source":
            for attempt, verdict in right[problem.id]:
                pool.append(_example(problem, f"a{attempt.sample}", attempt.text, verdict, "attempt", scores))
    return sorted(pool, key=lambda example: example.id)


def _right(attempts: Sequence[Attempt], grades: Sequence[Grade]) -> dict[str, list[tuple[Attempt, str]]]:
    """The right attempts at each problem, each with its verdict."""
    verdicts = {(g.problem, g.sample): g.verdict for g in grades if g.correct}
    found: dict[str, list[tuple[Attempt, str]]] = defaultdict(list)
    for attempt in attempts:
        if verdict := verdicts.get((attempt.problem, attempt.sample)):
            found[attempt.problem].append((attempt, verdict))
    return found


def _example(
    problem: Problem, name: str, text: str, verdict: str | None, origin: Origin, scores: dict[str, float]
) -> Example:
    return Example(
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


def solve_rates(grades: Iterable[Grade]) -> dict[str, float]:
    """The share of right attempts of every problem that was measured: of one most of whose attempts were cut before an answer
    nobody knows how hard it is.
    """
    outcomes: dict[str, list[Grade]] = defaultdict(list)
    for grade in grades:
        outcomes[grade.problem].append(grade)
    measured = {p: held for p, held in outcomes.items() if 2 * sum(g.verdict == "truncated" for g in held) <= len(held)}
    return {problem: sum(g.correct for g in held) / len(held) for problem, held in measured.items()}
