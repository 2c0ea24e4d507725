"""Benchmark questions that stand in the pool, found by shared runs of tokens."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from limo.config import component, runtime
from limo.data.text import grams, text_hash, tokens
from limo.records import Problem

Gram = tuple[str, ...]
Method = Literal["same", "share", "numbers", "inside", "long", "judged"]
SPOKEN = 6
"""Words, or ideographs, of a long run in a solution."""
LEAST = 3
"""Tokens of the shortest question that is looked for inside others."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a problem of the pool has in common with the benchmark question that it is closest to."""

    benchmark: str
    problem: str
    """Id of the benchmark's problem."""
    method: Method
    """`same` tokens throughout, a `share` of the short runs, the same but for `numbers`, a short question whole `inside`, one
    `long` run, or another text that was `judged`."""
    score: float
    """Share of the benchmark question's short runs that the problem holds; of one that was judged, the cosine of the questions."""
    text: str
    """The longest run that both have, as tokens; for `long` the first that decided, and `score` counts that run alone."""
    question: str = ""
    """The benchmark's question."""
    where: Literal["question", "solution"] = "question"
    """Of the pool's problem: where it was found."""


@component
class Decontamination:
    """A problem leaks when it shares one long run of tokens with a benchmark question, or enough of its short runs.

    Tokens are words, numbers, LaTeX commands and single ideographs, so typesetting and language don't matter; a
    paraphrase or a translation is not found. A question shorter than a run is compared whole, or found between
    words. The paper says only that it used n-gram matching: lengths and shares are our choice.
    """

    split: Literal["tokens", "words"] = "tokens"
    """`words` splits at blanks only, as other projects do, to repeat their numbers: s1 and open-r1 are split=words long=8
    short=0 common=0 numbers=false solutions=false, lm-eval long=13. It misses what is typeset otherwise, and all Chinese."""
    long: int = 13
    """One shared run of so many tokens is enough; 0 switches this rule off."""
    short: int = 5
    """Length of the runs whose share counts; 0 switches this rule off."""
    share: float = 0.3
    """Share of the benchmark question's short runs that is enough."""
    common: int = 5
    """A long run in so many different questions, of pool and benchmarks together, is a stock phrase ("where m and n are
    relatively prime positive integers") and no sign of a leak; 0 takes every run as a sign."""
    numbers: bool = True
    """The same question with other numbers is a leak: 12 tokens or more, 8 of them no numbers."""
    solutions: bool = True
    """Solutions that hold a long run of a benchmark question leak too."""
    protect: dict[str, Any] = field(default_factory=dict)
    """Benchmarks, or sources, beside those of the run, by name: what a later evaluation must find unseen."""
    action: Literal["drop", "report", "fail"] = "drop"
    """`report` keeps the problems and writes the pairs to `matches.jsonl`; `fail` stops and names the first."""
    paraphrases: Any = runtime(default=None)
    """A `limo.paraphrases.Paraphrases`: questions near to a benchmark's in vectors are shown to a judge, after all this; null
    leaves them. It is a task of its own, and changes nothing of this one."""
    absent: Literal["stop", "report"] = "stop"
    """When a benchmark's questions cannot be read here: stop, or go on without them and say so."""

    def __post_init__(self) -> None:
        for name in ("long", "short", "common"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must be 0 (off) or more")
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share} must be above 0 and at most 1")

    def read(self, text: str) -> Gram:
        """A text as this rule splits it."""
        return tokens(text) if self.split == "tokens" else tuple(text.lower().split())

    def find(self, problems: Sequence[Problem], protected: Mapping[str, Sequence[Problem]]) -> dict[str, Match]:
        """The leaking problems by id. The order of the problems makes no difference."""
        search = Search(self, protected)
        traces = ((p.id, text_hash(p.question), search.look(p.question, p.solutions)) for p in problems)
        return search.leaks((id, mark, trace) for id, mark, trace in traces if trace)


@dataclass(frozen=True, slots=True)
class Trace:
    """What a problem shares with benchmark questions, before it is known which long runs are stock phrases."""

    match: Match | None
    question: tuple[int, ...]
    """Long runs of the question, by their numbers in `Search.runs`."""
    solutions: tuple[int, ...]


