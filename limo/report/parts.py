"""Small pieces that several sections of the page share: values with intervals, marked shares, keys of figures."""

from __future__ import annotations

import re
from collections.abc import Mapping

from limo.report.html import Html, el, join
from limo.report.notes import ALARM
from limo.report.values import Ranged, signed

SHOWN = 1200
"""Characters of a text that are shown."""
SURE = 0.001
"""p values below are not told apart."""
Pieces = list[Html]
"""What a section holds; empty where a run has nothing to say."""
GLYPHS = "●■◆▲▼✚✖★"
"""As `figures.MARKERS`."""
STROKES = ("━━━", "━ ━", "┅┅┅", "━ ·")
"""As `figures.DASHES`."""


def cell(of: Ranged | None, sign: bool = False) -> str:
    """A value in percent with its interval; with a sign where it is a difference."""
    if of is None:
        return "—"
    value, *ends = (signed(v) if sign else f"{100 * v:.1f}" for v in (of.value, of.low, of.high))
    return join([f"{value} ", el("span", f"[{ends[0]}, {ends[1]}]", class_="iv")])


def marked(value: float | None) -> str:
    """A share in percent, marked where it should alarm."""
    if value is None:
        return "—"
    return el("span", percent(value), class_="alarm") if value >= ALARM else percent(value)


def percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.1f}"


def chance(p: float | None) -> str:
    """A p value as a table shows it; empty where there is none."""
    return "" if p is None else f"< {SURE}" if p < SURE else f"{p:.3f}"


def cut(text: str) -> str:
    """A long text of others as the page shows it."""
    return text if len(text) <= SHOWN else text[:SHOWN] + " …"


def key(*entries: tuple[str, str, str]) -> Html:
    """What stands for what: label, colour, mark."""
    items = [el("li", label, data_mark=mark, style=f"--k: var(--{colour})") for label, colour, mark in entries]
    return el("ul", *items, class_="key")


def settings_key(places: Mapping[str, int]) -> Html:
    """The key of curves with marks: setting -> its place in the palette."""
    return key(*((label, f"c{i % 8}", GLYPHS[(i + i // 8) % 8]) for label, i in places.items()))


def strokes_key(places: Mapping[str, int]) -> Html:
    """The key of bare lines."""
    return key(*((label, f"c{i % 8}", STROKES[i // 8 % len(STROKES)]) for label, i in places.items()))


def folded(summary: str, *children: Html) -> Html:
    """Out of sight until asked for."""
    return el("details", el("summary", summary), *children)


def choice(legend: str, options: Mapping[str, Html]) -> Html:
    """One of several figures at a time, as the reader chooses; the first until then."""
    mark = re.sub(r"\W+", "-", legend).lower()
    buttons: list[Html] = []
    for number, label in enumerate(options):
        name = f"{mark}-{number}"
        checked = None if number else ""
        buttons += [el("input", type="radio", name=mark, id=name, checked=checked), el("label", label, for_=name)]
    return el("fieldset", el("legend", legend), *buttons, *options.values(), class_="choice")
