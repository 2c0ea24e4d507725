"""The figures of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from limo.report.drawing import NARROW, SERIES, WIDE, Shape, Words, inline
from limo.report.html import Html
from limo.report.plot import SMALL, Plot, Scale, room, told
from limo.statistics import Estimate

MARKERS = "osD^vPX*"
"""Curves differ in shape too, for eyes and printers without colour."""

BANDS = 6
"""Curves of one figure whose intervals are drawn; of more they would be one grey."""
PERCENT = Scale(-2, 102)
DASHED = (4.0, 3.0)
CHECKED = (3.0, 2.0)
DASHES = ((), (7.0, 2.5), (1.5, 1.5), (7.0, 2.0, 1.5, 2.0))
"""A pattern for each round of the colours."""


@dataclass(frozen=True)
class Line:
    """One curve: where, how high (with interval), and its place in the palette."""

    label: str
    x: list[float]
    points: list[Estimate]
    colour: int


def dumbbells(rows: Sequence[tuple[str, Estimate | None, Estimate | None, float | None]], title: str) -> Html:
    """Base (hollow) and tuned (filled) per benchmark with their intervals, and the paper's value as a small upright
    line.
    """
    names = [(float(place), name) for place, (name, *_) in enumerate(rows)]
    upwards = Scale(len(rows) - 0.4, -0.6)
    quarters = Scale(0, 100).ticks(5)
    plot = Plot((WIDE, 38 + 26 * len(rows)), PERCENT, upwards, quarters, names, "accuracy, %", upright=True)
    for place, (_, base, tuned, claim) in enumerate(rows):
        if base and tuned:
            plot.line([100 * base.value, 100 * tuned.value], [place, place], "rule", 1.2)
        for point, colour, face in ((base, "quiet", "paper"), (tuned, "c0", "c0")):
            if point:
                ends = [100 * point.low, 100 * point.high]
                plot.line(ends, [place, place], colour, 1.6, round=True)
                plot.drawing.mark(plot.at(100 * point.value, place), "o", 3.2, face, colour, 1.5)
        if claim is not None:
            x, y = plot.at(100 * claim, place)
            plot.drawing.shapes.append(Shape([(x, y - 6.5), (x, y + 6.5)], "c1", 2))
    return inline(plot.drawing, title)


def curves(
    lines: Sequence[Line],
    name: str,
    title: str,
    bases: Sequence[tuple[str, Estimate]],
    claims: Sequence[tuple[float, float]] = (),
) -> Html:
    """Accuracy against a number of this name: mean over seeds, band, one small dot a seed; base models as dashed lines."""
    ticks = sorted({x for line in lines for x in line.x})
    log = len(ticks) > 1 and ticks[0] > 0 and ticks[-1] / ticks[0] >= 4
    across = _wider(ticks[0], ticks[-1], log)
    quarters = [(float(value), str(value)) for value in range(0, 101, 25)]
    free = room("base", SMALL) + 2 if len(bases) == 1 else 0
    labels = [(tick, told(tick)) for tick in ticks]
    plot = Plot((NARROW, 150), across, PERCENT, labels, quarters, name, "accuracy, %", aside=free)
    for label, base in bases:
        _dashed(plot, label, 100 * base.value, free > 0)
    for line in lines:
        _curve(plot, line, bands=len(lines) <= BANDS)
    for x, y in claims:
        if across.low <= x <= across.high:
            (x, y) = plot.at(x, 100 * y)
            plot.drawing.shapes.append(Shape([(x - 5.5, y), (x + 5.5, y)], "ink", 1.6))
    return inline(plot.drawing, title)


def _wider(low: float, high: float, log: bool) -> Scale:
    """With some room at both ends, so that marks are whole."""
    if log:
        return Scale(low * (low / high) ** 0.05, high * (high / low) ** 0.05, log=True)
    return Scale(low - (margin := 0.05 * (high - low) or 1.0), high + margin)


def _dashed(plot: Plot, label: str, height: float, outside: bool) -> None:
    left, right, _, _ = plot.edges
    y = plot.up(height)
    plot.drawing.shapes.append(Shape([(left, y), (right, y)], "quiet", 1, dash=DASHED))
    inside = Words((right, y - 3), label, "end", size=SMALL, over=True)
    plot.drawing.shapes.append(Words((right + 2, y + 3), "base", size=SMALL) if outside else inside)


def _curve(plot: Plot, line: Line, bands: bool) -> None:
    """Whiskers in place of a band where a band would hide the others: two seeds know little of their spread."""
    colour, marker = _colour(line.colour), MARKERS[(line.colour + line.colour // len(SERIES)) % len(MARKERS)]
    middle, low, high = (
        [100 * value for value in of] for of in zip(*((p.value, p.low, p.high) for p in line.points), strict=True)
    )
    if len(line.x) == 1 or (bands and any(len(point.seeds) == 2 for point in line.points)):
        for x, ends in zip(line.x, zip(low, high, strict=True), strict=True):
            plot.line([x, x], ends, colour, 1.0)
    elif bands:
        there, back = zip(line.x, high, strict=True), list(zip(line.x, low, strict=True))[::-1]
        plot.area([*there, *back], colour, 0.16)
    plot.line(line.x, middle, colour, 1.8, dash=_dash(line.colour))
    for x, y in zip(line.x, middle, strict=True):
        plot.drawing.mark(plot.at(x, y), marker, 2.8, colour)
    for x, point in zip(line.x, line.points, strict=True):
        for seed in point.seeds if len(point.seeds) > 1 else ():
            plot.drawing.mark(plot.at(x, 100 * seed), "o", 1.3, "paper", colour, 0.8)


Curve = tuple[Sequence[float], Sequence[float], int]
"""Steps, values, place in the palette."""


def losses(curves: Sequence[Curve], checks: Sequence[Curve], title: str, log: bool = False) -> Html:
    """Training loss against optimizer steps, one line a run, and the validation losses (dashed, with dots) of those that have some; what a
    logarithmic axis has no place for is left out."""
    curves, checks = _there(curves, log), _there(checks, log)
    plot = _over_steps((WIDE, 165), [*curves, *checks], "loss per answer token", log)
    for steps, values, place in curves:
        plot.line(steps, values, _colour(place), 1.3, dash=_dash(place))
    for steps, values, place in checks:
        plot.line(steps, values, _colour(place), 1.3, dash=_dash(place) or CHECKED)
        for point in zip(steps, values, strict=True):
            plot.drawing.mark(plot.at(*point), "o", 1.5, _colour(place))
    return inline(plot.drawing, title)


def traces(curves: Sequence[Curve], what: str, title: str) -> Html:
    """Another column of the training log against optimizer steps, one line a run."""
    plot = _over_steps((NARROW, 112), curves := _there(curves), what)
    for steps, values, place in curves:
        plot.line(steps, values, _colour(place), 1.2, dash=_dash(place))
    return inline(plot.drawing, title)


def _colour(place: int) -> str:
    return SERIES[place % len(SERIES)]


def _dash(place: int) -> tuple[float, ...]:
    return DASHES[place // len(SERIES) % len(DASHES)]


def _there(curves: Sequence[Curve], log: bool = False) -> list[Curve]:
    """The numbers among the values, above zero where that is asked; a training that came apart logs others."""
    found = []
    for steps, values, colour in curves:
        pairs = [(s, v) for s, v in zip(steps, values, strict=True) if isfinite(v) and (v > 0 or not log)]
        found.append(([s for s, _ in pairs], [v for _, v in pairs], colour))
    return [one for one in found if one[0]]


def _over_steps(size: tuple[float, float], curves: Sequence[Curve], what: str, log: bool = False) -> Plot:
    values = [value for _, found, _ in curves for value in found] or [1.0]
    upwards = _wider(min(values), max(values), log) if log else Scale(min(0.0, *values), 1.05 * max(values) or 1.0)
    across = Scale(0, max((steps[-1] for steps, _, _ in curves), default=1) or 1)
    return Plot(size, across, upwards, across.ticks(), upwards.ticks(4), "optimizer step", what)


def lengths(base: Sequence[int], tuned: Sequence[int], limit: int, title: str) -> Html:
    """How many tokens the answers of the tuned (filled) and the base model (a line) have, and the limit where they were cut, if any
    came near it.
    """
    longest = max([*base, *tuned, 1])
    near = limit <= 1.2 * longest
    across = Scale(0, max(longest, limit) if near else longest)
    bounds = [(float(limit), f"{limit:,}")] if near else []
    return _shares(across, longest / 30, tuned, base, bounds, ("tokens of an answer", "% of answers"), title)


def histogram(kept: Sequence[float], dropped: Sequence[float], bounds: Sequence[tuple[float, str]], title: str) -> Html:
    """How a score is distributed among the examples kept (filled) and dropped (a line), each as shares of its own number; a
    bound of a filter (where, in words) is an upright line."""
    every = [*kept, *dropped, *(at for at, _ in bounds)]
    across = Scale(min(every), max(every))
    bins = min(30, max(8, int(len(every) ** 0.5)))
    step = (across.high - across.low) / bins or 1.0
    return _shares(across, step, kept, dropped, bounds, ("", "% of each"), title)


def _shares(
    across: Scale,
    step: float,
    filled: Sequence[float],
    line: Sequence[float],
    bounds: Sequence[tuple[float, str]],
    names: tuple[str, str],
    title: str,
) -> Html:
    outlines = [_outline(values, across, step) for values in (filled, line)]
    upwards = Scale(0, 1.05 * max(y for outline in outlines for _, y in outline) or 1.0)
    plot = Plot((NARROW, 105), across, upwards, across.ticks(), upwards.ticks(4), *names)
    if filled:
        plot.area(outlines[0], "c0")
    if line:
        plot.line([x for x, _ in outlines[1]], [y for _, y in outlines[1]], "quiet", 1.4)
    _, right, top, bottom = plot.edges
    for at, words in bounds:
        x = plot.across(at)
        plot.drawing.shapes.append(Shape([(x, top), (x, bottom)], "c1", 1.2, dash=DASHED))
        left = x + 3 + room(words, SMALL) > right
        told = Words((x - 3 if left else x + 3, top + 7), words, "end" if left else "start", "ink", SMALL, over=True)
        plot.drawing.shapes.append(told)
    return inline(plot.drawing, title)


def _outline(values: Sequence[float], across: Scale, step: float) -> list[tuple[float, float]]:
    """The outline of a histogram in % of the values, from the left to the right end of the axis."""
    count = max(1, round((across.high - across.low) / step))
    heights = [0.0] * count
    for value in values:
        heights[min(count - 1, int((value - across.low) / step))] += 100 / len(values)
    corners = [(across.low + i * step, height) for i, height in enumerate(heights)]
    outline = [(across.low, 0.0)]
    for (x, y), (after, _) in pairwise([*corners, (across.low + count * step, 0.0)]):
        outline += [(x, y), (after, y)]
    return [*outline, (across.low + count * step, 0.0)]
