"""Whether two normalised answers are equal: form by form, down to single values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limo.evaluation.grading import formula, probe, symbolic, unit
from limo.evaluation.grading.normalise import same_words, tight
from limo.evaluation.grading.rules import Rules
from limo.evaluation.grading.shape import Shape, shape


@dataclass(frozen=True, slots=True)
class Result:
    """Whether two answers are equal (or why that cannot be told) and the rule that decided."""

    equal: bool | Literal["gold_unparsed", "timeout"]
    rule: str

    def __bool__(self) -> bool:
        return self.equal is True


EQUALITY = frozenset(("=", "\\approx"))
FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}


def match(gold: Shape, given: Shape, rules: Rules) -> Result:
    """Whether a given answer equals the gold one."""
    if tight(gold.text) == tight(given.text):
        return Result(True, "same string")
    if gold.kind == "relation" or given.kind == "relation":
        return _relations(gold, given, rules)
    gold, given = _point(gold), _point(given)
    kinds = (gold.kind, given.kind)
    if "matrix" in kinds:
        return _matrices(gold, given, rules)
    if _everything(gold.text) and _everything(given.text):
        return Result(True, "interval")
    if "union" in kinds or _inequalities(gold) or _inequalities(given):
        return _unions(gold, given, rules)
    if kinds == ("group", "group"):
        if len(gold.parts) == len(given.parts) == 2 and gold.marks != given.marks:
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
    return tight(text) in ("\\mathbb{R}", "\\mathbbR", "(-\\infty,\\infty)", "(-\\infty,+\\infty)", "\\R", "R")


def members(given: Shape) -> list[Shape]:
    """The answers in a list, with `x = a, b` and plus-minus taken apart."""
    if given.kind == "relation" and given.marks == ("=",) and given.parts[1].kind in ("list", "set"):
        name = given.parts[0].text
        return [shape(f"{name}={part.text}") for part in members(given.parts[1])]
    if given.kind in ("list", "set", "group"):
        if given.kind == "group":
            return list(given.parts)
        return [x for part in given.parts for x in (members(part) if part.kind in ("list", "relation") else [part])]
    return [given]


# ---- lists, tuples, sets


def _lists(gold: Shape, given: Shape, rules: Rules) -> Result:
    right, answers = members(gold), members(given)
    names, given_names = [name(part) for part in right], [name(part) for part in answers]
    if all(given_names) and all(names) and set(names) == set(given_names) and len(set(names)) == len(names):
        order = {key: i for i, key in enumerate(given_names)}
        return _in_order(right, [answers[order[key]] for key in names], rules, "named list")
    # several names say which is which, so their order counts once one side leaves them out
    named = next((n for n in (names, given_names) if all(n) and len(set(n)) == len(n)), None)
    if rules.order == "given" or (named and not (all(names) and all(given_names))):
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


# ---- intervals and inequalities


def _inequalities(part: Shape) -> bool:
    return part.kind == "list" and all(x.kind == "relation" and interval(x) is not None for x in part.parts)


def interval(part: Shape) -> Shape | None:
    """The interval that an inequality `a < x <= b`, `x > a` stands for."""
    if part.kind != "relation" or not all(sign in FLIPPED for sign in part.marks):
        return None
    signs, sides = list(part.marks), [side.text for side in part.parts]
    if all(sign in (">", "\\ge") for sign in signs):
        signs, sides = [FLIPPED[sign] for sign in reversed(signs)], sides[::-1]
    if not all(sign in ("<", "\\le") for sign in signs):
        return None
    if len(signs) == 1:
        if is_name(sides[0]) and not is_name(sides[1]):
            signs, sides = ["<", *signs], ["-\\infty", *sides]
        elif is_name(sides[1]) and not is_name(sides[0]):
            signs, sides = [*signs, "<"], [*sides, "\\infty"]
    if len(signs) != 2 or not is_name(sides[1]):
        return None
    left, right = "[" if signs[0] == "\\le" else "(", "]" if signs[1] == "\\le" else ")"
    return shape(f"{left}{sides[0]},{sides[2]}{right}")


def _subject(part: Shape) -> str:
    """What an inequality bounds."""
    return next((tight(side.text) for side in part.parts if is_name(side.text)), "")


def _unions(gold: Shape, given: Shape, rules: Rules) -> Result:
    right, answers = (_overlap(_pieces(part)) for part in (gold, given))
    result = _any_order(right, answers, rules, "union")
    # only where the forms differ can there be two ways to write one set
    if not result and (len(right) != len(answers) or "set" in (gold.kind, given.kind)):
        return by_symbols(gold.text, given.text)
    return result


def _overlap(pieces: list[Shape]) -> list[Shape]:
    """`x > a and x < b` as one interval: two half-lines that together would cover everything are meant to overlap."""
    if len(pieces) != 2 or any(piece.kind != "group" or len(piece.parts) != 2 for piece in pieces):
        return pieces
    for up, down in (pieces, pieces[::-1]):
        low, high = up.parts[0].text, down.parts[1].text
        if tight(up.parts[1].text).lstrip("+") == "\\infty" and tight(down.parts[0].text) == "-\\infty":
            trees = _tree(low), _tree(high)
            if trees[0] and trees[1] and not probe.symbols(trees[0]) | probe.symbols(trees[1]):
                ends = probe.value(trees[0], {}), probe.value(trees[1], {})
                if all(end is not None and probe.real(end) for end in ends) and ends[0].real < ends[1].real:
                    return [shape(f"{up.text[0]}{low},{high}{down.text[-1]}")]
    return pieces


def _pieces(part: Shape) -> list[Shape]:
    if part.kind in ("union", "list"):
        return [piece for x in part.parts for piece in _pieces(x)]
    if part.kind == "relation" and set(part.marks) == {"\\in"}:
        return _pieces(part.parts[-1])
    if part.kind == "relation" and part.marks == ("\\ne",) and is_name(part.parts[0].text):
        hole = part.parts[1].text
        return [shape(f"(-\\infty,{hole})"), shape(f"({hole},\\infty)")]
    return [interval(part) or part]


# ---- equations and other relations


def name(part: Shape) -> str:
    """The name that an answer gives its value, as in `x = 2`; "" if none."""
    if part.kind == "relation" and part.marks[0] in ("=", "\\in", "\\approx") and is_name(part.parts[0].text):
        return tight(part.parts[0].text)
    return ""


_GREEK = r"\\(?:" + "|".join(sorted(formula.GREEK)) + r")(?![a-zA-Z])"


def is_name(text: str) -> bool:
    """Whether a left side names a quantity (x, f(x), P(A), \\angle ABC, (p, q), a:b) rather than being an equation's side."""
    bare = tight(re.sub(r"\\text\{[^{}]*\}", "T", text))
    if not bare or len(bare) > 60 or re.match(r"[-+\d.]", bare):
        return False
    outer = re.sub(r"\{[^{}]*\}|\([^()]*\)", "", re.sub(r"\{[^{}]*\}", "", bare))
    if re.search(r"[-+*]|\\pm|\\infty", outer):
        return False
    return re.search(r"[A-Za-z]", re.sub(r"\\[a-zA-Z]+", "", bare)) is not None or re.search(_GREEK, bare) is not None


