"""What an answer says of its letters beside the answer: `2k+1, k \\in \\mathbb{Z}`, `f(x)=2x \\text{for all real} x`, `y=2x (x>0)`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from limo.grading.answers.unit import without_unit
from limo.grading.formulas.equivalence import WHOLE
from limo.grading.formulas.symbols import pairs
from limo.grading.match.forms import match
from limo.grading.match.shape import shape
from limo.grading.match.values import Result, wordy
from limo.grading.rules import Rules

_IF = r"(?:(?:if|when(?:ever)?|(?:such|provided|given)\s+that)(?![a-zA-Z])|当)"
_OPENS = rf"(?:{_IF}|(?:where|for|with)(?![a-zA-Z])|其中|对于?)"
_START = re.compile(rf"\\text\{{[\s,;(]*(?={_OPENS})|(?<![a-zA-Z\\]){_OPENS}|\\forall(?![a-zA-Z])")
_LEADING = re.compile(r"((?:\\text\{)?(?:for(?![a-zA-Z])|\\forall|对)[^,=]+),(.+=.+)")
_BRACKET = re.compile(r"(.*[^\s\\,;(])\s*\(((?:[^()]|\([^()]*\))*)\)")
_PART = re.compile(r"[,;|]|\s(?=[a-zA-Z](?:_\w)?\s*\\in(?![a-zA-Z]))")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne|in)(?![a-zA-Z])")
_NAME = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?:_\w)?(?![a-zA-Z])")
_NUMBERS = {
    re.compile(pattern): numbers
    for pattern, numbers in {
        r"\\in\s*\\?(?:mathbb\s*\{?\s*)?Z\s*\}?\s*_\s*\{?\s*(?:>\s*0|\\ge\s*1)\s*\}?": "∈N+",
        r"\\in\s*\\?(?:mathbb\s*\{?\s*)?([RZNQC])\s*\}?\s*[\^_]?\s*\{?\s*([*+]?)\s*\}?(?![\w\\^_(>])": r"∈\1\2",
        r"\b(?:non-?negative\s+integers?|whole)\b|非负整数": "∈N0",
        r"\bpositive\s+integers?\b|正整数": "∈N+",
        r"(?<!negative )\bintegers?\b|整数": "∈Z",
        r"\bnatural\b|自然数": "∈N",
        r"(?<!negative )(?<!positive )\breals?\b|实数": "∈R",
        r"(?<!negative )(?<!positive )\brational\b|有理数": "∈Q",
        r"\bcomplex\b|复数": "∈C",
        rf"(?<=[{WHOLE}i])\s*(?:\\ge\s*1|>\s*0|=\s*1(?:\s*,\s*\d+)+\s*,?\s*\\ldots)$": "∈N+",
        rf"(?<=[{WHOLE}i])\s*(?:\\ge\s*0|=\s*0(?:\s*,\s*\d+)+\s*,?\s*\\ldots)$": "∈N0",
        r"=\s*0(?:\s*,\s*\\pm\s*\d+)+\s*,?\s*\\ldots$": "∈Z",
    }.items()
}
"""What a condition may call the numbers that a letter runs through -> their set."""
_IDLE = re.compile(
    rf"{_OPENS}|\\forall(?![a-zA-Z])|\b(?:all|every|any|each|some|arbitrary|fixed|given|is|are|be|the|of|and|an|numbers?|values?|free"
    r"|constants?|parameters?)\b|\ba\s+(?=[a-z]{2}|∈)|任意|所有|任何|常数|的|[为是数且都均,;:\s]"
)
_TELLS = re.compile(rf"{_RELATION.pattern}|\bconstant|\\ldots|\b(?:real|integer|natural|rational|complex)|[数]")
_SETS = pairs("∈R:R ∈Q:Q ∈C:C ∈Z:Z ∈N:N ∈N0:N0 ∈N+:N+ ∈N*:N+ ∈Z+:N+")
_ALIKE = ({"N", "N+"}, {"N", "N0"})
"""Whether 0 is a natural number is a matter of taste."""
LONGEST = 400
"""Characters of an answer in which a condition is looked for."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Letters with the numbers they run through ("" where that is open), and what else is demanded."""

    domains: dict[str, str] = field(default_factory=dict)
    demand: str = ""
    sure: bool = True
    """Whether it can be nothing else."""


def beside(gold: str, given: str, rules: Rules, same: Callable[[str, str], Result]) -> Result | None:
    """Whether two normalised answers are the `same` beside their conditions; None where this does not tell.

    A condition on one side only must merely name the numbers that a letter of the answer runs through.
    """
    if max(len(gold), len(given)) > LONGEST:
        return None
    (right, demanded), (answer, stated) = _split(gold), _split(given)
    if (right, answer) == (gold, given) or any(
        head != whole and _text(head) for head, whole in ((right, gold), (answer, given))
    ):
        return None
    if demanded.demand or stated.demand:
        agree = _same_demand(demanded, stated, rules)
    else:
        one, other = demanded.domains, stated.domains
        if (own := _renamed(one, right, answer)) and (theirs := _renamed(other, answer, right)) and own != theirs:
            answer = re.sub(rf"(?<![a-zA-Z\\]){theirs}(?![a-zA-Z])", own, answer)
            other = {own: other[theirs]} if other else {}
        agree = _harmless(one, other, right) and _harmless(other, one, answer)
    result = same(right, answer) if agree else Result(False, "condition")
    # what only a comma parts from an answer may be one of several answers
    return (
        Result(result.equal, f"{result.rule}, beside a condition") if result or demanded.sure or stated.sure else None
    )


