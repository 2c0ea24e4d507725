"""Problems of a pool that stand twice or have no answer: which stay, and why each of the others is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from limo.data.contamination import Match
from limo.data.progress import bar
from limo.data.text import text_hash
from limo.records import Problem, record


@record
class LeftOut:
    """A problem that is left out of the pool, a line of `dropped.jsonl`."""

    id: str
    question: str
    reason: Literal["bad row", "no answer", "duplicate", "duplicate with another answer", "benchmark question"]
    of: str | None = None
    """Of a duplicate: the problem whose question it repeats."""
    match: Match | None = None
    """Of a benchmark question: which, and how it was found."""
    why: str | None = None
    """Of a bad row, whose id is its place: what is wrong with it."""


def clean(pool: Sequence[Problem], duplicates: str) -> tuple[list[Problem], list[LeftOut]]:
    """The problems that have an answer and a question of their own, and the others; `duplicates` as in `Table`."""
    kept: dict[str, Problem] = {}
    dropped: list[LeftOut] = []
    first: dict[bytes, str] = {}
    for problem in bar(pool, "comparing", "problem"):
        if not problem.answer:
            dropped.append(LeftOut(problem.id, problem.question, "no answer"))
            continue
        held = kept.get(first.setdefault(text_hash(problem.question), problem.id)) if duplicates != "keep" else None
        if held is None:
            kept[problem.id] = problem
            continue
        agrees = held.answer == problem.answer
        reason: Literal["duplicate", "duplicate with another answer"]
        reason = "duplicate" if agrees else "duplicate with another answer"
        dropped.append(LeftOut(problem.id, problem.question, reason, held.id))
        if agrees and duplicates == "merge":
            more = tuple(s for s in problem.solutions if s not in held.solutions)
            kept[held.id] = dataclasses.replace(held, solutions=(*held.solutions, *more))
    return list(kept.values()), dropped