def _last(part: Shape, exact: bool = True) -> Shape:
    """The value a chain of equalities ends in: before the approximation, if one follows."""
    sides, signs = list(part.parts), list(part.marks)
    if exact and "\\approx" in signs and signs.index("\\approx") > 0:
        return sides[signs.index("\\approx")]
    if exact and signs == ["\\approx"] and not is_name(sides[0].text):
        return sides[0]
    return sides[-1]


def _value_of(part: Shape) -> bool:
    return part.kind == "relation" and all(sign in EQUALITY or sign == "\\in" for sign in part.marks)


def _relations(gold: Shape, given: Shape, rules: Rules) -> Result:
    both = gold.kind == given.kind == "relation"
    if both and _value_of(gold) and _value_of(given):
        left, right = name(gold), name(given)
        if left and right and (left == right or _same_function(left, right)):
            result = match(_last(gold), _renamed(_last(given), right, left), rules)
            if result or len(gold.marks) > 1 or len(given.marks) > 1 or not (_readable(gold) and _readable(given)):
                return result
        elif left and right and gold.parts[-1].kind != "value":
            return Result(False, "another name")
        elif "\\in" in gold.marks and "\\in" in given.marks:
            return match(gold.parts[-1], given.parts[-1], rules)
        if gold.marks == given.marks == ("=",):
            return _equations(gold, given, rules)
        return match(_last(gold), _last(given), rules) if left == right else Result(False, "equation")
    if both:
        return _inequality(gold, given, rules)
    if given.kind == "relation" and _value_of(given):
        result = match(gold, _last(given), rules)
        if not result and "\\approx" in given.marks and "." in gold.text:
            return match(gold, _last(given, exact=False), rules)
        return result
    if gold.kind == "relation" and _value_of(gold) and name(gold):
        return match(_last(gold), given, rules)
    if gold.kind == "relation" and _value_of(gold) and gold.marks[-1] == "\\approx":
        return match(_last(gold), given, rules)
    if gold.kind == "relation" and gold.marks == ("=",) and is_name(gold.parts[1].text):
        return match(gold.parts[0], given, rules)
    if "\\ne" in (gold if gold.kind == "relation" else given).marks:
        return _unions(gold, given, rules)
    if (span := interval(gold if gold.kind == "relation" else given)) is not None:
        return match(span, given, rules) if gold.kind == "relation" else match(gold, span, rules)
    chain, other = (gold, given) if gold.kind == "relation" else (given, gold)
    if other.kind == "list" and len(other.parts) == len(chain.marks) > 1 and all(len(part.marks) == 1 for part in other.parts):
        steps = [step for part in other.parts for step in _steps(part)]
        return _same_steps(_steps(chain), steps, rules)
    if members(gold) != [gold] or members(given) != [given]:
        return _any_order(members(gold), members(given), rules, "list") if len(members(gold)) == len(members(given)) else Result(False, "equation")
    if same_words(gold.text, given.text) and wordy(gold.text):
        return Result(True, "same text")
    return Result(False, "equation against value")