def _text(head: str) -> bool:
    return wordy(without_unit(head)[0])


def _harmless(domains: dict[str, str], others: dict[str, str], head: str) -> bool:
    """Whether what letters run through is no other claim than that of the other answer, which may make none."""
    for letter, numbers in domains.items():
        theirs = others.get(letter) or next((theirs for name, theirs in others.items() if name not in domains), "")
        if numbers != theirs and numbers and theirs and {numbers, theirs} not in _ALIKE:
            return False
        # of a set of numbers, x > 2 say, the domain is a part
        if letter not in _letters(head) or (not theirs and numbers[:1] in ("Z", "N") and _RELATION.search(head)):
            return False
    return True


def _renamed(domains: dict[str, str], head: str, beside: str) -> str:
    """The letter of an answer that runs through whole numbers and that the other answer may call otherwise; "" if there is none."""
    found = sorted(domains or {letter for letter in _letters(head) - _letters(beside) if letter in WHOLE})
    alone = len(found) == 1 and found[0] not in _letters(beside) and domains.get(found[0], "Z")[:1] in ("Z", "N")
    return found[0] if alone else ""


def _same_demand(one: Condition, other: Condition, rules: Rules) -> bool:
    if not one.demand or not other.demand or one.domains != other.domains:
        return False
    if _RELATION.search(one.demand) or "=" in one.demand:
        return bool(match(shape(one.demand), shape(other.demand), rules))
    words = [re.findall(r"\w+", _IDLE.sub(" ", text)) for text in (one.demand, other.demand)]
    return words[0] == words[1] or (len(words[0]) == 2 and words[0] == words[1][::-1])


def _split(text: str) -> tuple[str, Condition]:
    """(the answer itself, its condition); the condition is empty where none can be told apart."""
    if found := _LEADING.fullmatch(text):
        return found[2].strip(), _condition(found[1])
    for start in _START.finditer(text):
        head = text[: start.start()].strip(" ,;")
        if head and head.count("{") == head.count("}") and head.count("(") == head.count(")"):
            return head, _condition(text[start.start() :])
    found = _BRACKET.fullmatch(text)
    if found and _TELLS.search(found[2]):
        return found[1], _condition(found[2])
    for part in _PART.finditer(text):
        head, tail = text[: part.start()].strip(" ,;"), text[part.end() :].strip(" ,;")
        condition = _condition(tail) if _TELLS.search(tail) else Condition()
        about = set(condition.domains) or set(_NAME.findall(condition.demand))
        if (
            about
            and about <= _letters(head)
            and (condition.domains or not _RELATION.search(head))
            and head.count("|") % 2 == 0
            and "," not in condition.demand
            and head.partition("=")[0].strip() not in about
        ):
            return head, dataclasses.replace(condition, sure=False)
    return text, Condition(sure=False)


def _condition(text: str) -> Condition:
    text = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    if re.match(rf"[\s,;]*{_IF}", text):
        return Condition(demand=re.sub(rf"^[\s,;]*{_IF}\s*", "", text))
    text = re.sub(rf"^[\s,;(]*(?:{_OPENS}|\\forall)[\s,;]*", "", text)
    text = text.rstrip(") ") if text.count(")") > text.count("(") else text
    text = re.sub(r"^(?:all|every|any|each|some)\b\s*", "", text).strip(" ,;.")
    named = text
    for pattern, numbers in _NUMBERS.items():
        named = pattern.sub(numbers, named)
    domains: dict[str, str] = {}
    waiting: list[str] = []
    last = ""
    for word in re.findall(r"∈[A-Z][*+0]?|[a-zA-Z](?:_\w)?(?![a-zA-Z])|[^\s]+", _IDLE.sub(" ", named)):
        if _NAME.fullmatch(word):
            waiting.append(word)
        elif word in _SETS:
            last = _SETS[word]
            domains |= dict.fromkeys(waiting, last)
            waiting = []
        else:
            return Condition(demand=text)
    domains |= dict.fromkeys(waiting, last)
    return Condition(domains) if domains or last in ("", "R") else Condition(demand=text)


def _letters(text: str) -> set[str]:
    """The letters of a formula, also with what stands below them; its commands aside."""
    found = re.findall(r"\\[a-zA-Z]+|[a-zA-Z]_\w|[a-zA-Z]", re.sub(r"_\{(\w)\}", r"_\1", text))
    return {part for name in found if name[0] != "\\" for part in (name, *name)}
