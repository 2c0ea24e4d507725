"""How a figure becomes SVG in the page, where its colours follow light and dark, and files of its own.

A figure is shapes in points, from its upper left corner; colours are names of the page's style sheet.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from html import escape
from math import cos, pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from limo.report.html import Html
from limo.report.places import named

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.transforms import Transform

LIGHT: dict[str, str] = dict(
    re.findall(
        r"--([\w-]+): (#[0-9a-f]{6})",
        Path(__file__).with_name("style.css").read_text(encoding="utf-8").partition("}")[0],
    )
)
"""The light theme of the page, in which figures stand alone: name of a colour -> the colour."""
SERIES = tuple(f"c{i}" for i in range(8))
WIDE, NARROW = 331.0, 230.0
"""Points: a figure that stands alone, and one of a row. The page scales them to its own width."""
FAMILY = "DejaVu Sans, Helvetica, Arial, sans-serif"
PDF = {"pdf.fonttype": 42, "lines.scale_dashes": False}
Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
ARM = [(-0.33, -1.0), (0.33, -1.0), (0.33, -0.33), (1.0, -0.33), (1.0, 0.33), (0.33, 0.33)]
PLUS = [*ARM, *((-x, -y) for x, y in ARM)]
MARKS: dict[str, list[Point]] = {
    "s": [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)],
    "D": [(0.0, -1.1), (1.1, 0.0), (0.0, 1.1), (-1.1, 0.0)],
    "^": [(0.0, -1.0), (1.0, 0.9), (-1.0, 0.9)],
    "v": [(0.0, 1.0), (1.0, -0.9), (-1.0, -0.9)],
    "P": PLUS,
    "X": [(0.71 * (x - y), 0.71 * (x + y)) for x, y in PLUS],
    "*": [(r * sin(i * pi / 5), -r * cos(i * pi / 5)) for i, r in enumerate([1.1, 0.45] * 5)],
}
"""Outlines of marks of radius 1; "o" is a circle."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A line, or an area where it has a `fill`."""

    points: Sequence[Point]
    stroke: str | None = None
    width: float = 1.0
    fill: str | None = None
    alpha: float = 1.0
    dash: tuple[float, ...] = ()
    """Lengths of what is drawn and of what is not, in turn; a whole line without."""
    round: bool = False


@dataclass(frozen=True, slots=True)
class Circle:
    """A round mark."""

    centre: Point
    radius: float
    fill: str
    stroke: str | None
    width: float


