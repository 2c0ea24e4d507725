"""The candidates of a selection: solutions that came with the source and attempts of the sieves, one Example each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from limo.records import RIGHT, WRONG, Attempt, Example, Grade, Origin, Problem, Tally

Which = Literal["source", "attempts", "both"]
Verdicts = Literal["right", "wrong", "all"]


@dataclass(frozen=True)
class Tried:
    """What a sieve says of the problems, and the tries that may be learned from."""

    tallies: Sequence[Tally]
    attempts: Sequence[Attempt] = ()
    grades: Sequence[Grade] = ()


def candidates(
    problems: Iterable[Problem],
    sieves: Mapping[str, Tried] | None = None,
    checked: Sequence[Grade] = (),
    which: Which = "both",
    verdicts: Verdicts = "right",
) -> list[Example]:
    """Every solution that may be learned from, by id: `<problem>#<n>` of the source, `<problem>#<sieve>.<sample>` of a model.

    `scores` has what each sieve measured, in their order: `right.<sieve>` and `tried.<sieve>` tries, `response.<sieve>`, their mean
    characters, `solve_rate.<sieve>` where most were not cut, and `solve_rate`, that of the last sieve that has one. `checked` are
    grades of the source's solutions.
    """
    checks = {(g.problem, g.sample): g.verdict for g in checked}
    measured = _measured(sieves or {})
    tries = _tries(sieves or {}, verdicts) if which != "source" else {}
    pool = []
    for problem in problems:
        scores = measured.get(problem.id, {})
        if which != "attempts":
            for n, text in enumerate(problem.solutions):
                pool.append(_example(problem, f"{n}", text, checks.get((problem.id, n)), "source", scores))
        for name, text, verdict in tries.get(problem.id, ()):
            pool.append(_example(problem, name, text, verdict, "attempt", scores))
    return sorted(pool, key=lambda example: example.id)


def _measured(sieves: Mapping[str, Tried]) -> dict[str, dict[str, float]]:
    """Problem -> the scores that the sieves give it."""
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for name, sieve in sieves.items():
        for tally in (t for t in sieve.tallies if t.tried):
            found = {f"right.{name}": tally.right, f"tried.{name}": tally.tried}
            rates = {} if tally.rate is None else {f"solve_rate.{name}": tally.rate, "solve_rate": tally.rate}
            long = {} if tally.length is None else {f"response.{name}": tally.length}
            scores[tally.problem] |= found | rates | long
    return scores


def _tries(sieves: Mapping[str, Tried], verdicts: Verdicts) -> dict[str, list[tuple[str, str, str]]]:
    """Problem -> name, text and verdict of the tries at it that were asked for."""
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for name, sieve in sieves.items():
        graded = {(g.problem, g.sample): g.verdict for g in sieve.grades}
        for attempt in sieve.attempts:
            verdict = graded.get((attempt.problem, attempt.sample))
            wanted = verdict in {"right": RIGHT, "wrong": WRONG}.get(verdicts, (verdict,))
            if verdict is not None and wanted:
                found[attempt.problem].append((f"{name}.{attempt.sample}", attempt.text, verdict))
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
