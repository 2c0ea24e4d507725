"""Typed comparison of a gold answer with a given one: cheap certain rules first, math-verify only for what they can't read."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from limo.evaluation.grading import formula, probe, symbolic
from limo.evaluation.grading.normalise import normalise, tight, words
from limo.evaluation.grading.rules import Rules
from limo.evaluation.grading.shape import Shape, shape


@dataclass(frozen=True, slots=True)
class Result:
    """Whether two answers are equal (or why that cannot be told) and the rule that decided."""

    equal: bool | Literal["gold_unparsed", "timeout"]
    rule: str


def compare(gold: Any, answer: str, answer_type: str, rules: Rules, choices: dict[str, str] | None = None) -> Result:
    """Whether an extracted answer equals the gold one."""
    if isinstance(gold, float) and gold.is_integer():
        gold = int(gold)
    right, given = normalise(str(gold)), normalise(answer)
    if tight(right) == tight(given):
        return Result(True, "same string")
    if words(right) == words(given) and words(right):
        return Result(True, "same text")
    if re.fullmatch(r"-?\d+", right) and re.fullmatch(r"-?\d+", given):
        return Result(int(right) == int(given), "integer")
    try:
        equal = symbolic.verify(right, given)
    except symbolic.ExpiredError:
        return Result("timeout", "math-verify")
    return Result("gold_unparsed" if equal is None else equal, "math-verify")