@dataclass(frozen=True, slots=True)
class Words:
    """Text; `turned` reads upwards, and `over` keeps what is below from running through it."""

    at: Point
    text: str
    anchor: Anchor = "start"
    colour: str = "quiet"
    size: float = 9.0
    turned: bool = False
    over: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure."""

    width: float
    height: float
    shapes: list[Shape | Circle | Words] = field(default_factory=list)

    def mark(self, at: Point, kind: str, radius: float, fill: str, stroke: str | None = None, width: float = 0) -> None:
        """A mark of one of `MARKS`, or "o"."""
        if kind == "o":
            self.shapes.append(Circle(at, radius, fill, stroke, width))
        else:
            outline = [(at[0] + radius * x, at[1] + radius * y) for x, y in MARKS[kind]]
            self.shapes.append(Shape(outline, stroke, width, fill))


Album = dict[str, Drawing]
"""Title -> the figure."""
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


def inline(drawing: Drawing, title: str) -> Html:
    """The figure as an `<svg>` whose colours are style variables."""
    if (album := _album.get()) is not None:
        album[title] = drawing
    return _svg(drawing, title, lambda name: f"var(--{name})", "")


def export(album: Album, folder: Path) -> None:
    """Each figure as `.svg` and `.pdf` in the light colours, to be used elsewhere. Raises OSError."""
    for title, name in named({title: title for title in album}).items():
        alone = f' xmlns="http://www.w3.org/2000/svg" font-family="{FAMILY}" width="{_n(album[title].width)}pt"'
        svg = f'<?xml version="1.0" encoding="utf-8"?>\n{_svg(album[title], title, LIGHT.__getitem__, alone)}\n'
        places = folder / f"{name}.svg", folder / f"{name}.pdf"
        if all(place.is_file() for place in places) and places[0].read_text(encoding="utf-8") == svg:
            continue  # drawn before, by the same numbers
        folder.mkdir(parents=True, exist_ok=True)
        places[1].write_bytes(_pdf(album[title]))
        places[0].write_text(svg, encoding="utf-8")


def _svg(drawing: Drawing, title: str, colour: Callable[[str], str], more: str) -> Html:
    said, view = escape(title), f"0 0 {_n(drawing.width)} {_n(drawing.height)}"
    inside = "".join(_element(shape, colour) for shape in drawing.shapes)
    return Html(f'<svg viewBox="{view}" role="img" aria-label="{said}"{more}><title>{said}</title>{inside}</svg>')


def _element(shape: Shape | Circle | Words, colour: Callable[[str], str]) -> str:
    if isinstance(shape, Words):
        x, y = map(_n, shape.at)
        place = f'transform="translate({x} {y}) rotate(-90)"' if shape.turned else f'x="{x}" y="{y}"'
        halo = f' stroke="{colour("paper")}" stroke-width="3" paint-order="stroke"' if shape.over else ""
        anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
        look = f'font-size="{_n(shape.size)}" fill="{colour(shape.colour)}"{anchor}{halo}'
        return f"<text {place} {look}>{escape(shape.text)}</text>"
    fill = colour(shape.fill) if shape.fill else "none"
    look = f'fill="{fill}"'
    if shape.stroke:
        look += f' stroke="{colour(shape.stroke)}" stroke-width="{_n(shape.width)}"'
    if isinstance(shape, Circle):
        x, y = map(_n, shape.centre)
        return f'<circle cx="{x}" cy="{y}" r="{_n(shape.radius)}" {look}/>'
    look += f' opacity="{shape.alpha:g}"' if shape.alpha < 1 else ""
    look += f' stroke-dasharray="{" ".join(map(_n, shape.dash))}"' if shape.dash else ""
    look += ' stroke-linecap="round"' if shape.round else ""
    way = " ".join(f"{_n(x)},{_n(y)}" for x, y in shape.points)
    return f'<{"polygon" if shape.fill else "polyline"} points="{way}" {look}/>'


def _n(value: float) -> str:
    """A length, to a tenth of a point."""
    return f"{value:.1f}".removesuffix(".0")


def _pdf(drawing: Drawing) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.figure import Figure
    from matplotlib.transforms import Affine2D

    out = io.BytesIO()
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of each table of each font
    with matplotlib.rc_context(PDF):
        figure = Figure(figsize=(drawing.width / 72, drawing.height / 72), facecolor="none")
        place = Affine2D().translate(0, -drawing.height).scale(1 / 72, -1 / 72) + figure.dpi_scale_trans
        for artist in _artists(drawing.shapes, place):
            figure.add_artist(artist)
        FigureCanvasPdf(figure).print_pdf(out, metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))
    return out.getvalue()


def _artists(shapes: Iterable[Shape | Circle | Words], place: Transform) -> Iterator[Artist]:
    from matplotlib import patches, text
    from matplotlib.path import Path as Outline

    sides = {"start": "left", "middle": "center", "end": "right"}
    for shape in shapes:
        if isinstance(shape, Words):
            x, y = shape.at
            written = text.Text(x, y, shape.text, color=LIGHT[shape.colour], fontsize=shape.size, parse_math=False)
            written.set(ha=sides[shape.anchor], va="baseline", rotation=90 if shape.turned else 0)
            written.set(rotation_mode="anchor", transform=place)
            yield written
            continue
        look: dict[str, Any] = {
            "facecolor": LIGHT[shape.fill] if shape.fill else "none",
            "edgecolor": LIGHT[shape.stroke] if shape.stroke else "none",
            "linewidth": shape.width if shape.stroke else 0,
            "transform": place,
        }
        if isinstance(shape, Circle):
            yield patches.Circle(shape.centre, shape.radius, **look)
        else:
            look |= {"alpha": shape.alpha, "capstyle": "round" if shape.round else "butt"}
            look |= {"linestyle": (0, shape.dash) if shape.dash else "-"}
            yield patches.PathPatch(Outline(shape.points, closed=bool(shape.fill)), **look)
