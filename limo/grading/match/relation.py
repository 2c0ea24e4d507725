"""Equations, names and inequalities: `x = 2` against `2`, `y - 2x = 3` against `y = 2x + 3`, `x > 5` against an interval."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from limo.grading.answers.normalise import same_words, tight
from limo.grading.formulas.equivalence import proportional
from limo.grading.formulas.numbers import real
from limo.grading.formulas.parse import tree
from limo.grading.formulas.tree import opaque, symbols
from limo.grading.match.shape import Shape, shape
from limo.grading.match.span import FLIPPED, interval, is_name, named, union
from limo.grading.match.values import Result, by_symbols, wordy
from limo.grading.rules import Rules

Match = Callable[[Shape, Shape, Rules], Result]
"""How the sides of a relation are compared in turn."""
Step = tuple[str, str, str]
"""Left side, sign, right side."""
EQUALITY = frozenset(("=", "\\approx", "\\in"))


def _last(part: Shape, exact: bool = True) -> Shape:
    """The value a chain of equalities ends in: before the approximation, if one follows."""
    sides, signs = list(part.parts), list(part.marks)
    if exact and "\\approx" in signs and signs.index("\\approx") > 0:
        return sides[signs.index("\\approx")]
    if exact and signs == ["\\approx"] and not is_name(sides[0].text):
        return sides[0]
    return sides[-1]


def _states_value(part: Shape) -> bool:
    return part.kind == "relation" and EQUALITY.issuperset(part.marks)


def relations(gold: Shape, given: Shape, rules: Rules, match: Match) -> Result:
    """Whether two answers are equal of which one or both are relations."""
    if gold.kind == given.kind == "relation":
        if _states_value(gold) and _states_value(given):
            return _statements(gold, given, rules, match)
        return _inequality(gold, given, rules, match)
    if _states_value(given):
        result = match(gold, _last(given), rules)
        if not result and "\\approx" in given.marks and "." in gold.text:
            return match(gold, _last(given, exact=False), rules)
        return result
    if _states_value(gold) and (named(gold) or gold.marks[-1] == "\\approx"):
        return match(_last(gold), given, rules)
    if gold.marks == ("=",) and is_name(gold.parts[1].text):
        return match(gold.parts[0], given, rules)
    one, other = (gold, given) if gold.kind == "relation" else (given, gold)
    if "\\ne" in one.marks:
        return match(union(gold), union(given), rules)
    if (span := interval(one)) is not None:
        return match(span, given, rules) if one is gold else match(gold, span, rules)
    if other.kind == "list" and len(other.parts) == len(one.marks) > 1 and all(len(p.marks) == 1 for p in other.parts):
        return _same_steps(_steps(one), [step for part in other.parts for step in _steps(part)], rules)
    if one.marks == ("=",) and one.parts[1].kind in ("list", "set") and other.kind in ("list", "set"):
        taken = Shape("list", one.text, tuple(members(one)))
        return match(taken, given, rules) if one is gold else match(gold, taken, rules)
    if same_words(gold.text, given.text) and wordy(gold.text):
        return Result(True, "same text")
    return Result(False, "equation against value")


def members(given: Shape) -> list[Shape]:
    """The answers in a list, with `x = a, b` and plus-minus taken apart."""
    if given.kind == "relation" and given.marks == ("=",) and given.parts[1].kind in ("list", "set"):
        return [shape(f"{given.parts[0].text}={part.text}") for part in members(given.parts[1])]
    if given.kind in ("list", "set"):
        return [x for part in given.parts for x in (members(part) if part.kind in ("list", "relation") else [part])]
    return list(given.parts) if given.kind == "group" else [given]


def _statements(gold: Shape, given: Shape, rules: Rules, match: Match) -> Result:
    """Two equations or named values."""
    left, right = named(gold), named(given)
    if left and right and (left == right or _same_function(left, right)):
        result = match(_last(gold), _renamed(_last(given), right, left), rules)
        if result or len(gold.marks) > 1 or len(given.marks) > 1 or not (_readable(gold) and _readable(given)):
            return result
    elif left and right and gold.parts[-1].kind != "value":
        return Result(False, "another name")
    elif "\\in" in gold.marks and "\\in" in given.marks:
        return match(gold.parts[-1], given.parts[-1], rules)
    elif left and all((node := tree(side.text)) and not symbols(node) for side in given.parts):
        return match(_last(gold), _last(given), rules)
    if gold.marks == given.marks == ("=",):
        return _equations(gold, given, rules, match)
    return match(_last(gold), _last(given), rules) if left == right else Result(False, "equation")


def _same_function(left: str, right: str) -> bool:
    """f(x) and f(n), or f(x) and y."""
    first, second = (re.fullmatch(r"([a-zA-Z])(?:_\w+)?\(\w\)", text) for text in (left, right))
    if first and second:
        return left.partition("(")[0] == right.partition("(")[0]
    return (bool(first) and right == "y") or (bool(second) and left == "y")


def _renamed(part: Shape, name: str, wanted: str) -> Shape:
    """The value of f(t) with t called x, if the other answer speaks of f(x); an x that stood there is another symbol."""
    old, new = (re.fullmatch(r"[a-zA-Z](?:_\w+)?\((\w)\)", text) for text in (name, wanted))
    if not old or not new or old[1] == new[1]:
        return part
    letters = {old[1]: new[1], new[1]: f"{new[1]}_{{other}}"}
    return shape(re.sub(rf"(?<![a-zA-Z\\])(?:{old[1]}|{new[1]})(?![a-zA-Z])", lambda m: letters[m[0]], part.text))


def _readable(part: Shape) -> bool:
    return tree(f"({part.parts[0].text})-({part.parts[-1].text})") is not None


def _equations(gold: Shape, given: Shape, rules: Rules, match: Match) -> Result:
    """Two equations are one if their sides' differences are proportional, or their sides agree one by one."""
    trees = [tree(f"({part.parts[0].text})-({part.parts[1].text})") for part in (gold, given)]
    if trees[0] and trees[1]:
        if proportional(trees[0], trees[1], rules.tolerance) is not None:
            return Result(True, "equation")
        if not opaque(trees[0]) and not opaque(trees[1]):
            return Result(False, "equation")
    for sides in (given.parts, given.parts[::-1]):
        if all(match(right, answer, rules) for right, answer in zip(gold.parts, sides, strict=True)):
            return Result(True, "equation")
    if trees[0] and trees[1]:
        return Result(False, "equation")
    return by_symbols(gold.text, given.text)


