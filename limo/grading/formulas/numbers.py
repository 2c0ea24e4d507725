"""Values of formulas as numbers: exact where they are rational, to 40 digits else; when two agree."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mpmath import mpc, mpf

Number: TypeAlias = "int | Fraction | mpf | mpc"
DIGITS = 40
AGREE = 1e-25
"""Relative difference below which two values computed with DIGITS digits are the same."""
ROUNDING = 1e-6
"""Up to here a tolerance covers the rounding of decimals and no more."""


class UndefinedError(ArithmeticError):
    """No value: division by zero, or too large to compute."""


def real(x: Number) -> bool:
    return isinstance(x, int | Fraction) or bool(abs(x.imag) <= AGREE * abs(x))


def negligible(x: Number) -> bool:
    return x == 0 if isinstance(x, int | Fraction) else bool(abs(x) < 1e-33)


def close(x: Number, y: Number, loose: float) -> bool:
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


def divide(x: Number, y: Number) -> Number:
    if isinstance(x, int | Fraction) and isinstance(y, int | Fraction):
        return Fraction(x) / y
    return inexact(x) / inexact(y)


def inexact(x: Number) -> mpf | mpc:
    import mpmath

    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, Fraction) else mpmath.mpmathify(x)
