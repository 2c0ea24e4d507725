"""The figures of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from limo.report.drawing import INK, PAPER, QUIET, RULE, SERIES, canvas, inline
from limo.report.html import Html
from limo.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX*"
"""Curves differ in shape too, for eyes and printers without colour."""

BANDS = 6
"""Curves of one figure whose intervals are drawn; of more they would be one grey."""


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
    figure, axes = canvas(0.55 + 0.36 * len(rows))
    for place, (_, base, tuned, claim) in enumerate(rows):
        if base and tuned:
            axes.plot([100 * base.value, 100 * tuned.value], [place, place], color=RULE, lw=1.2, zorder=1)
        for point, colour, face in ((base, QUIET, PAPER), (tuned, SERIES[0], SERIES[0])):
            if point:
                axes.plot(
                    [100 * point.low, 100 * point.high],
                    [place, place],
                    color=colour,
                    lw=4.5,
                    alpha=0.25,
                    solid_capstyle="round",
                    zorder=2,
                )
                axes.plot(100 * point.value, place, "o", ms=6.5, mfc=face, mec=colour, mew=1.5, zorder=3)
        if claim is not None:
            axes.plot(100 * claim, place, "|", ms=13, mec=SERIES[1], mew=2, zorder=4)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    for label in axes.get_yticklabels():
        label.set_color(INK)
    axes.invert_yaxis()
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("accuracy, %")
    axes.grid(axis="x", color=RULE, lw=0.6)
    axes.spines["left"].set_visible(False)
    return inline(figure, title)


def sizes(
    lines: Sequence[Line],
    title: str,
    bases: Sequence[tuple[str, Estimate]],
    claims: Sequence[tuple[float, float]] = (),
) -> Html:
    """Accuracy against the number of examples: mean over seeds, band, one small dot a seed; base models as dashed lines."""
    figure, axes = canvas(2.7)
    for label, base in bases:
        _dashed(axes, label if len(bases) > 1 else "base", 100 * base.value)
    for line in lines:
        _curve(axes, line, band=len(lines) <= BANDS)
    ticks = sorted({x for line in lines for x in line.x})
    if claims:
        axes.plot([x for x, _ in claims], [100 * y for _, y in claims], "_", ms=11, mec=INK, mew=1.6, zorder=5)
    if len(ticks) > 1 and ticks[0] > 0 and ticks[-1] / ticks[0] >= 4:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(ticks, [f"{int(t):,}" for t in ticks])
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 25))
    _level(axes)
    axes.set_xlabel("examples")
    axes.set_ylabel("accuracy, %")
    return inline(figure, title)


def _dashed(axes: Axes, label: str, height: float) -> None:
    axes.axhline(height, color=QUIET, lw=1, ls=(0, (4, 3)), zorder=1)
    edge = ("axes fraction", "data")
    axes.annotate(
        label, (1, height), (0, 3), xycoords=edge, textcoords="offset points", ha="right", color=QUIET, fontsize=8
    )


def _curve(axes: Axes, line: Line, band: bool) -> None:
    colour, marker = SERIES[line.colour % len(SERIES)], MARKERS[line.colour % len(MARKERS)]
    middle, low, high = (
        [100 * value for value in of] for of in zip(*((p.value, p.low, p.high) for p in line.points), strict=True)
    )
    if band:
        axes.fill_between(line.x, low, high, color=colour, alpha=0.16, lw=0)
    axes.plot(line.x, middle, color=colour, lw=1.8, marker=marker, ms=5.5, mew=0, zorder=3)
    if len(line.x) == 1:
        axes.plot([line.x[0]] * 2, [low[0], high[0]], color=colour, lw=1.4, alpha=0.5)
    for x, point in zip(line.x, line.points, strict=True):
        if (seeds := len(point.seeds)) > 1:
            dots = [100 * seed for seed in point.seeds]
            axes.plot([x] * seeds, dots, "o", ms=2.6, mfc=PAPER, mec=colour, mew=0.8, zorder=4)


def losses(
    curves: Sequence[tuple[str, list[float], list[float], int]],
    checks: Sequence[tuple[list[float], list[float]]],
    title: str,
) -> Html:
    """Training loss against optimizer steps, one line a run, and beside each its validation loss (dashed) where it has one."""
    figure, axes = canvas(2.3)
    faint = 0.9 if len(curves) <= 6 else 0.6
    for (_, steps, values, colour), check in zip(curves, checks, strict=True):
        axes.plot(steps, values, color=SERIES[colour % len(SERIES)], lw=1.4, alpha=faint)
        if check[0]:
            axes.plot(*check, color=SERIES[colour % len(SERIES)], lw=1.4, ls=(0, (3, 2)), marker="o", ms=3, alpha=faint)
    _over_steps(axes, "loss per answer token")
    return inline(figure, title)


def traces(curves: Sequence[tuple[list[float], list[float], int]], what: str, title: str) -> Html:
    """Another column of the training log against optimizer steps, one line a run."""
    figure, axes = canvas(1.7)
    for steps, values, colour in curves:
        axes.plot(steps, values, color=SERIES[colour % len(SERIES)], lw=1.2, alpha=0.9 if len(curves) <= 6 else 0.6)
    _over_steps(axes, what)
    return inline(figure, title)


def _over_steps(axes: Axes, what: str) -> None:
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(what)
    _level(axes)


def _level(axes: Axes) -> None:
    """Lines to read heights by, in place of an axis on the left."""
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.spines["left"].set_visible(False)


def lengths(base: Sequence[int], tuned: Sequence[int], limit: int, title: str) -> Html:
    """How many tokens the answers of the tuned (filled) and the base model (a line) have, and the limit where they were cut, if any
    came near it.
    """
    from numpy import linspace

    longest = max([*base, *tuned, 1])
    figure, axes = canvas(1.7)
    _shares(axes, list(linspace(0, longest, 31)), tuned, base)
    if limit <= 1.2 * longest:
        axes.axvline(limit, color=SERIES[1], lw=1.2, ls=(0, (4, 3)))
    axes.set_xlim(left=0)
    axes.set_xlabel("tokens of an answer")
    axes.set_ylabel("% of answers")
    return inline(figure, title)


def histogram(kept: Sequence[float], dropped: Sequence[float], title: str) -> Html:
    """How a score is distributed among the examples kept (filled) and dropped (a line), each as shares of its own number."""
    from numpy import histogram_bin_edges

    figure, axes = canvas(1.9)
    edges = histogram_bin_edges([*kept, *dropped], bins=min(30, max(8, int(len([*kept, *dropped]) ** 0.5))))
    _shares(axes, list(edges), kept, dropped)
    axes.set_ylabel("% of each")
    return inline(figure, title)


def _shares(axes: Axes, edges: list[float], filled: Sequence[float], line: Sequence[float]) -> None:
    kinds: tuple[tuple[Sequence[float], str, Literal["stepfilled", "step"]], ...]
    kinds = ((filled, SERIES[0], "stepfilled"), (line, QUIET, "step"))
    for values, colour, kind in kinds:
        if values:
            axes.hist(
                values, bins=edges, weights=[100 / len(values)] * len(values), histtype=kind, color=colour, lw=1.4
            )
    axes.set_axisbelow(True)
    _level(axes)
