"""How a figure gets from matplotlib into the page, where its colours follow light and dark, and into files of its own."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from limo.report.html import Html
from limo.report.places import named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT: dict[str, str] = dict(
    re.findall(
        r"--([\w-]+): (#[0-9a-f]{6})",
        Path(__file__).with_name("style.css").read_text(encoding="utf-8").partition("}")[0],
    )
)
"""The light theme of the page, in which figures are drawn: variable of the style sheet -> colour."""
INK, QUIET, RULE, PAPER = (LIGHT[name] for name in ("ink", "quiet", "rule", "paper"))
SERIES = tuple(LIGHT[f"c{i}"] for i in range(8))
WIDTH = 4.6
"""Inches; the page scales figures to its own width."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "limo",
    "pdf.fonttype": 42,
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
}
Album = dict[str, tuple["Figure", str]]
"""Title -> the figure, and what it is as SVG."""
_album: ContextVar[Album | None] = ContextVar("album", default=None)


@contextmanager
def kept() -> Iterator[Album]:
    """The figures that are drawn in here, by title, for `export`."""
    album: Album = {}
    before = _album.set(album)
    try:
        yield album
    finally:
        _album.reset(before)


def canvas(height: float) -> tuple[Figure, Axes]:
    """An empty figure of so many inches."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        return figure, figure.add_subplot()


def inline(figure: Figure, title: str) -> Html:
    """The figure as an `<svg>` whose colours are style variables and whose ids cannot clash with another figure's."""
    whole = _svg(figure)
    if (album := _album.get()) is not None:
        album[title] = (figure, whole)
    svg = whole[whole.index("<svg") :]
    size = re.search(r'viewBox="([^"]+)"', svg)
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index(">") + 1 :], flags=re.S)
    mark = re.sub(r"\W+", "-", title)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{mark}-\1"', body)
    body = re.sub(r'(xlink:href="#|url\(#)', rf"\1{mark}-", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]+", r"font-size: \1px", body)
    body = body.replace("xlink:href", "href")
    for variable, colour in LIGHT.items():
        body = body.replace(colour, f"var(--{variable})")
    view = size.group(1) if size else "0 0 330 200"
    return Html(f'<svg viewBox="{view}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{body}')


def export(album: Album, folder: Path) -> None:
    """Each figure as `.svg` and `.pdf` in the light colours, to be used elsewhere. Raises OSError."""
    for title, name in named({title: title for title in album}).items():
        figure, svg = album[title]
        places = folder / f"{name}.svg", folder / f"{name}.pdf"
        if all(place.is_file() for place in places) and places[0].read_text(encoding="utf-8") == svg:
            continue  # drawn before, by the same numbers
        figure.set_layout_engine("none")  # it stays as it was laid out for the page
        folder.mkdir(parents=True, exist_ok=True)
        places[1].write_bytes(_pdf(figure))
        places[0].write_text(svg, encoding="utf-8")


def _svg(figure: Figure) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.StringIO()
    with matplotlib.rc_context(STYLE):  # not by `savefig`, which draws twice
        FigureCanvasSVG(figure).print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return out.getvalue()


def _pdf(figure: Figure) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    out = io.BytesIO()
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of each table of each font
    with matplotlib.rc_context(STYLE):
        FigureCanvasPdf(figure).print_pdf(out, metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))
    return out.getvalue()
