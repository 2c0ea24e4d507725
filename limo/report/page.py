"""The web page: one file, nothing loaded from elsewhere, sections in the order in which questions come up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limo.report import choosing, sections, stages
from limo.report.accuracy import accuracy
from limo.report.contamination import contamination
from limo.report.html import Html, el
from limo.report.notes import notes
from limo.report.paper import paper
from limo.report.settings import Setting, bases_of
from limo.report.text import count, measured, percent, signed


def page(settings: Sequence[Setting], title: str) -> str:
    """The whole document."""
    parts = {
        "Accuracy": ("accuracy", accuracy(settings)),
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
        el("header", el("h1", title), el("p", headline(settings), class_="lead"), _notes(settings)),
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


def headline(settings: Sequence[Setting]) -> str:
    """The result in a sentence; what a setting gained, over its own base on the questions of both."""
    names = measured(settings)
    if not names:
        return "No evaluation yet: nothing was measured."
    main = names[0]
    tuned = [(found.value, s) for s in settings if (found := s.accuracy(main))]
    if not tuned:
        each = ", ".join(
            f"{percent(mean)} % for {b.results[0].model}" for b in bases_of(settings) if (mean := b.accuracy(main))
        )
        return f"{main}: {each}, without training."
    value, best = max(tuned, key=lambda pair: pair[0])
    which = f"{count(best)} examples" + (f", {best.label}" if best.label else "")
    trained = sum(main in r.benchmarks for r in best.tuned)
    which += f", mean of {trained} seeds" if trained > 1 else ""
    which += f" — best of {len(tuned)} settings" if len(tuned) > 1 else ""
    gain = best.gain(main)
    if gain is None:
        return f"{main}: {100 * value:.1f} % with {which}."
    values = f"{100 * gain.first:.1f} % → {100 * gain.second:.1f} % ({signed(gain.value)} points)"
    return f"{main}: {values} with {which}."


def _notes(settings: Sequence[Setting]) -> Html | None:
    found = notes(settings)
    if not found:
        return None
    return el(
        "ul",
        *(el("li", el("b", "Problem ") if kind == "problem" else None, text, class_=kind) for kind, text in found),
        class_="notes",
    )
