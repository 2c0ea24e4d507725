"""The functions a formula may call, exact where their value is rational."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from limo.grading.formulas.numbers import Number, UndefinedError, inexact, negligible, real
from limo.grading.formulas.symbols import names

GROWING = names("exp sinh cosh tanh sech csch coth sin cos tan cot sec csc")
"""Functions that are not computed far from zero."""


def _pi() -> Number:
    import mpmath

    return +mpmath.pi


def _e() -> Number:
    import mpmath

    return +mpmath.e


def _i() -> Number:
    import mpmath

    return mpmath.mpc(0, 1)


def _degree() -> Number:
    """A mark on numbers; inside trigonometric functions a factor."""
    import mpmath

    return mpmath.pi / 180


def _factorial(x: Number) -> Number:
    import mpmath

    if isinstance(x, Fraction) and x.denominator == 1 and 0 <= x <= 3000:
        return Fraction(mpmath.libmp.ifac(int(x)))
    if abs(x) > 1e12:
        raise UndefinedError("too large")
    return mpmath.factorial(inexact(x))


def _binomial(n: Number, k: Number) -> Number:
    import mpmath

    if all(isinstance(v, Fraction) and v.denominator == 1 and 0 <= v <= 5000 for v in (n, k)):
        return Fraction(math.comb(int(n), int(k)))
    if abs(n) > 1e12 or abs(k) > 1e12:
        raise UndefinedError("too large")
    return mpmath.binomial(inexact(n), inexact(k))


def _mod(x: Number, y: Number) -> Number:
    if not isinstance(x, Fraction) or not isinstance(y, Fraction) or y == 0:
        raise UndefinedError
    return x % y


def _floor(x: Number) -> Number:
    import mpmath

    return Fraction(int(mpmath.floor(_bounded(x))))


def _ceil(x: Number) -> Number:
    import mpmath

    return Fraction(int(mpmath.ceil(_bounded(x))))


def _bounded(x: Number) -> Number:
    if not real(x) or abs(x) > 1e30:
        raise UndefinedError
    return inexact(x).real


def _sqrt(x: Number) -> Number:
    import mpmath

    if isinstance(x, Fraction) and x >= 0:
        top, bottom = math.isqrt(x.numerator), math.isqrt(x.denominator)
        if top * top == x.numerator and bottom * bottom == x.denominator:
            return Fraction(top, bottom)
    return mpmath.sqrt(inexact(x))


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "pi": _pi,
    "e": _e,
    "i": _i,
    "degree": _degree,
    "abs": abs,
    "factorial": _factorial,
    "binomial": _binomial,
    "mod": _mod,
    "floor": _floor,
    "ceil": _ceil,
    "sqrt": _sqrt,
}
"""What is not mpmath's as it stands."""


def smooth(name: str, x: Number) -> Number:
    """The value of an elementary function."""
    import mpmath

    if abs(x) > 1e9 and name in GROWING:
        raise UndefinedError("too large")
    x = inexact(x)
    if name in ("ln", "log", "lg"):
        if negligible(x):
            raise UndefinedError
        return mpmath.log(x) / mpmath.log(10) if name == "lg" else mpmath.log(x)
    found: Number = getattr(mpmath, name.replace("arc", "a"))(x)
    return found