def _subject(part: Shape) -> str:
    """What an inequality bounds."""
    sides = part.parts[1:2] if len(part.parts) == 3 else part.parts
    return next((tight(side.text) for side in sides if is_name(side.text)), "")


def _inequality(gold: Shape, given: Shape, rules: Rules, match: Match) -> Result:
    """Two chains of inequalities: as intervals, else step by step."""
    one, other = interval(gold), interval(given)
    if one is not None and other is not None:
        return match(one, other, rules) if _subject(gold) == _subject(given) else Result(False, "another name")
    right, answers = _steps(gold), _steps(given)
    if len(right) != len(answers):
        if {"\\in"} & {*gold.marks, *given.marks}:
            return match(union(gold), union(given), rules)
        return Result(False, "inequality")
    if one is not None and set(given.marks) == {"\\in"}:
        return match(one, given.parts[-1], rules)
    if other is not None and set(gold.marks) == {"\\in"}:
        return match(gold.parts[-1], other, rules)
    return _same_steps(right, answers, rules)


def _same_steps(gold: Sequence[Step], given: Sequence[Step], rules: Rules) -> Result:
    left = list(given)
    for step in gold:
        found = next((answer for answer in left if _same_step(step, answer, rules)), None)
        if found is None:
            return Result(False, "inequality")
        left.remove(found)
    return Result(True, "inequality")


def _steps(part: Shape) -> list[Step]:
    texts = [side.text for side in part.parts]
    return list(zip(texts, part.marks, texts[1:], strict=False))


def _same_step(gold: Step, given: Step, rules: Rules) -> bool:
    trees = [tree(f"({left})-({right})") for left, _, right in (gold, given)]
    if not trees[0] or not trees[1]:
        return [tight(x) for x in gold] in (
            [tight(x) for x in given],
            [tight(given[2]), FLIPPED.get(given[1], given[1]), tight(given[0])],
        )
    ratio = proportional(trees[0], trees[1], rules.tolerance)
    if ratio is None or not real(ratio):
        return False
    sign = given[1] if ratio.real > 0 else FLIPPED.get(given[1], given[1])
    return sign == gold[1]
