"""How a value and its interval are written, in percent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Ranged(Protocol):
    """A value with its 95 % interval: an accuracy or a difference, 0 to 1 or -1 to 1."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Write(Protocol):
    """`percent`, `brief` or `bare`."""

    def __call__(self, of: Ranged | None, write: Callable[[float], str] = ..., /) -> str: ...


def signed(value: float) -> str:
    """`+83.7`, in percentage points, with a true minus sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def unsigned(value: float) -> str:
    """`83.7`."""
    return f"{100 * value:.1f}"


def percent(of: Ranged | None, write: Callable[[float], str] = unsigned) -> str:
    """`92.1 [89.4, 94.2]`, in percent; `signed` writes differences."""
    return "—" if of is None else f"{write(of.value)} [{write(of.low)}, {write(of.high)}]"


def points(of: Ranged) -> str:
    """`+65.8 points [+60.1, +71.0]`: a difference."""
    return f"{signed(of.value)} points [{signed(of.low)}, {signed(of.high)}]"


def brief(of: Ranged | None, write: Callable[[float], str] = unsigned) -> str:
    """`92.1 ±2.4`: half the width of the interval, which need not lie evenly."""
    return "—" if of is None else f"{write(of.value)} ±{50 * (of.high - of.low):.1f}"


def bare(of: Ranged | None, write: Callable[[float], str] = unsigned) -> str:
    """`92.1`: where there is no room for an interval."""
    return "—" if of is None else write(of.value)
