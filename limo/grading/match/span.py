"""Names of quantities, and the sets of numbers that inequalities stand for."""

from __future__ import annotations

import re

from limo.grading.answers.normalise import tight
from limo.grading.formulas.evaluate import value
from limo.grading.formulas.numbers import Number, real
from limo.grading.formulas.parse import tree
from limo.grading.formulas.symbols import GREEK
from limo.grading.formulas.tree import symbols
from limo.grading.match.shape import Shape, shape

FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
"""A sign read from the other side."""


def named(part: Shape) -> str:
    """The name that an answer gives its value, as in `x = 2`; "" if none."""
    if part.kind == "relation" and part.marks[0] in ("=", "\\in", "\\approx") and is_name(part.parts[0].text):
        return tight(part.parts[0].text)
    return ""


_GREEK = r"\\(?:" + "|".join(sorted(GREEK)) + r")(?![a-zA-Z])"


def is_name(text: str) -> bool:
    """Whether a left side names a quantity (x, f(x), P(A), \\angle ABC, (p, q), a:b) rather than being an equation's side."""
    bare = tight(re.sub(r"\\text\{[^{}]*\}", "T", text))
    if not bare or len(bare) > 60 or re.match(r"[-+\d.]", bare):
        return False
    outer = re.sub(r"\{[^{}]*\}|\([^()]*\)", "", re.sub(r"\{[^{}]*\}", "", bare))
    if re.search(r"[-+*]|\\pm|\\infty", outer):
        return False
    return re.search(r"[A-Za-z]", re.sub(r"\\[a-zA-Z]+", "", bare)) is not None or re.search(_GREEK, bare) is not None


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


def pieces(part: Shape) -> list[Shape]:
    """The sets that a union, an inequality or several of them consist of."""
    return _overlap(_pieces(part))


def union(part: Shape) -> Shape:
    return Shape("union", part.text, tuple(_pieces(part)))


def _overlap(pieces: list[Shape]) -> list[Shape]:
    """`x > a and x < b` as one interval: two half-lines that together would cover everything are meant to overlap."""
    if len(pieces) != 2 or any(piece.kind != "group" or len(piece.parts) != 2 for piece in pieces):
        return pieces
    for up, down in (pieces, pieces[::-1]):
        low, high = up.parts[0].text, down.parts[1].text
        if tight(up.parts[1].text).lstrip("+") == "\\infty" and tight(down.parts[0].text) == "-\\infty":
            ends = _constant(low), _constant(high)
            if ends[0] is not None and ends[1] is not None and ends[0].real < ends[1].real:
                return [shape(f"{up.text[0]}{low},{high}{down.text[-1]}")]
    return pieces


def _constant(text: str) -> Number | None:
    """The real number that a formula without symbols stands for."""
    node = tree(text)
    found = value(node, {}) if node and not symbols(node) else None
    return found if found is not None and real(found) else None


def _pieces(part: Shape) -> list[Shape]:
    if part.kind in ("union", "list"):
        return [piece for x in part.parts for piece in _pieces(x)]
    if part.kind == "relation" and set(part.marks) == {"\\in"}:
        return _pieces(part.parts[-1])
    if part.kind == "relation" and part.marks == ("\\ne",) and is_name(part.parts[0].text):
        hole = part.parts[1].text
        return [shape(f"(-\\infty,{hole})"), shape(f"({hole},\\infty)")]
    return [interval(part) or part]
