"""Whether two normalised answers are equal: form by form, down to single values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from limo.grading.answers.normalise import same_words, tight
from limo.grading.formulas.parse import tree
from limo.grading.match.relation import members, relations
from limo.grading.match.shape import Shape, shape
from limo.grading.match.span import interval, named, pieces
from limo.grading.match.values import Result, by_symbols, values, wordy
from limo.grading.rules import Rules


def match(gold: Shape, given: Shape, rules: Rules) -> Result:
    """Whether a given answer equals the gold one."""
    if tight(gold.text) == tight(given.text):
        return Result(True, "same string")
    if gold.kind == "relation" or given.kind == "relation":
        return relations(gold, given, rules, match)
    gold, given = _point(gold), _point(given)
    kinds = (gold.kind, given.kind)
    if "matrix" in kinds:
        return _matrices(gold, given, rules)
    if _everything(gold.text) and _everything(given.text):
        return Result(True, "interval")
    if "union" in kinds or _inequalities(gold) or _inequalities(given):
        return _unions(gold, given, rules)
    if kinds == ("group", "group"):
        pairs = ("()", "[]")
        if gold.marks != given.marks and (len(gold.parts) == 2 or gold.marks not in pairs or given.marks not in pairs):
            return Result(False, "brackets")
        return _in_order(gold.parts, given.parts, rules, "tuple" if gold.marks == "()" else "interval")
    if "set" in kinds and set(kinds) <= {"set", "list", "value"}:
        return _any_order(_distinct(members(gold), rules), _distinct(members(given), rules), rules, "set")
    if set(kinds) == {"group", "list"}:
        if gold.kind == "group" and gold.marks != "()" and len(gold.parts) == 2 and not _python_list(gold.text):
            return Result(False, "interval without brackets")
        return _in_order(members(gold), members(given), rules, "tuple")
    if kinds == ("list", "list"):
        return _lists(gold, given, rules)
    if kinds == ("value", "value"):
        return values(gold.text, given.text, rules)
    if same_words(gold.text, given.text) and wordy(gold.text):
        return Result(True, "same text")
    return Result(False, "different forms" if "list" not in kinds else "different number of answers")


def _point(part: Shape) -> Shape:
    """`P(1, 2)` is the point (1, 2)."""
    found = re.fullmatch(r"[A-Z](?:_\{?\d+\}?|')?\s*(\([^()]*,[^()]*\))", part.text) if part.kind == "value" else None
    return shape(found[1]) if found else part


def _everything(text: str) -> bool:
    return tight(text) in ("\\mathbb{R}", "\\mathbbR", "(-\\infty,\\infty)", "(-\\infty,+\\infty)", "\\R")


def _lists(gold: Shape, given: Shape, rules: Rules) -> Result:
    right, answers = members(gold), members(given)
    labels, given_labels = [named(part) for part in right], [named(part) for part in answers]
    distinct = [all(names) and len(set(names)) == len(names) for names in (labels, given_labels)]
    if all(distinct) and set(labels) == set(given_labels):
        order = {label: i for i, label in enumerate(given_labels)}
        return _in_order(right, [answers[order[label]] for label in labels], rules, "named list")
    # names say which is which, so the order counts once one side leaves them out
    if rules.order == "given" or (any(distinct) and not (all(labels) and all(given_labels))):
        return _in_order(right, answers, rules, "list")
    return _any_order(right, answers, rules, "list")


def _in_order(gold: Sequence[Shape], given: Sequence[Shape], rules: Rules, rule: str) -> Result:
    if len(gold) != len(given):
        return Result(False, "different number of answers")
    for right, answer in zip(gold, given, strict=True):
        result = match(right, answer, rules)
        if not result:
            return result if isinstance(result.equal, str) else Result(False, rule)
    return Result(True, rule)


def _any_order(gold: Sequence[Shape], given: Sequence[Shape], rules: Rules, rule: str) -> Result:
    if len(gold) != len(given):
        return Result(False, "different number of answers")
    left = list(given)
    for right in gold:
        found = next((a for a in left if tight(a.text) == tight(right.text)), None)
        late = False
        for answer in left if found is None else ():
            result = match(right, answer, rules)
            late = late or result.equal == "timeout"
            if result:
                found = answer
                break
        if found is None:
            return Result("timeout" if late else False, rule)
        left.remove(found)
    return Result(True, rule)


def _distinct(parts: Sequence[Shape], rules: Rules) -> list[Shape]:
    kept: list[Shape] = []
    for part in parts:
        if not any(tight(part.text) == tight(other.text) for other in kept):
            kept.append(part)
    return kept


def _python_list(text: str) -> bool:
    return re.fullmatch(r"\[-?[\d.]+(?:, -?[\d.]+)+\]", text) is not None


def _matrices(gold: Shape, given: Shape, rules: Rules) -> Result:
    right, answer = (_column(part) for part in (gold, given))
    if "\\begin" in gold.text and "\\begin" in given.text and {right.kind, answer.kind} == {"matrix", "value"}:
        return by_symbols(gold.text, given.text)
    if right.kind != "matrix" or answer.kind != "matrix":
        return Result(False, "matrix")
    if right.marks != answer.marks:
        return Result(False, "matrix of another size")
    return _in_order(right.parts, answer.parts, rules, "matrix")


def _column(part: Shape) -> Shape:
    """A vector written in a row of brackets is a column."""
    if part.kind == "group":
        return Shape("matrix", part.text, part.parts, "1")
    return part


def _inequalities(part: Shape) -> bool:
    return part.kind == "list" and all(interval(x) is not None for x in part.parts)


def _unions(gold: Shape, given: Shape, rules: Rules) -> Result:
    right, answers = (pieces(part) for part in (gold, given))
    result = _any_order(right, answers, rules, "union")
    # only where the forms differ can there be two ways to write one set
    kinds = {gold.kind, given.kind}
    if not result and (len(right) != len(answers) or "set" in kinds) and not ("value" in kinds and tree(given.text)):
        return by_symbols(gold.text, given.text)
    return result
