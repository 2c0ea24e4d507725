"""The task that grades the tries of a sieve, counts them by problem, and leaves the problems that its rule keeps."""

from __future__ import annotations

import logging
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from limo import UserError, records
from limo.attempts.recorded import Recorded
from limo.config import component
from limo.grading import Case, Rules, graded
from limo.records import Band, Disputed, Grade, Problem, SieveSummary, Tally
from limo.stage import Input, Stage, summarise
from limo.statistics import at_least, jeffreys

log = logging.getLogger(__name__)

AGREE = 3
"""Tries that must agree on another answer before a gold one is disputed: two may make the same slip."""
UNLIKELY = 0.05
"""Chance, over a whole pool, below which so many do not agree by guessing."""


@component
class SievingStage(Stage):
    """Grade the tries (`grades.jsonl`, one Grade a try), count them (`tallies.jsonl`, one Tally a problem that was there), and
    write what stays (`problems.jsonl`) and golds that many tries contradict (`disputed.jsonl`).
    """

    module: ClassVar[str] = "limo.attempts"
    version: ClassVar[int] = 2
    products: ClassVar[tuple[str, ...]] = ("grades.jsonl", "tallies.jsonl", "problems.jsonl", "disputed.jsonl")

    problems: Input
    attempts: Input | None
    """The tries; None where the sieve has their counts from a column."""
    rules: Rules
    keep: str | None = None
    counts: Recorded | None = None

    def run(self, folder: Path) -> None:
        started = time.monotonic()
        pool = records.read(self.problems, Problem)
        grades = graded(self.problems, self.attempts, self.rules) if self.attempts else []
        counted = {t.problem: t for t in self.counts.tallies(pool)} if self.counts else records.tallied(grades)
        if not counted:
            raise UserError("attempts: none of the problems was tried; see its column, or attempts.….limit")
        tallies = list(self._judged(pool, counted, _lengths(self.attempts)))
        stay = {t.problem for t in tallies if t.dropped is None}
        doubts = list(disputed(pool, grades, self.rules))
        records.write(folder / "grades.jsonl", grades)
        records.write(folder / "tallies.jsonl", tallies)
        records.write(folder / "problems.jsonl", [p for p in pool if p.id in stay])
        records.write(folder / "disputed.jsonl", doubts)
        rates = [rate for t in tallies if (rate := t.rate) is not None]
        even = len({t.tried for t in tallies if t.tried}) == 1
        found = SieveSummary(
            problems=len(pool),
            left=len(stay),
            dropped=dict(Counter(t.dropped for t in tallies if t.dropped).most_common()),
            right=sum(t.right for t in tallies),
            wrong=sum(t.wrong for t in tallies),
            cut=sum(t.cut for t in tallies),
            unparsed=sum(t.unparsed for t in tallies),
            measured=len(rates),
            rate=statistics.fmean(rates) if rates and even else None,
            disputed=len(doubts),
            verdicts=dict(Counter(g.verdict for g in grades).most_common()),
            rules=dict(Counter(g.rule for g in grades).most_common()),
            seconds=round(time.monotonic() - started, 1),
        )
        summarise(folder, found)
        told = ", ".join(f"{count} {reason}" for reason, count in found.dropped.items()) or "none dropped"
        log.info(f"{found.left} of {found.problems} problems are left ({told})")
        if not stay:
            raise UserError(f"attempts: keep={self.keep!r} leaves none of {len(pool)} problems ({told}); widen it")

    def _judged(
        self, pool: Sequence[Problem], counted: Mapping[str, Tally], lengths: Mapping[str, float]
    ) -> Iterator[Tally]:
        """Every problem with its counts, the interval of its rate, and why it is left out where it is."""
        band = Band.parse(self.keep) if self.keep else None
        for problem in pool:
            if (tally := counted.get(problem.id)) is None:
                yield Tally(problem.id, 0, 0, dropped="not tried" if band else None)
                continue
            low, high = (None, None) if tally.rate is None else jeffreys(tally.right, tally.tried)
            reason = band.fault(tally.right) if band else None
            if band and tally.tried < band.of:  # stopped by grades that a timeout may have changed since
                reason = reason or "not tried"
            yield replace(tally, low=low, high=high, length=lengths.get(problem.id), dropped=reason)


def _lengths(attempts: Path | None) -> dict[str, float]:
    """Problem -> mean characters of the tries at it."""
    found: dict[str, list[int]] = defaultdict(list)
    for _, row in records.rows(attempts) if attempts else ():
        found[row["problem"]].append(len(row["text"]))
    return {problem: round(statistics.fmean(counts), 1) for problem, counts in found.items()}


def disputed(pool: Sequence[Problem], grades: Sequence[Grade], rules: Rules) -> Iterator[Disputed]:
    """The golds of which at least half of the parsed tries, and AGREE of them, agree on another answer, by the rules of grading,
    and more than chance explains: guesses agree too, the more often the fewer answers there are to guess.

    By chance a try gives an answer as often as the tries at all other problems give it. Every wrong answer at every problem is a
    test; `chance` is Bonferroni's bound over all of them.
    """
    parsed: dict[str, list[Grade]] = defaultdict(list)
    for grade in grades:
        if grade.answer and (grade.correct or grade.verdict == "wrong"):
            parsed[grade.problem].append(grade)
    given = Counter(str(g.answer) for tries in parsed.values() for g in tries)
    wrong = {id: Counter(str(g.answer) for g in tries if not g.correct) for id, tries in parsed.items()}
    tests = sum(map(len, wrong.values()))
    golds = {p.id: p for p in pool if p.id in wrong and wrong[p.id].total() >= max(AGREE, len(parsed[p.id]) / 2)}
    for id, same in _agreed({id: (problem, wrong[id]) for id, problem in golds.items()}, rules).items():
        own, count = Counter(str(g.answer) for g in parsed[id]), len(parsed[id])
        agree = sum(wrong[id][text] for text in same)
        elsewhere, others = sum(given[text] - own[text] for text in same), given.total() - count
        chance = min(1.0, tests * at_least(agree, count, (elsewhere + 0.5) / (others + 1)))
        if agree >= AGREE and 2 * agree >= count and chance < UNLIKELY:
            yield Disputed(id, golds[id].answer, wrong[id].most_common(1)[0][0], agree, count, chance)


def _agreed(asked: Mapping[str, tuple[Problem, Counter[str]]], rules: Rules) -> dict[str, set[str]]:
    """Problem -> the spellings of its commonest wrong answer."""
    from limo.grading import grade_all

    tops = {id: wrong.most_common(1)[0][0] for id, (_, wrong) in asked.items()}
    spelled = [(id, text) for id, (_, wrong) in asked.items() for text in wrong if text != tops[id]]
    cases = [Case(tops[id], f"\\boxed{{{text}}}", asked[id][0].gold.type) for id, text in spelled]
    same = {id: {top} for id, top in tops.items()}
    for (id, text), grade in zip(spelled, grade_all(cases, rules), strict=True):
        if grade.correct:
            same[id].add(text)
    return same
