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


def percent(of: Ranged | None, write: Callable[[float], str] = lambda value: f"{100 * value:.1f}") -> str:
    """`92.1 [89.4, 94.2]`, in percent; `signed` writes differences."""
    return "—" if of is None else f"{write(of.value)} [{write(of.low)}, {write(of.high)}]"


def brief(of: Ranged | None) -> str:
    """`92.1 ±2.4`: half the width of the interval, which need not lie evenly."""
    return "—" if of is None else f"{100 * of.value:.1f} ±{50 * (of.high - of.low):.1f}"


def signed(value: float) -> str:
    """`+83.7`, in percentage points, with a true minus sign."""
    return f"{100 * value:+.1f}".replace("-", "−")
