"""What came of runs: a table for the terminal, a web page, Markdown and CSV, made from run folders alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limo.report.settings import Setting

PAGE, NOTE, SHEET = "report.html", "report.md", "results.csv"


def read(folders: Sequence[Path]) -> list[Setting]:
    """The runs at and below these folders, by setting; each number of them is made once, whatever shows it.

    Runs that failed or have no training are there for what they are. Raises UserError where there is no run.
    """
    from limo.report.runs import find
    from limo.report.settings import settings_of

    return settings_of(find(folders))


def write(settings: Sequence[Setting], out: Path, running: str | None = None) -> Path:
    """Write the page (`out`, or `report.html` in it when it is a folder), and `report.md` and `results.csv` beside it.

    `running`: how far the runs are, where more are to come. Returns the page. Raises UserError where the place cannot be written.
    """
    from limo import UserError
    from limo.report.page import page
    from limo.report.text import markdown, sheet

    target = out / PAGE if out.is_dir() or out.suffix != ".html" else out
    title = " · ".join(dict.fromkeys(run.name for setting in settings for run in setting.runs))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(settings, title, running), encoding="utf-8")
        target.with_name(NOTE).write_text(markdown(settings, title), encoding="utf-8")
        target.with_name(SHEET).write_text(sheet(settings), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename or target}: {error.strerror}; choose another place with --out") from None
    return target


def publish(folders: Sequence[Path], out: Path) -> str:
    """Read, write; what the terminal shows of it. Raises UserError."""
    settings = read(folders)
    page = write(settings, out)
    return f"{table(settings)}\n\nreport: {os.path.relpath(page)}"


def table(settings: Sequence[Setting]) -> str:
    """The runs as a table for the terminal, with what a reader must not miss below it."""
    from limo.report.text import terminal

    return terminal(settings)
