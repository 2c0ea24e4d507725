"""The value of a formula at a point: exact where it is rational, to 40 digits else."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

from limo.grading.formulas.formula import Node

DIGITS = 40
AGREE = 1e-25
"""Relative difference below which two values computed with DIGITS digits are the same."""
ROUNDING = 1e-6
"""Up to here a tolerance covers the rounding of decimals and no more."""
BITS = 200_000
"""Largest exact integer that is computed."""


class UndefinedError(ArithmeticError):
    """No value: division by zero, or too large to compute."""


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
        p, q = Fraction(x), Fraction(y)
        # rounding never makes another whole number; only a tolerance that someone declared does
        if loose <= ROUNDING and p.denominator == q.denominator == 1:
            return p == q
        return p == q or abs(p - q) <= Fraction(loose) * max(abs(p), abs(q))
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
            return Fraction(math.comb(int(n), int(k)))
        if abs(n) > 1e12 or abs(k) > 1e12:
            raise UndefinedError("too large")
        return mpmath.binomial(inexact(n), inexact(k))
    if name == "mod":
        if not (isinstance(x, Fraction) and isinstance(arguments[1], Fraction)) or arguments[1] == 0:
            raise UndefinedError
        return x % arguments[1]
    if name in ("floor", "ceil"):
        if not real(x) or abs(x) > 1e30:
            raise UndefinedError
        low = mpmath.floor(inexact(x).real) if name == "floor" else mpmath.ceil(inexact(x).real)
        return Fraction(int(low))
    if name == "sqrt":
        if isinstance(x, Fraction) and x >= 0:
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

    total = inexact(draw(name, 0))
    for i, x in enumerate(arguments):
        if abs(x) > 1e9:
            raise UndefinedError("too large")
        total += mpmath.cos(inexact(draw(name, i + 1)) * inexact(x) + i) * inexact(draw(name, i + 20))
    return total


@lru_cache(maxsize=4096)
def draw(name: str, point: int) -> Fraction:
    digest = hashlib.blake2b(f"{name}/{point}".encode(), digest_size=4).digest()
    return Fraction(301 + int.from_bytes(digest, "big") % 2000, 1009)
