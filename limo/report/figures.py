"""Figures as inline SVG: text in the page's font, colours from its style sheet, so that they follow light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from limo.report.html import Html
from limo.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, QUIET, RULE, PAPER = "#010101", "#020202", "#030303", "#040404"
SERIES = tuple(f"#0a0a{i:02x}" for i in range(8))
"""Placeholders: each becomes a variable of the style sheet."""
MARKERS = "osD^vPX*"
"""Curves differ in shape too, for eyes and printers without colour."""
WIDTH = 4.6
"""Inches; the page scales figures to its own width."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "limo",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "text.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


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
    figure, axes = _figure(0.55 + 0.36 * len(rows))
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
    return _svg(figure, title)


def sizes(
    lines: Sequence[Line],
    title: str,
    bases: Sequence[tuple[str, Estimate]],
    claims: Sequence[tuple[float, float]] = (),
) -> Html:
    """Accuracy against the number of examples: mean over seeds, band, one small dot a seed; base models as dashed lines."""
    figure, axes = _figure(2.7)
    for label, base in bases:
        _dashed(axes, label if len(bases) > 1 else "base", 100 * base.value)
    for line in lines:
        _curve(axes, line)
    ticks = sorted({x for line in lines for x in line.x})
    if claims:
        axes.plot([x for x, _ in claims], [100 * y for _, y in claims], "_", ms=11, mec=INK, mew=1.6, zorder=5)
    if len(ticks) > 1 and ticks[0] > 0 and ticks[-1] / ticks[0] >= 4:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(ticks, [f"{int(t):,}" for t in ticks])
    axes.set_ylim(-2, 102)
    axes.set_yticks(range(0, 101, 25))
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("examples")
    axes.set_ylabel("accuracy, %")
    return _svg(figure, title)


def _dashed(axes: Axes, label: str, height: float) -> None:
    axes.axhline(height, color=QUIET, lw=1, ls=(0, (4, 3)), zorder=1)
    edge = ("axes fraction", "data")
    axes.annotate(
        label, (1, height), (0, 3), xycoords=edge, textcoords="offset points", ha="right", color=QUIET, fontsize=8
    )


def _curve(axes: Axes, line: Line) -> None:
    colour, marker = SERIES[line.colour % len(SERIES)], MARKERS[line.colour % len(MARKERS)]
    middle, low, high = (
        [100 * value for value in of] for of in zip(*((p.value, p.low, p.high) for p in line.points), strict=True)
    )
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
    figure, axes = _figure(2.3)
    faint = 0.9 if len(curves) <= 6 else 0.6
    for (_, steps, values, colour), check in zip(curves, checks, strict=True):
        axes.plot(steps, values, color=SERIES[colour % len(SERIES)], lw=1.4, alpha=faint)
        if check[0]:
            axes.plot(*check, color=SERIES[colour % len(SERIES)], lw=1.4, ls=(0, (3, 2)), marker="o", ms=3, alpha=faint)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss per answer token")
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.spines["left"].set_visible(False)
    return _svg(figure, title)


def histogram(kept: Sequence[float], dropped: Sequence[float], title: str) -> Html:
    """How a score is distributed among the examples kept (coloured) and dropped (grey, on top)."""
    from numpy import histogram_bin_edges

    figure, axes = _figure(1.9)
    edges = histogram_bin_edges([*kept, *dropped], bins=min(30, max(8, int(len([*kept, *dropped]) ** 0.5))))
    axes.hist([list(kept), list(dropped)], bins=list(edges), stacked=True, color=[SERIES[0], RULE], rwidth=0.88)
    axes.set_ylabel("examples")
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    return _svg(figure, title)


def _figure(height: float) -> tuple[Figure, Axes]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        figure = pyplot.figure(figsize=(WIDTH, height), layout="constrained")
        return figure, figure.add_subplot()


def _svg(figure: Any, title: str) -> Html:
    """The figure as an `<svg>` whose colours are style variables and whose ids cannot clash with another figure's."""
    import matplotlib
    from matplotlib import pyplot

    out = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    pyplot.close(figure)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    size = re.search(r'viewBox="([^"]+)"', svg)
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index(">") + 1 :], flags=re.S)
    mark = re.sub(r"\W+", "-", title)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\1{mark}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", body)
    body = body.replace("xlink:href", "href")
    names = {INK: "ink", QUIET: "quiet", RULE: "rule", PAPER: "paper"} | {c: f"c{i}" for i, c in enumerate(SERIES)}
    for colour, variable in names.items():
        body = body.replace(colour, f"var(--{variable})")
    view = size.group(1) if size else "0 0 330 200"
    return Html(f'<svg viewBox="{view}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{body}')
