"""The page of each of several runs, made anew only where what it is made of has changed: each takes a quarter of a second or so."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from limo.report.names import describe
from limo.report.page import Page
from limo.report.places import Lengths, Places
from limo.report.runs import Run
from limo.report.settings import Setting


def write_alone(places: Places, settings: Sequence[Setting], back: str, lengths: Lengths, folder: Path) -> None:
    """One page for each run below a folder; `back`: the page over all, as a link from there. Raises OSError."""
    alone = {run: Setting(s.strategy, s.rest, s.size, (run,), s.label) for s in settings for run in s.runs}
    words = describe(settings)
    folder.mkdir(parents=True, exist_ok=True)
    here = places.at("../")
    for run, name in places.names.items():
        place = folder / f"{name}.html"
        key = _key(
            run, words[run], alone[run].label, back, *(here.answers(run, benchmark) for benchmark in places.benchmarks)
        )
        if not (place.is_file() and place.read_text(encoding="utf-8").endswith(key)):
            page = Page([alone[run]], words[run], here, lengths, back=back)
            place.write_text(page.html() + key, encoding="utf-8")


def _key(run: Run, *links: str | None) -> str:
    """A comment that names what a page is made of: the run's records, in them the keys of its results, and this program."""
    made = hashlib.sha256(repr((_program(), links, run)).encode()).hexdigest()
    return f"<!-- made of {made} -->\n"


@cache
def _program() -> str:
    files = sorted(file for file in Path(__file__).parent.iterdir() if file.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
