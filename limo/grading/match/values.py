"""Whether two single values are equal: as text, time, percentage, number or function, with or without a unit; else by math-verify."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from limo.grading.answers import unit
from limo.grading.answers.normalise import same_words, tight
from limo.grading.answers.number import spelled
from limo.grading.formulas import equivalence, symbolic
from limo.grading.formulas.parse import tree
from limo.grading.formulas.tree import Node, opaque, symbols
from limo.grading.rules import Rules


@dataclass(frozen=True, slots=True)
class Result:
    """Whether two answers are equal (or why that cannot be told) and the rule that decided."""

    equal: bool | Literal["gold_unparsed", "timeout"]
    rule: str

    def __bool__(self) -> bool:
        return self.equal is True


LONGEST = 1500
"""Characters of a value that math-verify is given."""


def values(gold: str, given: str, rules: Rules) -> Result:
    """Whether two values are equal: as text, as a number, as a function, else by math-verify."""
    times = unit.time(gold), unit.time(given)
    if times[0] and times[1]:
        return Result(unit.same_time(times[0], times[1]), "time")
    right, right_percent = unit.without_percent(gold)
    answer, answer_percent = unit.without_percent(given)
    if right_percent or answer_percent:
        return _percent(right, answer, right_percent, answer_percent, rules)
    right, right_unit = unit.without_unit(gold)
    answer, answer_unit = unit.without_unit(given)
    if bool(right_unit) != bool(answer_unit):
        right, right_unit = unit.without_unit(gold, lone=True)
        answer, answer_unit = unit.without_unit(given, lone=True)
    if right != gold or answer != given:
        if rules.unit == "required" and right_unit != answer_unit:
            return Result(False, "unit")
        if rules.unit == "stated" and right_unit and answer_unit and right_unit != answer_unit:
            (one, base), (other, same) = unit.in_bases(right_unit), unit.in_bases(answer_unit)
            if base == same:
                return _bare(f"({right})*({one})", f"({answer})*({other})", rules)
        inner = _bare(right, answer, rules)
        if inner and rules.unit == "stated" and not unit.same_unit(right_unit, answer_unit):
            return Result(False, "unit")
        if inner:
            return inner
        if "deg" not in (right_unit, answer_unit) or (right_unit and answer_unit):
            return inner
        # an angle may be in degrees on one side and in radians on the other
    return _bare(gold, given, rules)


def _percent(gold: str, given: str, gold_percent: bool, given_percent: bool, rules: Rules) -> Result:
    if gold_percent != given_percent and (unit.without_unit(gold)[1] or unit.without_unit(given)[1]):
        return Result(False, "unit")
    if gold_percent == given_percent or rules.percent == "either":
        result = values(gold, given, rules)
        if result or gold_percent == given_percent:
            return Result(result.equal, "percent")
    if rules.percent == "same":
        return Result(False, "percent")
    scaled = f"({gold})/100" if gold_percent else gold, f"({given})/100" if given_percent else given
    return Result(_bare(*scaled, rules).equal, "percent")


_BASE = re.compile(r"(\w+?)_\{?(\d+)\}?")


def _bare(gold: str, given: str, rules: Rules) -> Result:
    if tight(gold) == tight(given):
        return Result(True, "same string")
    if _integer(gold) and _integer(given):
        return Result(int(gold) == int(given), "integer")
    with_base = _BASE.fullmatch(tight(gold)), _BASE.fullmatch(tight(given))
    if bool(with_base[0]) != bool(with_base[1]):
        digits = with_base[0][1] if with_base[0] else tight(gold), with_base[1][1] if with_base[1] else tight(given)
        if digits[0] == digits[1] and digits[0].isdigit():
            return Result(True, "base left out")
    right, answer = tree(gold), tree(given)
    if right and answer and (result := _evaluated(right, answer, rules)):
        return result[0]
    ratio = [re.split(r"\s*:\s*", text) for text in (gold, given)]
    if len(ratio[0]) == len(ratio[1]) > 1:
        return _ratio(ratio[0], ratio[1], rules)
    for one, other in ((gold, given), (given, gold)):
        if (digits_ := spelled(one)) is not None:
            return Result(bool(_bare(digits_, spelled(other) or other, rules)), "number word")
    if same_words(gold, given) and wordy(gold) and wordy(given):
        return Result(True, "same text")
    if same_words(gold, given) and re.fullmatch(r"[A-Za-z ]+", re.sub(r"\\text\{([^{}]*)\}", r"\1", gold)):
        return Result(True, "same text")
    if right and _prose(given):
        return Result(False, "text")
    if wordy(gold) or wordy(given):
        return Result(False, "text")
    if "ldots" in gold + given:
        return Result(False, "ellipsis")
    return by_symbols(gold, given)


def _evaluated(gold: Node, given: Node, rules: Rules) -> list[Result]:
    """What the values at random points tell, if they tell."""
    same = equivalence.same(gold, given, rules.tolerance)
    constant = not symbols(gold) | symbols(given)
    if same is None:
        return [Result(False, "no value")] if constant else []
    if not same and (opaque(gold) or opaque(given)):
        return []
    return [Result(same, "number" if constant else "expression")]


def _ratio(gold: list[str], given: list[str], rules: Rules) -> Result:
    """a:b:c equals ka:kb:kc."""
    pairs = [(f"({x})*({given[0]})", f"({y})*({gold[0]})") for x, y in zip(gold[1:], given[1:], strict=True)]
    return Result(all(_bare(one, other, rules) for one, other in pairs), "ratio")


def by_symbols(gold: str, given: str) -> Result:
    """What math-verify says. Raises symbolic.WithheldError."""
    if len(gold) > LONGEST or len(given) > LONGEST:
        return Result(False, "too long")
    if wordy(gold) or wordy(given):
        return Result(False, "text")
    try:
        equal = symbolic.verify(gold, given)
    except symbolic.ExpiredError:
        return Result("timeout", "math-verify")
    return Result("gold_unparsed" if equal is None else equal, "math-verify")


def _integer(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d{1,4000}", text) is not None


_COMMAND = re.compile(r"\\[a-zA-Z]+(?:\{[a-z]*(?:matrix|array|cases)\})?")


def wordy(text: str) -> bool:
    """Whether a value holds words, so that it is compared as text."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    plain = _COMMAND.sub(" ", plain)
    return re.search(r"[a-zA-Z]{4,}|[\u3040-\u9fff\uac00-\ud7af\u0600-\u06ff\u0400-\u04ff]{1,}", plain) is not None or (
        "\\text{" in text and re.search(r"[a-zA-Z]{2,}", plain) is not None
    )


def _prose(text: str) -> bool:
    return re.search(r"[a-zA-Z]{2,}\s+[a-zA-Z]{2,}", _COMMAND.sub(" ", text)) is not None
