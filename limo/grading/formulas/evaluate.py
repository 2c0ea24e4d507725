"""The value of a formula at a point."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from limo.grading.formulas.functions import FUNCTIONS, smooth
from limo.grading.formulas.numbers import DIGITS, Number, UndefinedError, inexact, negligible, real
from limo.grading.formulas.tree import Node

BITS = 200_000
"""Largest exact integer that is computed."""
Point = dict[str, Number]
"""Symbol -> value."""


def value(node: Node, point: Point) -> Number | None:
    """The value of a tree at a point (int or Fraction where exact, else mpmath); None where it has none."""
    import mpmath

    with mpmath.workdps(DIGITS):
        try:
            return _value(node, point)
        except (UndefinedError, ZeroDivisionError, ValueError, OverflowError, TypeError, mpmath.libmp.ComplexResult):
            return None


def _value(node: Node, point: Point) -> Number:
    kind = node.kind
    if kind == "num":
        return node.number
    if kind == "sym":
        return point[node.name]
    arguments = [_value(child, point) for child in node.parts]
    if kind == "neg":
        return -arguments[0]
    if kind == "^":
        return _power(*arguments)
    if kind == "opaque":
        return _opaque(node.name, arguments)
    if kind == "call":
        own = FUNCTIONS.get(node.name)
        return own(*arguments) if own else smooth(node.name, arguments[0])
    a, b = arguments
    exact = isinstance(a, int | Fraction) and isinstance(b, int | Fraction)
    if not exact:
        a, b = inexact(a), inexact(b)
    if kind == "+":
        return a + b
    if kind == "*":
        return a * b
    if negligible(b):
        raise UndefinedError
    return Fraction(a) / b if exact else a / b


def _power(a: Number, b: Number) -> Number:
    import mpmath

    if isinstance(a, int | Fraction) and isinstance(b, int | Fraction):
        a = Fraction(a)
        if b == int(b):
            if a == 0:
                if b <= 0:
                    raise UndefinedError
                return Fraction(0)
            if a in (1, -1):
                return a if b % 2 else Fraction(1)
            if abs(int(b)) * max(a.numerator.bit_length(), a.denominator.bit_length()) <= BITS:
                return a ** int(b)
    if negligible(a):
        if not real(b) or inexact(b).real <= 0:
            raise UndefinedError
        return Fraction(0)
    # an odd root of a negative number is meant real
    if isinstance(b, Fraction) and b.denominator % 2 == 1 and b.denominator > 1 and real(a) and inexact(a).real < 0:
        root = mpmath.power(-inexact(a).real, inexact(b))
        return root if b.numerator % 2 == 0 else -root
    a, b = inexact(a), inexact(b)
    if abs(b * mpmath.log(a)) > 1e9:
        raise UndefinedError("too large")
    return mpmath.power(a, b)


def _opaque(name: str, arguments: Sequence[Number]) -> Number:
    """A function nobody defined, or a sum that isn't computed: some smooth function of its arguments, fixed by its name."""
    import mpmath

    total = inexact(fixed_point(name, 0))
    for i, x in enumerate(arguments):
        if abs(x) > 1e9:
            raise UndefinedError("too large")
        total += mpmath.cos(inexact(fixed_point(name, i + 1)) * inexact(x) + i) * inexact(fixed_point(name, i + 20))
    return total


@lru_cache(maxsize=4096)
def fixed_point(name: str, place: int) -> Fraction:
    """A number between 0.3 and 2.3 that only the name and the place decide."""
    digest = hashlib.blake2b(f"{name}/{place}".encode(), digest_size=4).digest()
    return Fraction(301 + int.from_bytes(digest, "big") % 2000, 1009)
