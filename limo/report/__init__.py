"""What came of runs: a table for the terminal, a web page, Markdown and CSV, made from run folders alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from limo.report.settings import Setting

PAGE, NOTE, TABLES, SHEET = "report.html", "report.md", "report.tex", "results.csv"
OWN = ("runs", "provenance", "data")
"""Sections whose tables are of this machine, and of no paper."""


def read(folders: Sequence[Path]) -> list[Setting]:
    """The runs at and below these folders, by setting; each number of them is made once, whatever shows it.

    Runs that failed or have no training are there for what they are. Raises UserError where there is no run.
    """
    from limo.report.runs import find
    from limo.report.settings import settings_of

    return settings_of(find(folders))


def write(settings: Sequence[Setting], out: Path, running: str | None = None, against: str | None = None) -> Path:
    """Write the page (`out`, or `report.html` in it when it is a folder); beside it `report.md`, `report.tex` and `results.csv`, and
    a folder of its name (`report_files`) with its figures, the page of each of several runs, and the answers of all.

    The page comes first: what it leads to follows, the pages of a large sweep last.

    `running`: how far the runs are, where more are to come; the folder is left to the last report. `against`: a strategy or a setting
    that the others are compared with, in place of random choice. Returns the page. Raises UserError where there is no such
    setting, where answers are damaged, and where the place cannot be written.
    """
    from limo import UserError
    from limo.report.alone import write_alone
    from limo.report.drawing import export, kept
    from limo.report.latex import latex
    from limo.report.names import describe
    from limo.report.page import Page
    from limo.report.places import places
    from limo.report.reading import Lists
    from limo.report.settings import reference
    from limo.report.text import markdown, sheet
    from limo.spelling import meant

    against = against and against.removeprefix("selection=")  # as an expectation writes it
    if against and not any(reference(setting, settings, against) for setting in settings):
        there = list(dict.fromkeys(one for s in settings for one in (s.strategy, s.label) if one))
        if len(settings) < 2:
            why = f"there is one setting alone, {settings[0].label}, and nothing to compare with it"
        elif against in there:
            names = ", ".join(dict.fromkeys(s.label for s in settings))
            why = f"no other setting has as many examples and all else equal; give the whole name of one of {names}"
        else:
            why = f"there is no such setting{meant(against, there)}; there are {', '.join(there)}"
        raise UserError(f"--against {against}: {why}")
    target = out / PAGE if out.is_dir() or out.suffix != ".html" else out
    beside = target.with_name(f"{target.stem}_files")
    words = describe(settings)
    title = " · ".join(dict.fromkeys(run.name for run in words))
    found = places([] if running else list(words), beside)
    up = quote(target.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lists = Lists(found, beside / "answers")
        page = Page(settings, title, found, lists, running=running, against=against)
        with kept() as album:
            target.write_text(page.html(), encoding="utf-8")
        tables = [piece for anchor, content in page.sections.values() if anchor not in OWN for piece in content]
        target.with_name(NOTE).write_text(markdown(settings, title), encoding="utf-8")
        target.with_name(TABLES).write_text(latex(tables), encoding="utf-8")
        target.with_name(SHEET).write_text(sheet(settings), encoding="utf-8")
        if not running:
            lists.pages(words, f"../../{up}")
            export(album, beside / "figures")
        if found.pages:
            write_alone(found, settings, f"../../{up}", lists, beside / "runs")
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror}; choose another place with --out") from None
    return target


def publish(folders: Sequence[Path], out: Path, against: str | None = None) -> str:
    """Read, write; what the terminal shows of it. Raises UserError."""
    settings = read(folders)
    page = write(settings, out, against=against)
    return f"{table(settings)}\n\nreport: {os.path.relpath(page)}"


def table(settings: Sequence[Setting]) -> str:
    """The runs as a table for the terminal, with what a reader must not miss below it."""
    from limo.report.text import terminal

    return terminal(settings)
