"""The web page: one file, nothing loaded from elsewhere, sections in the order in which questions come up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limo.report import sections, stages
from limo.report.accuracy import accuracy
from limo.report.arms import arms, bases, benchmarks, combine
from limo.report.html import Html, el
from limo.report.notes import notes
from limo.report.paper import paper
from limo.report.runs import Run
from limo.report.text import count, percent, signed


def page(runs: Sequence[Run], title: str) -> str:
    """The whole document."""
    parts = {
        "Accuracy": ("accuracy", accuracy(runs)),
        "Accuracy against size": ("size", sections.curves(runs)),
        "Against the paper": ("paper", paper(runs)),
        "How answers ended": ("answers", sections.answers(runs)),
        "Training": ("training", stages.training(runs)),
        "Selection": ("selection", stages.selection(runs)),
        "Data": ("data", stages.data(runs)),
        "Runs": ("runs", stages.listing(runs)),
        "Provenance": ("provenance", stages.provenance(runs)),
    }
    there = {heading: (anchor, content) for heading, (anchor, content) in parts.items() if content}
    body = el(
        "body",
        el("header", el("h1", title), el("p", headline(runs), class_="lead"), _notes(runs)),
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


def headline(runs: Sequence[Run]) -> str:
    """The result in a sentence."""
    names = benchmarks(runs)
    if not names:
        return "No evaluation yet: nothing was measured."
    main = names[0]
    tuned = [arm for arm in arms(runs) if arm.point(main)]
    before = combine(bases(runs)[:1], main)
    if not tuned:
        each = ", ".join(f"{percent(mean)} % for {b.model}" for b in bases(runs) if (mean := combine([b], main)))
        return f"{main}: {each}, without training."
    best = max(tuned, key=lambda arm: point.value if (point := arm.point(main)) else 0.0)
    point = best.point(main)
    assert point is not None
    which = f"{count(best)} examples" + (f", {best.label}" if best.label else "")
    seeds = f", mean of {len(point.seeds)} seeds" if len(point.seeds) > 1 else ""
    best_of = f" — best of {len(tuned)} settings" if len(tuned) > 1 else ""
    if before is None:
        return f"{main}: {100 * point.value:.1f} % with {which}{seeds}{best_of}."
    values = f"{100 * before.value:.1f} % → {100 * point.value:.1f} % ({signed(point.value - before.value)} points)"
    return f"{main}: {values} with {which}{seeds}{best_of}."


def _notes(runs: Sequence[Run]) -> Html | None:
    found = notes(runs)
    if not found:
        return None
    return el(
        "ul",
        *(el("li", el("b", "Problem ") if kind == "problem" else None, text, class_=kind) for kind, text in found),
        class_="notes",
    )
