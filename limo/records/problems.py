"""The nouns of a run: problems with their right answers, attempts at them, grades, examples to train on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Gold:
    """The right answer of a problem, as grading takes it."""

    value: str | list[str] | dict[str, str]
    """A text; several answers in any order; or parts by name, all of them needed."""
    type: str = "auto"
    """What kind of answer it is, one of `limo.grading.TYPES`; `auto` reads it from the value."""
    choices: dict[str, str] | None = None
    """Option letter -> option text, for multiple choice."""
    tolerance: float | None = None
    """Relative tolerance that the question itself allows; None leaves it to the rules."""
    published: str | None = None
    """As LIMO's own grader reads it from the source; None where that is the value."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with a checkable answer."""

    id: str
    question: str
    answer: str
    solutions: tuple[str, ...] = ()
    """Solutions that came with the source, best known first; each may become training text."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the source says beside it (level, subject, options …); never shown to a model."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer of a model to one problem."""

    problem: str
    sample: int
    """0-based index among the samples of this problem."""
    seed: int
    text: str
    finish: str
    """`stop` (end token), `length` (cut at max_tokens or by the context), `prompt_too_long` (nothing generated)."""
    prompt_tokens: int
    tokens: int
    """Generated tokens, the end token included."""


RIGHT = ("correct", "judge_correct")
"""Verdicts that count as a right answer."""


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict on one attempt, with the reason."""

    problem: str
    sample: int
    verdict: str
    """correct, wrong, no_answer, truncated, timeout, ungraded, gold_unparsed, judge_correct, judge_wrong."""
    answer: str | None
    """The extracted answer, as written; None when there was none."""
    rule: str
    """Which rule decided."""

    @property
    def correct(self) -> bool:
        return self.verdict in RIGHT


@dataclass(frozen=True, slots=True)
class Example:
    """A solved problem: a candidate for training, and what was measured on it."""

    id: str
    """`<problem id>` plus `#<n>` for the n-th candidate solution of a problem."""
    problem: str
    question: str
    answer: str
    solution: str
    scores: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
