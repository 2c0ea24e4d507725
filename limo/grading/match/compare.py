"""Compare an extracted answer with the gold one: multiple choice, golds with several parts, declared types, then form by form."""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import Literal

from limo.grading.answers.extract import adjacent, find_boxes
from limo.grading.answers.normalise import normalise, same_words, tight
from limo.grading.answers.prose import clean, phrase, worked
from limo.grading.match.condition import beside
from limo.grading.match.forms import match
from limo.grading.match.relation import members
from limo.grading.match.shape import Shape, shape
from limo.grading.match.values import Result, wordy
from limo.grading.rules import Rules

_LETTER = re.compile(
    r"(?:(?:the\s+)?(?:correct\s+)?(?:option|choice|answer|选项|答案)\s*(?:is|是|为)?\s*:?\s*)?[(\[]?\s*([A-Za-z])\s*[)\]]?\s*(?:[.:)、]\s*(.*))?",
    re.I | re.S,
)
_LABELLED = re.compile(r"(?:\(([A-J])\)|([A-J])\s*[.:、．：])\s*(\S.*)", re.S)


def compare(gold: object, answer: str, answer_type: str, rules: Rules, choices: dict[str, str] | None = None) -> Result:
    """Whether an extracted answer equals the gold one."""
    parts = structured(gold)
    if parts is not None:
        return _parts(parts, answer, answer_type, rules)
    if isinstance(gold, float) and gold.is_integer():
        gold = int(gold)
    right, given = normalise(unwrap(str(gold))), normalise(answer)
    if not right or right.lower() == "nan":
        return Result("gold_unparsed", "no gold")
    if choices or answer_type == "letter" or (answer_type == "auto" and _bare_letter(right)):
        result = _choice(right, given, rules, choices or {})
        if result or choices or answer_type == "letter":
            return result
    if tight(right) == tight(given):
        return Result(True, "same string")
    if wordy(right) and same_words(right, given):
        return Result(True, "same text")
    if answer_type in ("auto", "text") and (labelled := _LABELLED.fullmatch(right)):
        return _labelled(labelled, given, rules)
    if answer_type == "text":
        return Result(same_words(right, given), "same text")
    if answer_type == "integer":
        return _whole(right, given, rules)

    def same(one: str, other: str) -> Result:
        return _typed(shape(one), shape(other), answer_type, rules)

    conditional = beside(right, given, rules, same)
    return same(right, given) if conditional is None else conditional


def unwrap(gold: str) -> str:
    """The answer of a gold answer that is a worked solution: what is boxed, after `####` or after an answer phrase."""
    if "\\boxed" in gold and (boxes := find_boxes(gold)):
        return adjacent(gold, boxes)
    found = phrase(clean(gold)) if worked(gold) or "\n" in gold else None
    return found.text if found else gold


def structured(gold: object) -> list[tuple[str, str]] | None:
    """(name, answer) of the parts of a list or dict, also of one that a file holds as Python text; None for anything else."""
    if isinstance(gold, str) and re.match(r"\{\s*['\"]|\[\s*['\"]", gold):
        try:
            gold = ast.literal_eval(gold)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if isinstance(gold, dict):
        return [(str(key), str(value)) for key, value in gold.items()]
    if isinstance(gold, list | tuple):
        return [("", str(value)) for value in gold]
    return None


def _parts(parts: list[tuple[str, str]], answer: str, answer_type: str, rules: Rules) -> Result:
    """All parts are needed, in order unless the type says otherwise, or any one of them, by the rules or as spellings of one answer."""
    listed = len(parts) > 1 and not any(name for name, _ in parts)
    if listed and (rules.gold == "any" or _one_answer([value for _, value in parts], rules)):
        each = [compare(value, answer, answer_type, rules) for _, value in parts]
        return next((result for result in each if result), each[0])
    given = shape(normalise(answer))
    if len(parts) == 1:
        return compare(parts[0][1], answer, "auto", rules)
    right = [shape(normalise(value)) for _, value in parts]
    if any(not part.text for part in right):
        return Result("gold_unparsed", "empty part of gold")
    if given.kind not in ("list", "group", "set"):
        return Result(False, "different number of answers")
    order: Literal["any", "given"] = "any" if answer_type in ("multi", "set") else "given"
    whole = Shape("list", ", ".join(part.text for part in right), tuple(right))
    answers = Shape("list", given.text, tuple(members(given)))
    return match(whole, answers, dataclasses.replace(rules, order=order))


def _one_answer(values: list[str], rules: Rules) -> bool:
    """Whether a list holds the same answer in several spellings, so that one of them is meant to be enough."""
    return len(set(values)) > 1 and all(compare(values[0], value, "auto", rules) for value in values[1:])


def _typed(right: Shape, given: Shape, answer_type: str, rules: Rules) -> Result:
    if answer_type in ("multi", "set"):
        rules = dataclasses.replace(rules, order="any")
        right, given = _listed(right), _listed(given)
    elif answer_type == "tuple":
        rules = dataclasses.replace(rules, order="given")
    elif answer_type == "interval" and right.kind == "group" and given.kind == "list":
        return Result(False, "interval without brackets")
    return match(right, given, rules)


def _listed(part: Shape) -> Shape:
    """A bracket around several answers is only a bracket where the type says that they are a set."""
    return Shape("list", part.text, part.parts) if part.kind == "set" else part


def _whole(right: str, given: str, rules: Rules) -> Result:
    """Exact integers of any size; a unit, a name or an unfinished sum does not hide one."""
    if not re.fullmatch(r"[-+]?\d+(?:\.0*)?", right):
        return Result("gold_unparsed", "gold is no integer")
    exact = dataclasses.replace(rules, tolerance=0.0)
    return match(shape(right), shape(given), exact)


# ---- multiple choice


def _bare_letter(text: str) -> bool:
    return re.fullmatch(r"\(?[A-Z]\)?\.?", text) is not None


def letter(given: str) -> str | None:
    """The choice letter that an answer consists of, alone or before its text."""
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", given).strip(" *_$.").strip()
    match_ = _LETTER.fullmatch(text)
    return match_[1].upper() if match_ else None


def _choice(right: str, given: str, rules: Rules, choices: dict[str, str]) -> Result:
    options = {key.strip().upper(): value for key, value in choices.items()}
    wanted = right.strip("(). ").upper()
    if not re.fullmatch("[A-Z]", wanted):
        wanted = next((key for key, text in options.items() if _same_option(right, text, rules)), "")
        if not wanted:
            return Result("gold_unparsed", "gold is no option")
    chosen = letter(given)
    if chosen is not None and (not options or chosen in options):
        return Result(chosen == wanted, "letter")
    equal = [key for key, text in options.items() if _same_option(text, given, rules)]
    return Result(wanted in equal and len(equal) == 1, "option text" if options else "letter")


def _same_option(gold: str, given: str, rules: Rules) -> bool:
    return bool(compare(gold, given, "auto", rules)) or same_words(gold, given)


def _labelled(gold: re.Match[str], given: str, rules: Rules) -> Result:
    """A gold answer such as `C. 1-i`: the letter, or the text; an answer that gives both must have both right."""
    own = _LABELLED.fullmatch(given)
    text = own[3] if own else given
    chosen = (own[1] or own[2]) if own else letter(given)
    if chosen and chosen != (gold[1] or gold[2]):
        return Result(False, "letter")
    if chosen and not own:
        return Result(True, "letter")
    if same_words(gold[3], text):
        return Result(True, "same text")
    return match(shape(normalise(gold[3])), shape(normalise(text)), rules)
