"""Problems of a pool that stand twice or have no answer: which stay, and why each of the others is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limo.data.contamination import Match
from limo.data.near import groups, jaccard, similar
from limo.data.sift import Seen
from limo.records import record

Reason = Literal[
    "bad row",
    "no answer",
    "duplicate",
    "duplicate with another answer",
    "near duplicate",
    "benchmark question",
    "benchmark question in other words",
    "not judged",
]


@record
class LeftOut:
    """A problem that is left out of the pool, a line of `dropped.jsonl`."""

    id: str
    question: str
    reason: Reason
    of: str | None = None
    """Of a duplicate: the problem whose question it repeats."""
    of_question: str | None = None
    share: float | None = None
    """Of a near duplicate: the share of runs of three tokens that both questions have."""
    match: Match | None = None
    """Of a benchmark question: which, and how it was found."""
    why: str | None = None
    """Of a bad row, whose id is its place: what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What is left of a pool."""

    kept: dict[str, Seen]
    dropped: list[LeftOut]
    same: dict[str, str]
    """Duplicates whose answers agree -> the problem that they repeat."""


def clean(pool: Sequence[Seen], duplicates: str, near: float | None) -> Cleaned:
    """The problems that have an answer and a question of their own, and the others; `duplicates` and `near` as in `Table`."""
    done = Cleaned({}, [], {})
    first: dict[bytes, Seen] = {}
    for problem in pool:
        held = first.setdefault(problem.mark, problem) if problem.answer and duplicates != "keep" else problem
        if not problem.answer:
            done.dropped.append(LeftOut(problem.id, problem.question, "no answer"))
        elif held is problem:
            done.kept[problem.id] = problem
        else:
            agrees = held.answer == problem.answer
            reason: Reason = "duplicate" if agrees else "duplicate with another answer"
            done.dropped.append(LeftOut(problem.id, problem.question, reason, held.id, held.question))
            done.same.update({problem.id: held.id} if agrees else {})
    if near is not None and duplicates != "keep":
        _drop_near(done, near)
    return done


def _drop_near(done: Cleaned, least: float) -> None:
    """Of each group of questions nearly alike, with one answer, the smallest id stays."""
    pool = list(done.kept.values())
    pairs = similar([p.question for p in pool], [p.bands for p in pool], least)
    tops = groups(((a, b) for a, b in pairs if pool[a].answer == pool[b].answer), len(pool))
    alike: dict[int, list[Seen]] = defaultdict(list)
    for problem, top in zip(pool, tops, strict=True):
        alike[top].append(problem)
    moved = {}
    for group in alike.values():
        stays, *others = sorted(group, key=lambda p: p.id)
        for problem in others:
            del done.kept[problem.id]
            share = round(jaccard(problem.question, stays.question), 4)
            done.dropped.append(
                LeftOut(problem.id, problem.question, "near duplicate", stays.id, stays.question, share)
            )
            moved[problem.id] = stays.id
    done.same.update({id: moved.get(of, of) for id, of in done.same.items()} | moved)
