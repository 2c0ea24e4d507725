"""Are two formulas the same function? Their values at fixed random points tell: exactly for rational ones, to 40 digits else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from limo.evaluation.grading.formula import Node

DIGITS = 40
POINTS = 4
AGREE = 1e-25
"""Relative difference below which two values computed with DIGITS digits are the same."""
ROUNDING = 1e-6
"""Up to here a tolerance covers the rounding of decimals and no more."""
WHOLE = "nmkjN"
"""Letters that stand for whole numbers: formulas in nothing else need agree on these only."""
BITS = 200_000
"""Largest exact integer that is computed."""


class UndefinedError(ArithmeticError):
    """No value: division by zero, or too large to compute."""


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


def _agree(a: Node, b: Node, where: list[dict[str, Any]], loose: float) -> bool:
    values = [(value(a, point), value(b, point)) for point in where]
    return all(x is not None and y is not None and close(x, y, loose) for x, y in values)


def _whole(names: list[str]) -> list[dict[str, Any]]:
    return [{name: Fraction(3 + 5 * i + i * i * (j + 1) + 2 * j) for j, name in enumerate(names)} for i in range(6)]


def proportional(a: Node, b: Node, tolerance: float) -> Fraction | Any | None:
    """The constant c with a = c b as functions, if there is one; neither is zero."""
    names = sorted(symbols(a) | symbols(b))
    if not names:
        return None
    loose = tolerance if decimal(a) or decimal(b) else 0.0
    ratio = None
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


def points(names: list[str], steps: bool = False) -> Iterator[dict[str, Any]]:
    """Values for the symbols: positive points, then mixed signs; the entry "" is the sign of the point.

    steps: also many whole numbers, since functions with floors agree on most points if they are close.
    """
    if not names:
        yield {}
        return
    for i in range(POINTS):
        yield {"": 1, **{name: _draw(name, i) for name in names}}
    if steps:
        for i in range(40):
            yield {"": 1, **{name: Fraction(int(_draw(name, i) * 1009) % 30 + i % 11) for name in names}}
    for i in range(POINTS, POINTS + 3):
        yield {
            "": -1,
            **{name: _draw(name, i) * (-1 if (i + j) % 2 or len(names) == 1 else 1) for j, name in enumerate(names)},
        }


@lru_cache(maxsize=4096)
def _draw(name: str, point: int) -> Fraction:
    digest = hashlib.blake2b(f"{name}/{point}".encode(), digest_size=4).digest()
    return Fraction(301 + int.from_bytes(digest, "big") % 2000, 1009)


def symbols(node: Node) -> frozenset[str]:
    """The free symbols of a tree."""
    if node[0] == "sym":
        return frozenset((node[1],))
    return frozenset().union(*(symbols(child) for child in node[1:] if isinstance(child, tuple)))


def decimal(node: Node) -> bool:
    """Whether a tree holds a number with decimal places, so an approximation."""
    if node[0] == "num":
        return bool(node[2])
    return any(decimal(child) for child in node[1:] if isinstance(child, tuple))


def stepped(node: Node) -> bool:
    """Whether a tree has jumps."""
    return node[:2] in (("call", "floor"), ("call", "ceil")) or any(
        stepped(child) for child in node[1:] if isinstance(child, tuple)
    )


def value(node: Node, point: dict[str, Any]) -> Any:
    """The value of a tree at a point (int or Fraction where exact, else mpmath); None where it has none."""
    import mpmath

    with mpmath.workdps(DIGITS):
        try:
            return _value(node, point)
        except (UndefinedError, ZeroDivisionError, ValueError, OverflowError, TypeError, mpmath.libmp.ComplexResult):
            return None


def real(x: Any) -> bool:
    return isinstance(x, int | Fraction) or abs(x.imag) <= AGREE * abs(x)


def negligible(x: Any) -> bool:
    return x == 0 if isinstance(x, int | Fraction) else abs(x) < 1e-33


def close(x: Any, y: Any, loose: float) -> bool:
    """Whether two values agree: exactly if both are exact, relatively else."""
    import mpmath

    if isinstance(x, int | Fraction) and isinstance(y, int | Fraction):
        # rounding never makes another whole number; only a tolerance that someone declared does
        if loose <= ROUNDING and x == int(x) and y == int(y):
            return x == y
        return x == y or abs(x - y) <= Fraction(loose) * max(abs(x), abs(y))
    with mpmath.workdps(DIGITS):
        a, b = inexact(x), inexact(y)
        if negligible(x) and negligible(y):
            return True
        return bool(abs(a - b) <= max(loose, AGREE) * max(abs(a), abs(b)))


def divide(x: Any, y: Any) -> Any:
    return (
        Fraction(x) / y if isinstance(x, int | Fraction) and isinstance(y, int | Fraction) else inexact(x) / inexact(y)
    )


def inexact(x: Any) -> Any:
    import mpmath

    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else mpmath.mpmathify(x)


def _value(node: Node, point: dict[str, Any]) -> Any:
    kind = node[0]
    if kind == "num":
        return node[1]
    if kind == "sym":
        return point[node[1]]
    if kind == "neg":
        return -_value(node[1], point)
    if kind in "+*/^":
        a, b = _value(node[1], point), _value(node[2], point)
        exact = isinstance(a, int | Fraction) and isinstance(b, int | Fraction)
        if not exact and kind != "^":
            a, b = inexact(a), inexact(b)
        if kind == "+":
            return a + b
        if kind == "*":
            return a * b
        if kind == "/":
            if negligible(b):
                raise UndefinedError
            return Fraction(a) / b if exact else a / b
        return _power(a, b)
    arguments = [_value(child, point) for child in node[2:]]
    return _opaque(node[1], arguments) if kind == "opaque" else _call(node[1], arguments)


def _power(a: Any, b: Any) -> Any:
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
            if abs(b) * max(a.numerator.bit_length(), a.denominator.bit_length()) <= BITS:
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


def _call(name: str, arguments: list[Any]) -> Any:
    import mpmath

    if name == "pi":
        return +mpmath.pi
    if name == "e":
        return +mpmath.e
    if name == "i":
        return mpmath.mpc(0, 1)
    if name == "degree":
        # a mark on numbers; inside trigonometric functions it is a factor, which _call sees as the argument's value
        return mpmath.pi / 180
    x = arguments[0]
    if name == "abs":
        return abs(x)
    if name == "factorial":
        if isinstance(x, Fraction) and x.denominator == 1 and 0 <= x <= 3000:
            return Fraction(mpmath.libmp.ifac(int(x)))
        if abs(x) > 1e12:
            raise UndefinedError("too large")
        return mpmath.factorial(inexact(x))
    if name == "binomial":
        n, k = x, arguments[1]
        if all(isinstance(v, Fraction) and v.denominator == 1 and 0 <= v <= 5000 for v in (n, k)):
            import math

            return Fraction(math.comb(int(n), int(k)))
        if abs(n) > 1e12 or abs(k) > 1e12:
            raise UndefinedError("too large")
        return mpmath.binomial(inexact(n), inexact(k))
    if name in ("floor", "ceil"):
        if not real(x) or abs(x) > 1e30:
            raise UndefinedError
        low = mpmath.floor(inexact(x).real) if name == "floor" else mpmath.ceil(inexact(x).real)
        return Fraction(int(low))
    if name == "sqrt":
        if isinstance(x, Fraction) and x >= 0:
            import math

            top, bottom = math.isqrt(x.numerator), math.isqrt(x.denominator)
            if top * top == x.numerator and bottom * bottom == x.denominator:
                return Fraction(top, bottom)
        return mpmath.sqrt(inexact(x))
    if abs(x) > 1e9 and name in (
        "exp",
        "sinh",
        "cosh",
        "tanh",
        "sech",
        "csch",
        "coth",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
    ):
        raise UndefinedError("too large")
    x = inexact(x)
    if name in ("ln", "log", "lg"):
        if negligible(x):
            raise UndefinedError
        return mpmath.log(x) / mpmath.log(10) if name == "lg" else mpmath.log(x)
    return getattr(mpmath, name.replace("arc", "a"))(x)


def _opaque(name: str, arguments: list[Any]) -> Any:
    """A function nobody defined, or a sum that isn't computed: some smooth function of its arguments, fixed by its name."""
    import mpmath

    total = inexact(_draw(name, 0))
    for i, x in enumerate(arguments):
        if abs(x) > 1e9:
            raise UndefinedError("too large")
        total += mpmath.cos(inexact(_draw(name, i + 1)) * inexact(x) + i) * inexact(_draw(name, i + 20))
    return total
