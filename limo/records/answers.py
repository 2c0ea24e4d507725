"""What models answered and how it was graded: attempts, grades, and the rows of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable

from limo.records.problems import Gold
from limo.records.record import record


@record
class Attempt:
    """One answer of a model to one problem."""

    problem: str
    sample: int
    """0-based index among the samples of this problem."""
    seed: int
    text: str
    finish: str
    """`stop` (end token), `length` (cut at max_tokens), `context` (cut where the model's context ends), `prompt_too_long`
    (nothing generated)."""
    prompt_tokens: int
    tokens: int
    """Generated tokens, the end token included."""


def unsampled(problem: str, texts: Iterable[str]) -> list[Attempt]:
    """Texts that came with a problem in the form that grading takes; nobody sampled them, so seed and tokens are 0."""
    return [
        Attempt(problem=problem, sample=n, seed=0, text=text, finish="stop", prompt_tokens=0, tokens=0)
        for n, text in enumerate(texts)
    ]


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


ANSWERS = "answers.jsonl"
"""Where an evaluation keeps them, in a folder for each benchmark."""


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
