"""Benchmark questions that stand in the pool, found by shared runs of tokens."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from limo.config import choice
from limo.data.text import tokens
from limo.records import Problem

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A problem of the pool that holds a benchmark question, or much of it."""

    benchmark: str
    problem: str
    """Id of the benchmark's problem."""
    method: str
    """`same` (all tokens), `long` (a run of `long` tokens), `share` (enough of its short runs)."""
    score: float
    """Share of the benchmark question's short runs that the problem holds."""
    text: str
    """What they have in common, as tokens."""


@choice
class Decontamination:
    """A problem leaks when it shares one long run of tokens with a benchmark question, or a share of its short runs.

    Tokens are words, numbers, LaTeX commands and single ideographs, so typesetting and language don't matter
    (a paraphrase or a translation is not found). Questions shorter than a run are compared whole.
    """

    long: int = 13
    """One shared run of so many tokens is enough; 0 switches this rule off."""
    short: int = 5
    """Length of the runs whose share counts; 0 switches this rule off."""
    share: float = 0.3
    """Share of the benchmark question's short runs that is enough."""
    common: int = 3
    """A run that stands in so many different benchmark questions is a stock phrase and no sign of a leak; 0 counts all runs."""
    action: Literal["drop", "report"] = "drop"
    """`report` keeps the problem and writes the pair down."""
    absent: Literal["stop", "report"] = "stop"
    """When a benchmark's questions cannot be read here: stop, or go on without them and say so."""

    def __post_init__(self) -> None:
        if self.long < 0 or self.short < 0:
            raise ValueError(f"long={self.long}, short={self.short} must be 0 (off) or more")
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share} must be above 0 and at most 1")

    def find(self, problems: Iterable[Problem], protected: Mapping[str, Sequence[Problem]]) -> dict[str, Match]:
        """The leaking problems by id, each with the benchmark question that it holds most of."""
        index = _Index(self, protected)
        return {problem.id: match for problem in problems if (match := index.match(problem.question)) is not None}


class _Index:
    """The runs of all benchmark questions, and where each stands."""

    def __init__(self, rule: Decontamination, protected: Mapping[str, Sequence[Problem]]) -> None:
        self.rule = rule
        self.items = [(name, p.id, tokens(p.question)) for name, problems in protected.items() for p in problems]
        self.same: dict[Gram, int] = {}
        for number, (_, _, held) in enumerate(self.items):
            self.same.setdefault(held, number)
        self.long = self._runs(rule.long)
        self.short = self._runs(rule.short)
        self.sizes = Counter(number for places in self.short.values() for number in places)

    def _runs(self, length: int) -> dict[Gram, list[int]]:
        places: dict[Gram, list[int]] = defaultdict(list)
        for number in self.same.values():
            for gram in set(grams(self.items[number][2], length)):
                places[gram].append(number)
        if self.rule.common:
            return {gram: held for gram, held in places.items() if len(held) < self.rule.common}
        return dict(places)

    def match(self, question: str) -> Match | None:
        text = tokens(question)
        if not text:
            return None
        shared: Counter[int] = Counter()
        for gram in set(grams(text, self.rule.short)):
            shared.update(self.short.get(gram, ()))
        scores = {number: count / self.sizes[number] for number, count in shared.items()}
        if (number := self.same.get(text)) is not None:
            return self._found(number, "same", 1.0, text)
        for gram in grams(text, self.rule.long):
            if held := self.long.get(gram):
                number = max(held, key=lambda n: scores.get(n, 0.0))
                return self._found(number, "long", scores.get(number, 0.0), gram)
        if scores:
            number = max(scores, key=lambda n: (scores[n], -n))
            if scores[number] >= self.rule.share:
                wanted = set(grams(self.items[number][2], self.rule.short))
                return self._found(number, "share", scores[number], longest(text, wanted, self.rule.short))
        return None

    def _found(self, number: int, method: str, score: float, text: Gram) -> Match:
        benchmark, problem, _ = self.items[number]
        return Match(benchmark, problem, method, round(score, 4), " ".join(text))


def grams(text: Gram, length: int) -> list[Gram]:
    """All runs of so many tokens, in order; none for length 0 or a shorter text."""
    return [text[i : i + length] for i in range(len(text) - length + 1)] if length else []


def longest(text: Gram, wanted: set[Gram], length: int) -> Gram:
    """The longest run of a text that is made of wanted runs."""
    best: Gram = ()
    begin = 0
    for position, gram in enumerate(grams(text, length)):
        if gram not in wanted:
            begin = position + 1
        elif position + length - begin > len(best):
            best = text[begin : position + length]
    return best
