"""What grading works on and is given: the conventions, and a case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from limo.config import component
from limo.records import AnswerType, Grade

TYPES: tuple[AnswerType, ...] = get_args(AnswerType)
"""Answer types a benchmark may declare; `auto` reads the type from the shape of the gold answer."""


@component
class Rules:
    """The conventions on which graders differ, each a named switch."""

    name: Literal["limo", "paper"] = "limo"
    """`limo`: typed comparison under the switches below. `paper`: what LIMO's published code accepts (its ×100 rule, its
    unordered and bracket-blind lists, its absolute 1e-4), for comparison with old numbers; it reads none of the switches."""
    fallback: Literal["none", "phrase", "prose"] = "prose"
    """Where an answer comes from when nothing is boxed: nowhere, only after a phrase such as "the answer is", or else also
    the last formula or number of the text. The rule of each verdict tells which it was."""
    boxes: Literal["last", "adjacent"] = "last"
    """`last`: the last box wins. `adjacent`: boxes joined by a comma, "and" or "or" are one list of answers."""
    cut: Literal["truncated", "graded"] = "truncated"
    """A response cut at the token limit before `</think>` closed its reasoning: truncated, or graded as far as it goes."""
    percent: Literal["either", "value", "same"] = "either"
    """10% equals: `either` 10 or 0.1, the `value` 0.1 only, or the `same` percentage only."""
    tolerance: float = 1e-6
    """Largest relative difference between two numbers of which one is a decimal; integers and closed forms compare exactly."""
    order: Literal["any", "given"] = "any"
    """Whether a bare list (`1, 2`) may come in any order. Tuples, intervals and matrices never may; sets always may."""
    gold: Literal["all", "any"] = "all"
    """A list of golds: `all` of them are the answer, except where they are one answer spelt in several ways; or `any` one is accepted."""
    unit: Literal["stated", "ignored", "required"] = "stated"
    """`stated`: a unit may be left out, but two different units differ. `ignored`: units don't count. `required`: as the gold has it."""

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ValueError(
                f"tolerance is {self.tolerance}; give a relative difference from 0 to below 1, such as 1e-6 or 0.01"
            )


@dataclass(frozen=True, slots=True)
class Case:
    """One answer to grade."""

    gold: object
    """The right answer: text or number; a list of answers or a dict of named parts, all of which are needed."""
    response: str
    """What the model wrote, whole."""
    answer_type: str = "auto"
    """One of `TYPES`."""
    finish: str = "stop"
    """Why the model stopped: `stop`, `length`, `prompt_too_long`."""
    choices: dict[str, str] | None = None
    """Option letter -> option text, for multiple choice."""
    problem: str = ""
    sample: int = 0
    """Whose answer it is, for the grade to say; nothing where a case stands alone."""

    def graded(self, verdict: str, answer: str | None, rule: str) -> Grade:
        return Grade(self.problem, self.sample, verdict, answer, rule)