def _same_function(left: str, right: str) -> bool:
    """f(x) and f(n), or f(x) and y."""
    first, second = (re.fullmatch(r"([a-zA-Z])(?:_\w+)?\(\w\)", text) for text in (left, right))
    if first and second:
        return left.partition("(")[0] == right.partition("(")[0]
    return (bool(first) and right == "y") or (bool(second) and left == "y")


def _renamed(part: Shape, name: str, wanted: str) -> Shape:
    """The value of f(t) with t called x, if the other answer speaks of f(x)."""
    old, new = (re.fullmatch(r"[a-zA-Z](?:_\w+)?\((\w)\)", text) for text in (name, wanted))
    if not old or not new or old[1] == new[1] or new[1] in part.text:
        return part
    return shape(re.sub(rf"(?<![a-zA-Z\\]){old[1]}(?![a-zA-Z])", new[1], part.text))


def _readable(part: Shape) -> bool:
    return _tree(f"({part.parts[0].text})-({part.parts[-1].text})") is not None


def _equations(gold: Shape, given: Shape, rules: Rules) -> Result:
    """Two equations are one if their sides' differences are proportional, or their sides agree one by one."""
    trees = [_tree(f"({part.parts[0].text})-({part.parts[1].text})") for part in (gold, given)]
    if trees[0] and trees[1]:
        if probe.proportional(trees[0], trees[1], rules.tolerance) is not None:
            return Result(True, "equation")
        if not _opaque(trees[0]) and not _opaque(trees[1]):
            return Result(False, "equation")
    for sides in (given.parts, given.parts[::-1]):
        if all(match(right, answer, rules) for right, answer in zip(gold.parts, sides, strict=True)):
            return Result(True, "equation")
    if trees[0] and trees[1]:
        return Result(False, "equation")
    return by_symbols(gold.text, given.text)


