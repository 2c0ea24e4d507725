"""A plot: two scales, ticks, a grid, and what is drawn between them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, floor, log10

from limo.report.drawing import Drawing, Point, Shape, Words

CHARACTERS = {"mwMW@%—": 1.0, "iljtfrI.,:;'|()[] -": 0.42}
"""About how wide a character is, in its size; ideographs are 1, capitals 0.75, others 0.64."""
SMALL, SIZE = 8.0, 9.0
"""Of text, in points."""
MANY = 1000
"""Points of a line of which all are drawn."""
Ticks = Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Scale:
    """From values to places along an axis."""

    low: float
    high: float
    log: bool = False
    """Both ends are above 0."""

    def at(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        low, high, one = map(log10, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return (one - low) / (high - low) if high != low else 0.5

    def ticks(self, most: int = 6) -> Ticks:
        """Round values."""
        return [(v, told(v)) for v in (_decades(self, most) if self.log else _steps(self.low, self.high, most))]


def _steps(low: float, high: float, most: int) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    return [round(i * step, 12) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _decades(scale: Scale, most: int) -> list[float]:
    """Powers of ten; where few are inside, 2 and 5 times them too."""
    low, high = floor(log10(scale.low)), ceil(log10(scale.high))
    factors = (1, 2, 5) if high - low <= 2 else (1,)
    every = max(1, ceil((high - low) / most))
    found = [float(f"{factor}e{power}") for power in range(low, high + 1, every) for factor in factors]
    return [value for value in found if scale.low * (1 - 1e-9) <= value <= scale.high * (1 + 1e-9)]


def told(value: float) -> str:
    """A value below a tick."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e7 else f"{value:.4g}"


def room(text: str, size: float) -> float:
    """About how wide a text is, in points."""
    return size * sum(map(_width, text))


def _width(one: str) -> float:
    if unicodedata.east_asian_width(one) in "WF":
        return 1.0
    plain = 0.75 if one.isupper() else 0.64
    return next((width for some, width in CHARACTERS.items() if one in some), plain)


@dataclass(frozen=True)
class Plot:
    """What lies between two axes; x grows to the right, y upwards."""

    size: tuple[float, float]
    """Width and height in points, with all that is around it."""
    x: Scale
    y: Scale
    below: Ticks
    beside: Ticks
    x_name: str = ""
    y_name: str = ""
    upright: bool = False
    """Grid lines stand on the ticks below, in place of lying at those beside."""
    aside: float = 0.0
    """Points left free on the right."""
    drawing: Drawing = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "drawing", Drawing(*self.size))
        self._frame()

    @cached_property
    def edges(self) -> tuple[float, float, float, float]:
        """Left, right, top, bottom of the inside."""
        left = max((room(words, SIZE) for _, words in self.beside), default=0) + 7 + (15 if self.y_name else 0)
        right = 4 + max(self.aside, room(self.below[-1][1], SIZE) / 2 if self.below else 0)
        return min(left, self.size[0] / 2), self.size[0] - right, 7.0, self.size[1] - (16 + (13 if self.x_name else 0))

    def across(self, value: float) -> float:
        left, right, _, _ = self.edges
        return left + self.x.at(value) * (right - left)

    def up(self, value: float) -> float:
        _, _, top, bottom = self.edges
        return bottom - self.y.at(value) * (bottom - top)

    def at(self, x: float, y: float) -> Point:
        """The point of two values."""
        return self.across(x), self.up(y)

    def line(self, xs: Iterable[float], ys: Iterable[float], stroke: str, width: float = 1.0, **look: object) -> None:
        """Through points; of many that fall on one place only the ends and the extremes."""
        points = _thinned([self.at(x, y) for x, y in zip(xs, ys, strict=True)])
        self.drawing.shapes.append(Shape(points, stroke, width, **look))  # type: ignore[arg-type]

    def area(self, points: Iterable[tuple[float, float]], fill: str, alpha: float = 1.0) -> None:
        """Within an outline."""
        self.drawing.shapes.append(Shape([self.at(*point) for point in points], fill=fill, alpha=alpha))

    def _frame(self) -> None:
        left, right, top, bottom = self.edges
        shapes = self.drawing.shapes
        for value, _ in self.below if self.upright else self.beside:
            where = self.across(value) if self.upright else self.up(value)
            ends = [(where, top), (where, bottom)] if self.upright else [(left, where), (right, where)]
            shapes.append(Shape(ends, "rule", 0.6))
        shapes.append(Shape([(left, bottom), (right, bottom)], "rule", 0.8))
        taken = -self.size[0]
        for value, words in self.below:
            x, half = self.across(value), room(words, SIZE) / 2
            shapes.append(Shape([(x, bottom), (x, bottom + 3)], "rule", 0.8))
            if x - half > taken:
                shapes.append(Words((x, bottom + 12), words, "middle"))
                taken = x + half
        for value, words in self.beside:
            shapes.append(Words((left - 5, self.up(value) + 3), words, "end", "ink" if self.upright else "quiet"))
        if self.x_name:
            shapes.append(Words(((left + right) / 2, self.size[1] - 4), self.x_name, "middle"))
        if self.y_name:
            shapes.append(Words((10, (top + bottom) / 2), self.y_name, "middle", size=SMALL, turned=True))


def _thinned(points: list[Point]) -> list[Point]:
    """Of the points of each half point of width the first, the lowest, the highest and the last, in their order."""
    if len(points) < MANY:
        return points
    columns: dict[int, list[tuple[float, int]]] = {}
    for number, (x, y) in enumerate(points):
        columns.setdefault(int(2 * x), []).append((y, number))
    kept = {n for of in columns.values() for n in (of[0][1], min(of)[1], max(of)[1], of[-1][1])}
    return [points[n] for n in sorted(kept)]
