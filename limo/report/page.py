"""The web page: one file, nothing loaded from elsewhere, sections in the order in which questions come up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limo.report import choosing, sections, stages
from limo.report.accuracy import accuracy
from limo.report.answer import answer, expectations
from limo.report.contamination import contamination
from limo.report.html import Html, el
from limo.report.notes import notes
from limo.report.paper import paper
from limo.report.settings import Setting
from limo.report.verdicts import verdicts


def page(settings: Sequence[Setting], title: str, running: str | None = None) -> str:
    """The whole document; `running` says how far the runs are, where more are to come."""
    found = verdicts(settings)
    parts = {
        "Accuracy": ("accuracy", accuracy(settings)),
        "What was expected": ("expected", expectations(found)),
        "Accuracy against size": ("size", sections.curves(settings)),
        "Against the paper": ("paper", paper(settings)),
        "How answers ended": ("answers", sections.answers(settings)),
        "Training": ("training", stages.training(settings)),
        "Selection": ("selection", [*choosing.selection(settings), *stages.spent(settings)]),
        "Data": ("data", [*contamination(settings), *stages.data(settings)]),
        "Runs": ("runs", stages.listing(settings)),
        "Provenance": ("provenance", stages.provenance(settings)),
    }
    there = {heading: (anchor, content) for heading, (anchor, content) in parts.items() if content}
    body = el(
        "body",
        el("header", el("h1", title), *answer(settings, found), _notes(settings, running)),
        el(
            "nav",
            *(el("a", heading, href=f"#{anchor}") for heading, (anchor, _) in there.items()),
            aria_label="Sections",
        ),
        el(
            "main",
            *(el("section", el("h2", heading, id=anchor), *content) for heading, (anchor, content) in there.items()),
        ),
    )
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Html(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _notes(settings: Sequence[Setting], running: str | None) -> Html | None:
    found = notes(settings)
    if running:
        found = [("note", f"This sweep still runs: {running}. Nothing here is its result yet."), *found]
    if not found:
        return None
    return el(
        "ul",
        *(el("li", el("b", "Problem ") if kind == "problem" else None, text, class_=kind) for kind, text in found),
        class_="notes",
    )
