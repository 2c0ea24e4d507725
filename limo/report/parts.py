"""Small pieces that several sections of the page share: values with intervals, marked shares, keys of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limo.report.arms import MEAN, Point
from limo.report.html import Html, el, join
from limo.report.notes import ALARM
from limo.report.runs import Run, Score
from limo.report.text import signed

Pieces = list[Html]
"""What a section holds; empty where a run has nothing to say."""
GLYPHS = "●■◆▲▼✚✖★"
"""As `figures.MARKERS`."""


def cell(point: Point | None, sign: bool = False) -> str:
    """A value in percent with its interval; with a sign where it is a difference."""
    if point is None:
        return "—"
    value, *ends = (signed(v) if sign else f"{100 * v:.1f}" for v in (point.value, point.low, point.high))
    return join([f"{value} ", el("span", f"[{ends[0]}, {ends[1]}]", class_="iv")])


def share(value: float | None) -> str:
    """A share in percent, marked where it should alarm."""
    if value is None:
        return "—"
    return el("span", percent(value), class_="alarm") if value >= ALARM else percent(value)


def percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.1f}"


def mean(scores: Sequence[Score], field: str) -> float | None:
    """Over the scores that have the field."""
    found = [v for s in scores if (v := getattr(s, field)) is not None]
    return sum(found) / len(found) if found else None


def columns(names: Sequence[str]) -> list[str]:
    """The benchmarks, and their mean where there are several."""
    return [*names, MEAN] if len(names) > 1 else list(names)


def score(runs: Sequence[Run], bench: str) -> Score | None:
    """Any run's score on a benchmark, for what all have in common: questions, domain."""
    return next((r.final.scores[bench] for r in runs if r.final and bench in r.final.scores), None)


def key(*entries: tuple[str, str, str]) -> Html:
    """What stands for what: label, colour, mark."""
    items = [el("li", label, data_mark=mark, style=f"--k: var(--{colour})") for label, colour, mark in entries]
    return el("ul", *items, class_="key")


def settings_key(colours: Mapping[str, int], marks: str = GLYPHS) -> Html:
    """The key of curves: setting -> its place in the palette."""
    return key(*((label, f"c{i % 8}", marks[i % len(marks)]) for label, i in colours.items()))


def folded(summary: str, *children: Html) -> Html:
    """Out of sight until asked for."""
    return el("details", el("summary", summary), *children)
