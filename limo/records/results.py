"""What an evaluation measured: `results.json`, written by the evaluation, read by everything that shows or compares numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from limo.records.files import read_record, write_record


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval of a mean, its standard error, and how it was made."""

    low: float
    high: float
    error: float
    method: str


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a benchmark was asked and graded: what two numbers must share to be compared."""

    samples: int
    """Answers a question."""
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    prompt: str
    system: str | None
    rules: str
    """Name of the grading rules."""
    judge: str | None
    """Path of the judge's model; None where there was none."""
    shuffle: int | None
    """Seed by which options were shuffled."""
    limit: int | None
    """Only the first so many questions."""
    seed: int
    forcing: dict[str, Any] | None = None
    """Settings of budget forcing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a second model made of the answers that the rules rejected."""

    asked: int
    accepted: int
    no_verdict: int
    accuracy_without: float


@dataclass(frozen=True, slots=True)
class Position:
    """Answers to the questions whose right option stood at one place."""

    answers: int
    accuracy: float


class Answered(dict[str, tuple[int, ...]]):
    """Question id -> right (1) or wrong (0) per sample, never changed: what comparisons ask of it again and again is made once."""

    @cached_property
    def questions(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(self)

    @cached_property
    def rates(self) -> list[float]:
        """The share of right samples of each question."""
        return [sum(row) / len(row) for row in self.values()]

    @cached_property
    def samples(self) -> list[int]:
        """Of each question."""
        return list(map(len, self.values()))

    @cached_property
    def right(self) -> bytes:
        """A byte of 0 or 1 a sample, one question after the other."""
        return bytes(chain.from_iterable(self.values()))


@dataclass(frozen=True)
class BenchmarkResult:
    """One model on one benchmark; accuracies and shares from 0 to 1."""

    answers: dict[str, tuple[int, ...]]
    """Question id -> right (1) or wrong (0) per sample, in the order of the questions."""
    accuracy: float
    """avg@k."""
    interval: Interval
    """Over questions like these."""
    fixed_interval: Interval | None
    """These questions sampled again; None with one sample a question."""
    detectable: float
    """Smallest true difference that so many questions show in four of five tries."""
    pass_at: dict[int, float]
    """j -> pass@j."""
    majority: dict[int, float]
    """j -> maj@j; empty with one sample."""
    paper_accuracy: float | None
    """As LIMO's own grader has it; None where it was not asked."""
    verdicts: dict[str, int]
    rules: dict[str, int]
    """Which rule decided -> how often."""
    finish: dict[str, float]
    """Why answers ended -> share."""
    no_answer: float
    truncated: float
    repetition: float
    """Share of answers that end in a loop."""
    tokens: float
    """Mean generated tokens of an answer."""
    judge: Judged | None
    positions: dict[str, Position] | None
    """Place of the right option -> accuracy, where options were shuffled."""
    domain: str
    language: str
    protocol: Protocol

    @cached_property
    def answered(self) -> Answered:
        """`answers`, to be compared with others."""
        return Answered(self.answers)

    @property
    def n(self) -> int:
        """Questions."""
        return len(self.answers)

    @property
    def samples(self) -> int:
        """Answers a question."""
        return self.protocol.samples

    @property
    def ended(self) -> float:
        """Share of answers that ended by themselves."""
        return self.finish.get("stop", 0.0)

    @property
    def cut(self) -> float:
        """Share of answers that did not come to their own end."""
        return 1 - self.ended

    @property
    def at_limit(self) -> float:
        """Share of answers cut at max_tokens."""
        return self.finish.get("length", 0.0)

    @property
    def by_context(self) -> float:
        """Share of answers cut where the model's context ends."""
        return self.finish.get("context", 0.0)

    @property
    def no_room(self) -> float:
        """Share of questions that leave no room for an answer."""
        return self.finish.get("prompt_too_long", 0.0)


@dataclass(frozen=True)
class Results:
    """One model on a suite."""

    model: str
    benchmarks: dict[str, BenchmarkResult]
    mean: float
    """Plain mean over the benchmarks."""
    mean_interval: Interval
    context: int | None = None
    """Tokens of prompt and answer together that the model has room for, where that is known."""

    @cached_property
    def digest(self) -> str:
        """Equal where all answers are."""
        said = [(name, (of := one.answered).questions, of.samples, of.right) for name, one in self.benchmarks.items()]
        return hashlib.sha256(repr(said).encode()).hexdigest()


RESULTS = "results.json"


def write_results(path: Path, results: Results) -> None:
    """Write `results.json`."""
    write_record(path, results)


def read_results(path: Path) -> Results:
    """Read `results.json`. Raises UserError naming the file where it is not one."""
    return read_record(path, Results)
