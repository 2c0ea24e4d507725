"""The nouns of a run: problems with their right answers, attempts at them, grades, examples to train on."""

from __future__ import annotations

import json
from dataclasses import field
from typing import Any, Literal

from limo.records.record import record

AnswerType = Literal[
    "auto", "letter", "integer", "number", "expression", "equation", "tuple", "interval", "set", "multi", "matrix", "text"
]  # fmt: skip
"""What kind of answer a gold is; `auto` reads it from the shape of its value."""
Origin = Literal["source", "attempt"]
"""Where a solution is from: it came with the problem, or a model wrote it."""


@record
class Gold:
    """The right answer of a problem, as grading takes it."""

    value: str | list[str] | dict[str, str]
    """A text; several answers in any order; or parts by name, all of them needed."""
    type: AnswerType = "auto"
    choices: dict[str, str] | None = None
    """Option letter -> option text, for multiple choice."""
    tolerance: float | None = None
    """Relative tolerance that the question itself allows; None leaves it to the rules."""
    published: str | None = None
    """As LIMO's own grader reads it from the source; None where that is the value."""

    @property
    def text(self) -> str:
        """The value in one line, for a person and for keys."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


@record
class Problem:
    """A question with a checkable answer."""

    id: str
    question: str
    gold: Gold
    solutions: tuple[str, ...] = ()
    """Solutions that came with the source, best known first; each may become training text."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the user's source says beside it (level, subject …): the user's alone, never read by the program, never shown to a model."""

    @property
    def answer(self) -> str:
        """The gold answer as text."""
        return self.gold.text


@record
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


@record
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


@record
class Dropped:
    """A candidate that a selection left out, and why."""

    id: str
    step: str
    reason: str
    value: float | str | None = None
    """What was measured."""
    scores: dict[str, float] = field(default_factory=dict)


@record
class Answer:
    """One answer of an evaluation with all that explains its verdict: a row that needs no other file."""

    benchmark: str
    problem: str
    sample: int
    question: str
    gold: Gold
    response: str
    answer: str | None
    """Extracted from the response; None where none was found."""
    verdict: str
    correct: bool
    rule: str
    finish: str
    prompt_tokens: int
    tokens: int
    seed: int


@record
class Example:
    """A solved problem: a candidate for training, and what was measured on it."""

    id: str
    """`<problem id>` plus `#<n>` for the n-th candidate solution of a problem."""
    problem: str
    question: str
    answer: str
    solution: str
    origin: Origin = "source"
    verdict: str | None = None
    """How the solution was graded; None where it was not."""
    scores: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
