"""Are two formulas the same function? Their values at fixed random points tell."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from limo.grading.formulas.evaluate import Point, fixed_point, value
from limo.grading.formulas.numbers import Number, close, divide, negligible, real
from limo.grading.formulas.tree import Node, decimal, stepped, symbols

POINTS = 4
WHOLE = "nmkjN"
"""Letters that stand for whole numbers: formulas in nothing else need agree on these only."""


def same(a: Node, b: Node, tolerance: float) -> bool | None:
    """Whether two trees are one function; None if that can't be told. tolerance: relative, for trees holding decimals."""
    names = sorted(symbols(a) | symbols(b))
    loose = tolerance if decimal(a) or decimal(b) else 0.0
    if names and all(name[0] in WHOLE for name in names) and (exact := _agree(a, b, _whole(names), 0.0)):
        return exact
    judged = 0
    for point in points(names, steps=stepped(a) or stepped(b)):
        x, y = value(a, point), value(b, point)
        if x is None or y is None:
            if x is y and not names:
                return None
            if not names:
                return False
            continue
        # at negative points roots and powers leave the real line, and the branch taken is only a convention
        if point.get("") == -1 and not (real(x) and real(y)):
            continue
        if not close(x, y, loose):
            return False
        judged += 1
        if not names:
            return True
    return True if judged >= 2 else None


def _agree(a: Node, b: Node, where: list[Point], loose: float) -> bool:
    values = [(value(a, point), value(b, point)) for point in where]
    return all(x is not None and y is not None and close(x, y, loose) for x, y in values)


def _whole(names: list[str]) -> list[Point]:
    return [{name: Fraction(3 + 5 * i + i * i * (j + 1) + 2 * j) for j, name in enumerate(names)} for i in range(6)]


def proportional(a: Node, b: Node, tolerance: float) -> Number | None:
    """The constant c with a = c b as functions, if there is one; neither is zero."""
    names = sorted(symbols(a) | symbols(b))
    if not names:
        return None
    loose = tolerance if decimal(a) or decimal(b) else 0.0
    ratio: Number | None = None
    judged = 0
    for point in points(names):
        x, y = value(a, point), value(b, point)
        if x is None or y is None or (point.get("") == -1 and not (real(x) and real(y))):
            continue
        if negligible(x) or negligible(y):
            return None
        quotient = divide(x, y)
        if ratio is None:
            ratio = quotient
        elif not close(quotient, ratio, loose):
            return None
        judged += 1
    return ratio if judged >= 3 else None


def points(names: list[str], steps: bool = False) -> Iterator[Point]:
    """Values for the symbols: positive points, then mixed signs; the entry "" is the sign of the point.

    steps: also many whole numbers, since functions with floors agree on most points if they are close.
    """
    if not names:
        yield {}
        return
    for i in range(POINTS):
        yield {"": 1, **{name: fixed_point(name, i) for name in names}}
    if steps:
        for i in range(40):
            yield {"": 1, **{name: Fraction(int(fixed_point(name, i) * 1009) % 30 + i % 11) for name in names}}
    for i in range(POINTS, POINTS + 3):
        yield {
            "": -1,
            **{
                name: fixed_point(name, i) * (-1 if (i + j) % 2 or len(names) == 1 else 1)
                for j, name in enumerate(names)
            },
        }