class Search:
    """The runs of all benchmark questions, and in which of them each stands."""

    def __init__(self, rule: Decontamination, protected: Mapping[str, Sequence[Problem]]) -> None:
        self.rule = rule
        self.items = [(name, p.id, p.question) for name, held in protected.items() for p in held]
        self.same: dict[Gram, int] = {}
        for number, (_, _, text) in enumerate(self.items):
            self.same.setdefault(rule.read(text), number)
        tokens = [(text, number) for text, number in self.same.items() if text]
        self.masked = {m: n for text, n in tokens if rule.numbers and (m := masked(text))}
        self.inside = {text: n for text, n in tokens if rule.short and LEAST <= len(text) < rule.short}
        self.short = _places(tokens, rule.short)
        self.sizes = Counter(number for places in self.short.values() for number in places)
        self.runs = list(_places(tokens, rule.long).items())
        self.long = {run: number for number, (run, _) in enumerate(self.runs)}

    def look(self, question: str, solutions: Sequence[str] = (), read: Gram | None = None) -> Trace | None:
        """What a problem has in common with benchmark questions; None where that is nothing. `read`: the question's tokens,
        where they are known."""
        text = self.rule.read(question) if read is None or self.rule.split != "tokens" else read
        solved = (self.rule.read(s) for s in solutions if self.rule.solutions and self.long)
        quoted = (n for each in solved for n in self._long(each) if _spoken(self.runs[n][0]))
        found = Trace(self._match(text), self._long(text), tuple(quoted))
        return found if found.match or found.question or found.solutions else None

    def leaks(self, traces: Iterable[tuple[str, bytes, Trace]]) -> dict[str, Match]:
        """The leaking problems by id; the traces come with the hash of their question's text."""
        held = list(traces)
        frequency = Counter({number: len(places) for number, (_, places) in enumerate(self.runs)})
        unlike = {mark: trace for _, mark, trace in held if not trace.match or trace.match.method != "same"}
        for trace in unlike.values():
            frequency.update({*trace.question, *trace.solutions})
        found = {}
        for id, _, trace in held:
            match = trace.match
            for where, runs in (("question", trace.question), ("solution", trace.solutions)):
                rare = (n for n in runs if not self.rule.common or frequency[n] < self.rule.common)
                if match is None and (first := next(rare, None)) is not None:
                    match = self._run(first, "solution" if where == "solution" else "question")
            if match:
                found[id] = match
        return found

    def _match(self, text: Gram) -> Match | None:
        """The benchmark question that a text is, but for its numbers too, holds whole, or holds enough short runs of."""
        if text and (same := self.same.get(text)) is not None:
            return self._found(same, "same", 1.0, text)
        held = self.short.keys() & set(grams(text, self.rule.short))
        shared = Counter(itertools.chain.from_iterable(map(self.short.__getitem__, held)))
        scores = {number: count / self.sizes[number] for number, count in shared.items()}
        if scores and max(scores.values()) >= self.rule.share:
            nearest = max(scores, key=lambda n: (scores[n], -n))
            wanted = set(grams(self.rule.read(self.items[nearest][2]), self.rule.short))
            return self._found(nearest, "share", scores[nearest], longest(text, wanted, self.rule.short))
        if self.masked and (like := self.masked.get(masked(text))) is not None:
            return self._found(like, "numbers", scores.get(like, 0.0), masked(text))
        for length in sorted({len(whole) for whole in self.inside}):
            for start, gram in enumerate(grams(text, length)):
                if gram in self.inside and _alone(text[:start][-1:] + text[start + length :][:1]):
                    return self._found(self.inside[gram], "inside", 1.0, gram)
        return None

    def _long(self, text: Gram) -> tuple[int, ...]:
        """Long runs of a text. Each holds the short run at one of the places looked at, so most texts are done with there."""
        short, long = self.rule.short, self.rule.long
        starts: Iterable[int] = range(len(text) - long + 1 if long else 0)
        if 0 < short <= long:
            step = long - short + 1
            places = (place for place in range(0, len(text), step) if text[place : place + short] in self.short)
            starts = (start for place in places for start in range(max(0, place - step + 1), place + 1))
        runs = (text[start : start + long] for start in starts)
        return tuple(dict.fromkeys(self.long[run] for run in runs if run in self.long))

    def _run(self, number: int, where: Literal["question", "solution"]) -> Match:
        """The first benchmark question that holds a long run."""
        run, places = self.runs[number]
        held = set(grams(run, self.rule.short))
        return self._found(places[0], "long", len(held) / max(self.sizes[places[0]], 1), run, where)

    def _found(
        self, number: int, method: Method, score: float, text: Gram, where: Literal["question", "solution"] = "question"
    ) -> Match:
        benchmark, problem, question = self.items[number]
        return Match(benchmark, problem, method, round(score, 4), " ".join(text), question, where)


def _places(texts: Iterable[tuple[Gram, int]], length: int) -> dict[Gram, list[int]]:
    places: dict[Gram, list[int]] = defaultdict(list)
    for text, number in texts:
        for gram in dict.fromkeys(grams(text, length)):
            places[gram].append(number)
    return dict(places)


def _alone(neighbours: Gram) -> bool:
    """Whether what stands beside a run are words, so that the run is no part of a longer formula."""
    return all(neighbour.isalpha() and len(neighbour) > 1 for neighbour in neighbours)


def _spoken(run: Gram) -> bool:
    """Whether a run holds words enough to be a quotation: `2 + 3 + 4 + …` stands in many solutions."""
    return sum(token.isalpha() for token in run) >= SPOKEN


def masked(text: Gram) -> Gram:
    """A text with one token for all numbers; empty where it is too short, or too much number, to be known by the rest."""
    plain = tuple("#" if token[0].isdigit() else token for token in text)
    return plain if len(plain) >= 12 and len(plain) - plain.count("#") >= 8 else ()


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
