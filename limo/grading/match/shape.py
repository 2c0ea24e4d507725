"""The outer form of an answer: a list, a tuple or interval, a set, a union, a matrix, a relation, or a single value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from limo.grading.answers.unit import compound

OPENING = "([{"
CLOSING = ")]}"


@dataclass(frozen=True, slots=True)
class Shape:
    """kind: value, list, group (a tuple or an interval, with its brackets), set, union, matrix (rows of cells), relation."""

    kind: str
    text: str
    parts: tuple[Shape, ...] = ()
    marks: str | tuple[str, ...] = ""
    """The two brackets of a group, the relation signs of a relation, the width of a matrix."""


@lru_cache(maxsize=4096)
def shape(text: str) -> Shape:
    """The outer form of a normalised answer."""
    text = text.strip(" ,;")
    while len(text) > 1 and text[0] == "{" and _partner(text, 0) == len(text) - 1:
        text = text[1:-1].strip(" ,;")
    if "\\begin" in text and (matrix := _matrix(text)):
        return matrix
    if text.startswith("\\{") and text.endswith("\\}") and text.find("\\}") == len(text) - 2:
        inside = text[2:-2]
        # {x | x > 1}: the condition says it all
        if builder := re.fullmatch(r"\s*[a-zA-Z]\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?[|:]\s*([^|]+)", inside):
            return shape(builder[1])
        if not re.search(r"\\mid|[|:]", inside):
            return Shape("set", text, _items(inside))
    if text and text[0] in "([" and _partner(text, 0) == len(text) - 1:
        parts = split(text[1:-1], (",", ";"))
        if len(parts) > 1:
            return Shape("group", text, tuple(shape(part) for part in parts), text[0] + text[-1])
        if text[0] == "(":
            inner = shape(text[1:-1])
            if inner.kind in ("group", "set", "matrix", "union", "relation"):
                return inner
    items = split(text, (",", ";", "and", "or", "或", "和"))
    if len(items) > 1 and not compound(text):
        return Shape("list", text, tuple(shape(item) for item in items))
    union = split(text, ("\\cup",))
    if len(union) > 1:
        return Shape("union", text, tuple(shape(part) for part in union))
    signs, sides = _relation(text)
    if signs:
        return Shape("relation", text, tuple(shape(side) for side in sides), signs)
    if re.search(r"\\(?:pm|mp)(?![a-zA-Z])", text):
        plus = re.sub(r"\\mp(?![a-zA-Z])", "-", re.sub(r"\\pm(?![a-zA-Z])", "+", text))
        minus = re.sub(r"\\mp(?![a-zA-Z])", "+", re.sub(r"\\pm(?![a-zA-Z])", "-", text))
        return Shape("list", text, (shape(plus.lstrip("+ ")), shape(minus)))
    return Shape("value", text)


def _items(text: str) -> tuple[Shape, ...]:
    parts = [shape(part) for part in split(text, (",", ";", "and"))]
    # a \pm inside a set or list stands for two members
    return tuple(x for part in parts for x in (part.parts if part.kind == "list" else (part,)))


def split(text: str, separators: tuple[str, ...]) -> list[str]:
    """Parts of a text between separators outside all brackets."""
    plain = [s for s in separators if len(s) == 1 and not s.isalpha()]
    names = [s for s in separators if s not in plain]
    pattern = re.compile(
        "|".join(
            [re.escape(s) for s in plain]
            + [re.escape(s) + r"(?![a-zA-Z])" for s in names if s[0] == "\\"]
            + [rf"(?<![a-zA-Z\\]){s}(?![a-z])" for s in names if s[0] != "\\" and s.isascii()]
            + [s for s in names if not s.isascii()]
        )
    )
    parts = []
    start = 0
    for match, depth in _outside(text, pattern):
        if depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _outside(text: str, pattern: re.Pattern[str]) -> list[tuple[re.Match[str], int]]:
    """Matches of a pattern with the depth of brackets they stand in."""
    depths = _depths(text)
    return [(match, depths[match.start()]) for match in pattern.finditer(text)]


def _depths(text: str) -> list[int]:
    depths = []
    depth = 0
    environment = 0
    for i, c in enumerate(text):
        if text.startswith("\\begin", i):
            environment += 1
        elif text.startswith("\\end", i):
            environment -= 1
        if c in OPENING:
            depth += 1
            depths.append(depth + environment)
        elif c in CLOSING:
            depths.append(depth + environment)
            depth = max(0, depth - 1)
        else:
            depths.append(depth + environment)
    return depths


def _partner(text: str, start: int) -> int:
    """Index of the bracket that closes the one at `start`, round and square ones alike as in intervals; -1 if none does."""
    if text[start] == "{":
        from limo.grading.answers.normalise import closing

        return closing(text, start)
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "([") - (text[i] in ")]")
        if depth == 0:
            return i
    return -1


_ENVIRONMENT = re.compile(
    r"^\(?\[?\s*\\begin\s*\{([a-zA-Z]*matrix|array|cases|aligned)\*?\}(?:\s*\{[lcr| ]*\})?(.*)\\end\s*\{\1\*?\}\s*\]?\)?$",
    re.S,
)


def _matrix(text: str) -> Shape | None:
    match = _ENVIRONMENT.match(text)
    if match is None or "\\begin" in match[2]:
        return None
    rows = [
        row
        for row in re.split(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-zA-Z])", re.sub(r"\\hline", "", match[2]))
        if row.strip()
    ]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)&", row)] for row in rows]
    if match[1] in ("cases", "aligned"):
        return Shape("list", text, tuple(shape(" ".join(row)) for row in cells))
    if match[1] == "vmatrix" or len({len(row) for row in cells}) != 1:
        return None
    return Shape("matrix", text, tuple(shape(cell) for row in cells for cell in row), str(len(cells[0])))


_SIGN = re.compile(r"\\(?:le|ge|ne|approx|sim|equiv|in|to|subset|subseteq|mapsto)(?![a-zA-Z])|[=<>]")


def _relation(text: str) -> tuple[tuple[str, ...], list[str]]:
    signs = []
    sides = []
    start = 0
    for match, depth in _outside(text, _SIGN):
        if depth == 0:
            signs.append(match[0])
            sides.append(text[start : match.start()].strip())
            start = match.end()
    return tuple(signs), [*sides, text[start:].strip()]
