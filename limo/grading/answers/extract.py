"""The answer in a response: the last box after the reasoning, or, by the run's rules, what follows an answer phrase or comes last."""

from __future__ import annotations

import re

from limo.grading.answers.normalise import normalise, tight
from limo.grading.answers.prose import Found, bare, clean, letter, phrase, prose, worked
from limo.grading.rules import Case, Rules
from limo.records import Grade

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])\s*(\{)?")
_TOKEN_BOX = re.compile(r"\\boxed\s+([^\s$.,;\\{}]+)")
_BRACE = re.compile(r"\\.|[{}]", re.S)


def extract(case: Case, rules: Rules) -> Found | Grade:
    """The answer of a response, or the grade where there is none."""
    text, open_ = after_reasoning(case.response)
    cut = case.finish != "stop"
    if cut and (open_ or (rules.cut == "truncated" and "</think>" not in case.response)):
        return case.graded("truncated", None, "cut before an answer")
    nothing = (
        case.graded("truncated", None, "cut before an answer") if cut else case.graded("no_answer", None, "no answer")
    )
    if open_:
        return case.graded("no_answer", None, "reasoning never closed")
    boxes = find_boxes(text)
    if boxes is None:
        return case.graded(nothing.verdict, None, "last box not closed")
    if boxes:
        answer = adjacent(text, boxes) if rules.boxes == "adjacent" else text[slice(*boxes[-1][1:])]
        return Found(answer.strip(), "box") if answer.strip() else case.graded("no_answer", None, "empty box")
    if rules.fallback == "none":
        return nothing
    if cut:
        return nothing
    text = clean(text)
    if len(text) <= 300 and not worked(text) and tight(normalise(text)) == tight(normalise(str(case.gold))):
        return Found(text, "whole response")
    if not wants_letter(case) and bare(text):
        return Found(text, "whole response")
    found = letter(text) if wants_letter(case) else None
    if wants_letter(case) and found is None and case.answer_type == "letter":
        return nothing
    found = found or phrase(text)
    if found is None and rules.fallback == "prose":
        found = prose(text)
    # a sentence has no formulas without marks, so its `5 m` is a length
    return Found(re.sub(r"(?<=\d) ([mgl])$", r" \\text{\1}", found.text), found.rule) if found else nothing


def after_reasoning(text: str) -> tuple[str, bool]:
    """What follows the last `</think>`, and whether reasoning was opened and never closed."""
    head, mark, tail = text.rpartition("</think>")
    if mark:
        return tail, "<think>" in tail
    return text, "<think>" in head + tail


def find_boxes(text: str) -> list[tuple[int, int, int]] | None:
    """(start, content start, content end) of the outermost boxes in order; None if the last one is never closed."""
    boxes: list[tuple[int, int, int]] = []
    unclosed = False
    partner = _braces(text) if "boxed" in text or "box{" in text else {}
    for match in _BOX.finditer(text):
        if boxes and match.start() < boxes[-1][2]:
            continue
        if match[1] is None:
            # TeX takes one token: \boxed 7
            if bare_box := _TOKEN_BOX.match(text, match.start()):
                boxes.append((match.start(), bare_box.start(1), bare_box.end(1)))
                unclosed = False
            continue
        end = partner.get(match.end() - 1)
        unclosed = end is None
        if end is not None:
            boxes.append((match.start(), match.end(), end))
    return None if unclosed else boxes


def _braces(text: str) -> dict[int, int]:
    """Opening brace -> closing brace, in one pass; escaped ones don't count."""
    partner = {}
    open_: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            open_.append(match.start())
        elif match[0] == "}" and open_:
            partner[open_.pop()] = match.start()
    return partner


def adjacent(text: str, boxes: list[tuple[int, int, int]]) -> str:
    """The last box with those before it that only a comma, "and" or "or" parts from it."""
    parts = [text[slice(*boxes[-1][1:])]]
    for earlier, later in zip(reversed(boxes[:-1]), reversed(boxes[1:]), strict=True):
        between = re.sub(
            r"\\text\{([^{}]*)\}|\\q?quad|\\[,;!()\[\] ]|[$\s,;]+", r" \1 ", text[earlier[2] + 1 : later[0]]
        )
        if between.strip().lower() not in ("", "and", "or", "和", "或"):
            break
        parts.append(text[slice(*earlier[1:])])
    # one answer said again is one answer; among several, two parts may well be equal
    return parts[0] if len(set(parts)) == 1 else ", ".join(reversed(parts))


def wants_letter(case: Case) -> bool:
    return (
        case.answer_type == "letter"
        or case.choices is not None
        or (case.answer_type == "auto" and re.fullmatch(r"\s*[(（]?[A-Z][)）]?[.．。]?\s*", str(case.gold)) is not None)
    )
