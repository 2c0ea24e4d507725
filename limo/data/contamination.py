"""Benchmark questions that stand in the pool, found by shared runs of tokens."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from limo.config import component
from limo.data.progress import bar
from limo.data.text import tokens
from limo.records import Problem

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """What a problem of the pool has in common with the benchmark question that it is closest to."""

    benchmark: str
    problem: str
    """Id of the benchmark's problem."""
    method: Literal["same", "long", "share"]
    """`same` tokens throughout, one `long` run, or a `share` of the short runs."""
    score: float
    """Share of the benchmark question's short runs that the problem holds."""
    text: str
    """The longest run that both have, as tokens; for `long` the first that decided, and `score` counts that run alone."""


@component
class Decontamination:
    """A problem leaks when it shares one long run of tokens with a benchmark question, or enough of its short runs.

    Tokens are words, numbers, LaTeX commands and single ideographs, so typesetting and language don't matter; a
    paraphrase or a translation is not found. A question shorter than a run is compared whole. The paper says only that
    it used n-gram matching: lengths and shares are our choice.
    """

    split: Literal["tokens", "words"] = "tokens"
    """`words` splits at blanks only, as other projects do, to repeat their numbers: s1 and open-r1 are split=words long=8
    short=0 common=0, lm-eval long=13. It misses what is typeset otherwise, and all Chinese."""
    long: int = 13
    """One shared run of so many tokens is enough; 0 switches this rule off."""
    short: int = 5
    """Length of the runs whose share counts; 0 switches this rule off."""
    share: float = 0.3
    """Share of the benchmark question's short runs that is enough."""
    common: int = 5
    """A long run in so many different questions, of pool and benchmarks together, is a stock phrase ("where m and n are
    relatively prime positive integers") and no sign of a leak; 0 takes every run as a sign."""
    action: Literal["drop", "report"] = "drop"
    """`report` keeps the problems and writes the pairs to `matches.jsonl`."""
    absent: Literal["stop", "report"] = "stop"
    """When a benchmark's questions cannot be read here: stop, or go on without them and say so."""

    def __post_init__(self) -> None:
        for name in ("long", "short", "common"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must be 0 (off) or more")
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share} must be above 0 and at most 1")

    def find(self, problems: Sequence[Problem], protected: Mapping[str, Sequence[Problem]]) -> dict[str, Match]:
        """The leaking problems by id. The order of the problems makes no difference."""
        read: Callable[[str], Gram] = tokens if self.split == "tokens" else lambda text: tuple(text.lower().split())
        index = _Index(self, [(n, p.id, read(p.question)) for n, held in protected.items() for p in held])
        found: dict[str, Match] = {}
        runs: dict[str, list[Gram]] = {}
        texts: set[Gram] = set()
        frequency = Counter({gram: len(places) for gram, places in index.long.items()})
        for problem in bar(problems, "looking for benchmark questions", "problem"):
            text = read(problem.question)
            if (match := index.match(text)) is not None:
                found[problem.id] = match
            if shared := index.long_runs(text):
                runs[problem.id] = shared
                if text not in texts and text not in index.same:
                    frequency.update(set(shared))
                texts.add(text)
        for name, shared in runs.items():
            rare = [run for run in shared if not self.common or frequency[run] < self.common]
            if rare and name not in found:
                found[name] = index.match_run(rare[0])
        return {problem.id: found[problem.id] for problem in problems if problem.id in found}


class _Index:
    """The runs of all benchmark questions, and in which of them each stands."""

    def __init__(self, rule: Decontamination, items: list[tuple[str, str, Gram]]) -> None:
        self.rule = rule
        self.items = items
        self.same: dict[Gram, int] = {}
        for number, (_, _, text) in enumerate(items):
            self.same.setdefault(text, number)
        self.short = self._places(rule.short)
        self.sizes = Counter(number for places in self.short.values() for number in places)
        self.long = self._places(rule.long)

    def _places(self, length: int) -> dict[Gram, list[int]]:
        places: dict[Gram, list[int]] = defaultdict(list)
        for text, number in self.same.items():
            for gram in set(grams(text, length)):
                places[gram].append(number)
        return dict(places)

    def match(self, text: Gram) -> Match | None:
        """The benchmark question that a text is, or holds enough short runs of."""
        if text and (same := self.same.get(text)) is not None:
            return self._found(same, "same", 1.0, text)
        shared = Counter(number for gram in set(grams(text, self.rule.short)) for number in self.short.get(gram, ()))
        scores = {number: count / self.sizes[number] for number, count in shared.items()}
        if scores and scores[nearest := max(scores, key=lambda n: (scores[n], -n))] >= self.rule.share:
            wanted = set(grams(self.items[nearest][2], self.rule.short))
            return self._found(nearest, "share", scores[nearest], longest(text, wanted, self.rule.short))
        return None

    def long_runs(self, text: Gram) -> list[Gram]:
        """The long runs of a text that stand in a benchmark question, in order."""
        return [gram for gram in grams(text, self.rule.long) if gram in self.long]

    def match_run(self, run: Gram) -> Match:
        """The first benchmark question that holds a long run."""
        number = self.long[run][0]
        held = set(grams(run, self.rule.short))
        return self._found(number, "long", len(held) / max(self.sizes[number], 1), run)

    def _found(self, number: int, method: Literal["same", "long", "share"], score: float, text: Gram) -> Match:
        benchmark, problem, _ = self.items[number]
        return Match(benchmark, problem, method, round(score, 4), " ".join(text))


def grams(text: Gram, length: int) -> Iterator[Gram]:
    """All runs of so many tokens, in order; none for length 0 or a shorter text."""
    return (text[i : i + length] for i in range(len(text) - length + 1)) if length else iter(())


def longest(text: Gram, wanted: set[Gram], length: int) -> Gram:
    """The longest run of a text that is made of wanted runs of a length."""
    best: Gram = ()
    begin = 0
    for position, gram in enumerate(grams(text, length)):
        if gram not in wanted:
            begin = position + 1
        elif position + length - begin > len(best):
            best = text[begin : position + length]
    return best