def _inequality(gold: Shape, given: Shape, rules: Rules) -> Result:
    """Two chains of inequalities: as intervals, else step by step."""
    one, other = interval(gold), interval(given)
    if one is not None and other is not None:
        return match(one, other, rules) if _subject(gold) == _subject(given) else Result(False, "another name")
    right, answers = _steps(gold), _steps(given)
    if len(right) != len(answers):
        if {"\\in"} & {*gold.marks, *given.marks}:
            return _unions(gold, given, rules)
        return Result(False, "inequality")
    if one is not None and set(given.marks) == {"\\in"}:
        return match(one, given.parts[-1], rules)
    if other is not None and set(gold.marks) == {"\\in"}:
        return match(gold.parts[-1], other, rules)
    return _same_steps(right, answers, rules)


def _same_steps(gold: Sequence[tuple[str, str, str]], given: Sequence[tuple[str, str, str]], rules: Rules) -> Result:
    left = list(given)
    for step in gold:
        found = next((answer for answer in left if _same_step(step, answer, rules)), None)
        if found is None:
            return Result(False, "inequality")
        left.remove(found)
    return Result(True, "inequality")


def _steps(part: Shape) -> list[tuple[str, str, str]]:
    texts = [side.text for side in part.parts]
    return list(zip(texts, part.marks, texts[1:], strict=False))


def _same_step(gold: tuple[str, str, str], given: tuple[str, str, str], rules: Rules) -> bool:
    trees = [_tree(f"({left})-({right})") for left, _, right in (gold, given)]
    if not trees[0] or not trees[1]:
        return [tight(x) for x in gold] in ([tight(x) for x in given], [tight(given[2]), FLIPPED.get(given[1], given[1]), tight(given[0])])
    ratio = probe.proportional(trees[0], trees[1], rules.tolerance)
    if ratio is None or not probe.real(ratio):
        return False
    positive = ratio > 0 if not hasattr(ratio, "real") else ratio.real > 0
    sign = given[1] if positive else FLIPPED.get(given[1], given[1])
    return sign == gold[1]


# ---- single values


def values(gold: str, given: str, rules: Rules) -> Result:
    """Whether two values are equal: as text, as a number, as a function, else by math-verify."""
    for reader in (unit.time,):
        times = reader(gold), reader(given)
        if times[0] and times[1]:
            return Result(unit.same_time(times[0], times[1]), "time")
    right, right_percent = unit.without_percent(gold)
    answer, answer_percent = unit.without_percent(given)
    if right_percent or answer_percent:
        return _percent(right, answer, right_percent, answer_percent, rules)
    right, right_unit = unit.without_unit(gold)
    answer, answer_unit = unit.without_unit(given)
    if right != gold or answer != given:
        if rules.unit == "required" and right_unit != answer_unit:
            return Result(False, "unit")
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
    if gold_percent == given_percent or rules.percent == "either":
        result = match(shape(gold), shape(given), rules)
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
    right, answer = _tree(gold), _tree(given)
    if right and answer:
        same = probe.same(right, answer, rules.tolerance)
        if same is not None and (same or not (_opaque(right) or _opaque(answer))):
            return Result(same, "number" if not probe.symbols(right) | probe.symbols(answer) else "expression")
        if not probe.symbols(right) | probe.symbols(answer) and same is None:
            return Result(False, "no value")
    ratio = [re.split(r"\s*:\s*", text) for text in (gold, given)]
    if len(ratio[0]) == len(ratio[1]) > 1:
        return _ratio(*ratio, rules)
    for one, other in ((gold, given), (given, gold)):
        if (digits_ := unit.spelled(one)) is not None:
            return Result(bool(_bare(digits_, unit.spelled(other) or other, rules)), "number word")
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


def _ratio(gold: list[str], given: list[str], rules: Rules) -> Result:
    """a:b:c equals ka:kb:kc."""
    pairs = [(f"({x})*({given[0]})", f"({y})*({gold[0]})") for x, y in zip(gold[1:], given[1:], strict=True)]
    return Result(all(_bare(one, other, rules) for one, other in pairs), "ratio")


def by_symbols(gold: str, given: str) -> Result:
    """What math-verify says. Raises symbolic.WithheldError."""
    if len(gold) > 1500 or len(given) > 1500:
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


def _tree(text: str) -> formula.Node | None:
    try:
        return formula.read(text)
    except formula.UnreadableError:
        return None


def _opaque(node: formula.Node) -> bool:
    return node[0] == "opaque" or any(_opaque(child) for child in node[1:] if isinstance(child, tuple))


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
