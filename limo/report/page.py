"""The web page: nothing loaded from elsewhere, whole without scripts, sections in the order in which questions come up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from limo.report import choosing, cost, sections, stages
from limo.report.accuracy import accuracy
from limo.report.answer import answer, expectations
from limo.report.contamination import contamination
from limo.report.html import Html, document, el
from limo.report.names import describe
from limo.report.notes import Note, notes
from limo.report.paper import paper
from limo.report.parts import Pieces
from limo.report.places import Lengths, Places
from limo.report.runs import Run
from limo.report.settings import Setting
from limo.report.verdicts import Verdict, verdicts

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""No script at all, nothing from elsewhere; the style is in the page."""


@dataclass(frozen=True)
class Page:
    """Of one run, or of several."""

    settings: Sequence[Setting]
    title: str
    places: Places
    lengths: Lengths
    back: str | None = None
    """The page over several runs that this is one of, as a link."""
    running: str | None = None
    """How far the runs are, where more are to come."""
    against: str | None = None
    """The strategy or the setting that others are compared with; None for random choice."""

    @cached_property
    def verdicts(self) -> list[Verdict]:
        return [] if self.back else verdicts(self.settings)  # a run of a study is not the study

    @cached_property
    def sections(self) -> dict[str, tuple[str, Pieces]]:
        """Heading -> anchor and content, in their order; those that say something."""
        settings, places = self.settings, self.places
        parts: dict[str, tuple[str, Pieces]] = {
            "Accuracy": ("accuracy", accuracy(settings, places, self.against)),
            "What was expected": ("expected", expectations(self.verdicts)),
            **{
                f"Accuracy against {name}": (re.sub(r"\W+", "-", f"against-{name}"), content)
                for name, content in sections.curves(settings).items()
            },
            "Against the paper": ("paper", paper(settings)),
            "How answers ended": (
                "answers",
                [*sections.answers(settings, places), *sections.lengths(settings, places, self.lengths)],
            ),
            "Training": ("training", stages.training(settings)),
            "Selection": ("selection", [*choosing.selection(settings), *cost.spent(settings)]),
            "Data": ("data", [*contamination(settings), *stages.data(settings)]),
            "Runs": ("runs", stages.listing(settings, places)),
            "Provenance": ("provenance", stages.provenance(settings)),
        }
        return {heading: (anchor, content) for heading, (anchor, content) in parts.items() if content}

    def html(self) -> str:
        """The whole document."""
        there = self.sections
        above = el("p", el("a", "All runs", href=self.back), class_="small") if self.back else None
        told = [*answer(self.settings, self.verdicts, self.against), _notes(self.settings, self.places, self.running)]
        links = (el("a", heading, href=f"#{anchor}") for heading, (anchor, _) in there.items())
        parts = (el("section", el("h2", heading, id=anchor), *content) for heading, (anchor, content) in there.items())
        body = el(
            "body",
            el("header", above, el("p", self.title, class_="title"), *told),
            el("nav", *links, aria_label="Sections"),
            el("main", *parts),
        )
        style = el("style", Html(Path(__file__).with_name("style.css").read_text(encoding="utf-8")))
        return document(self.title, POLICY, [style], body)


def _notes(settings: Sequence[Setting], places: Places, running: str | None) -> Html | None:
    found = notes(settings)
    if running:
        found.insert(0, Note("note", f"This sweep still runs: {running}. Nothing here is its result yet."))
    words = describe(settings)
    return el("ul", *(_note(note, places, words) for note in found), class_="notes") if found else None


def _note(note: Note, places: Places, words: Mapping[Run, str]) -> Html:
    """A sentence, with a link for each list of the answers that it is about."""
    links: list[str] = []
    for benchmark, run, of, kind in note.answers:
        if href := places.answers(run, benchmark, kind, of=of):
            name = f"{benchmark} ({words[run]})" if len(words) > 1 else benchmark
            links += [". Read them: " if not links else ", ", el("a", name, href=href)]
    mark = el("b", "Problem ") if note.severity == "problem" else None
    return el("li", mark, note.sentence, *links, class_=note.severity)
