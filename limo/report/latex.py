"""The page's tables for a paper, `report.tex`: as booktabs has them, one after the other, to be taken from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser

from limo.report.html import VOID, Html

ASIDE = "aside"
"""Class of what a table of the page holds for a reader on a screen, such as links: no number of a paper."""
HEAD = "% The tables of a report; needs \\usepackage{booktabs}. A wide one fits with \\resizebox or in sidewaystable.\n"
MARKS = {
    **{c: f"\\{c}" for c in "{}$&#%"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: f"${c}$" for c in "<>|"},
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\rightarrow$",
    "—": "---",
    "–": "--",
    "·": r"$\cdot$",
    "[": "{[}",  # after \\ it would be taken for a length
}


class _Tables(HTMLParser):
    """The tables of a piece of the page: caption, which columns are numbers, rows of texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[bool], list[list[str]]]] = []
        self.aside = 0
        self.into: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if self.aside or ASIDE in classes:
            self.aside += tag not in VOID
        elif tag == "table":
            self.found.append(("", [], []))
        elif tag == "tr" and self.found:
            self.found[-1][2].append([])
        elif tag in ("th", "td", "caption"):
            self.into = []
            if self.found and tag != "caption" and len(self.found[-1][2]) == 1:
                self.found[-1][1].append("n" in classes)
        elif tag in ("div", "br", "span"):
            self.into.append(". " if "note" in classes else " ")

    def handle_endtag(self, tag: str) -> None:
        if self.aside:
            self.aside -= 1
        elif self.found and tag in ("th", "td"):
            self.found[-1][2][-1].append(" ".join("".join(self.into).split()))
        elif self.found and tag == "caption":
            self.found[-1] = (" ".join("".join(self.into).split()), *self.found[-1][1:])

    def handle_data(self, data: str) -> None:
        if not self.aside:
            self.into.append(data)


def latex(pieces: Iterable[Html]) -> str:
    """Every table in pieces of the page."""
    tables = [table for piece in pieces for table in _Tables(piece).found]
    return HEAD + "".join(_table(*table) for table in tables)


def _table(caption: str, numbers: list[bool], rows: list[list[str]]) -> str:
    keep = [i for i in range(len(numbers)) if any(row[i] for row in rows[1:])]
    head, *body = (" & ".join(_escaped(row[i]) for i in keep) + r" \\" for row in rows)
    columns = "".join("r" if numbers[i] else "l" for i in keep)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(caption)}}}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
    ]
    lines += [r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n" + "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text of others that LaTeX sets as it is; what it could not set at all, a control character, is gone."""
    shown = "".join(c for c in text if c.isprintable())
    return re.sub(r"[^\w\s]", lambda found: MARKS.get(found[0], found[0]), shown).replace("_", r"\_")
