"""The answers of runs to read: a page for each run and benchmark, and beside it its answers, which the page loads.

Answers are data to the page: a script of theirs could not run, for they come as one literal in a file of their own, are shown as
text, and the page allows no script but its own files (`POLICY`).
"""

from __future__ import annotations

import json
import shutil
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from limo.records import Answer
from limo.report.html import Html, document, el
from limo.report.places import SIDES, Lengths, Places, Which
from limo.report.replies import FILTERS, answers_in
from limo.report.runs import Run

HERE = Path(__file__).parent
VIEWER, LOOKS = "viewer.js", "viewer.css"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'"
KINDS = {
    **{name: words for name, (words, _) in FILTERS.items()},
    "changed": "right here and wrong there, or the reverse",
}
"""Filters of the page, by the name that a link has."""


def write_answers(places: Places, words: Mapping[Run, str], page: str, folder: Path) -> Lengths:
    """The lists of all runs (`words`: what each is called) below a folder; `page`: the report, as a link from there.

    One answer at a time is in memory; an evaluation that runs share is read and written once. Raises UserError where it is damaged,
    OSError.
    """
    written: dict[Path, str] = {}
    found: dict[Path, Sequence[int]] = {}
    for run, benchmarks in places.files.items():
        below = places.names[run]
        for benchmark, files in benchmarks.items():
            (folder / below).mkdir(parents=True, exist_ok=True)
            name = places.benchmarks[benchmark]
            for which, file in files.items():
                if (source := file.resolve()) not in written:
                    written[source] = f"{below}/{name}.{which}.js"
                    found[source] = _data(folder / written[source], which, source)
            sources = {which: f"../{written[file.resolve()]}" for which, file in files.items()}
            links = [("the report", f"../{page}")]
            if own := places.at("../../").run(run):
                links.append(("the page of this run", own))
            text = _page(benchmark, words[run], sources, links)
            (folder / below / f"{name}.html").write_text(text, encoding="utf-8")
    if written:
        shutil.copyfile(HERE / VIEWER, folder / VIEWER)
        looks = [(HERE / name).read_text(encoding="utf-8") for name in ("style.css", LOOKS)]
        (folder / LOOKS).write_text("".join(looks), encoding="utf-8")
    return found


def _data(target: Path, which: Which, source: Path) -> Sequence[int]:
    """Write one answer after the other; the tokens of each."""
    tokens = array("I")
    with target.open("w", encoding="utf-8") as handle:
        handle.write(f"var {which}Answers = [\n")
        for answer in answers_in([source]):
            handle.write(f"{_literal(_row(answer))},\n")
            tokens.append(answer.tokens)
        handle.write("];\n")
    return tokens


def _row(one: Answer) -> list[object]:
    """What the page needs of an answer, in the order in which `viewer.js` names it."""
    kinds = [name for name, (_, holds) in FILTERS.items() if holds(one)]
    options = list((one.gold.choices or {}).items())
    asked = [one.problem, one.sample, one.question, options, one.gold.text]
    return [*asked, one.response, one.answer, one.verdict, one.correct, one.rule, one.finish, one.tokens, kinds]


def _literal(value: object) -> str:
    """JSON that is JavaScript too, and that could not end a script that it stood in."""
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _page(benchmark: str, words: str, sources: Mapping[Which, str], links: list[tuple[str, str]]) -> str:
    title = f"{benchmark}: answers of {words}"
    head = [
        el("link", rel="stylesheet", href=f"../{LOOKS}"),
        *(el("script", src=source, defer="") for source in sources.values()),
        el("script", src=f"../{VIEWER}", defer=""),
    ]
    body = el(
        "body",
        el("header", el("p", *_links(links), class_="small"), el("h1", title)),
        el("main", _form([side for side in SIDES if side in sources]), *_list()),
    )
    return document(title, POLICY, head, body)


def _links(links: list[tuple[str, str]]) -> Iterator[Html | str]:
    for number, (text, href) in enumerate(links):
        yield " · " if number else "Back to "
        yield el("a", text, href=href)


def _form(sides: list[Which]) -> Html:
    kinds = KINDS if len(sides) > 1 else {name: words for name, words in KINDS.items() if name != "changed"}
    of = [el("label", _input("radio", "side", side), f" {side} model") for side in sides]
    only = [
        el(
            "label",
            _input("checkbox", "kind", kind),
            f" {kind.replace('_', ' ')} ",
            el("span", class_="n"),
            title=words,
        )
        for kind, words in kinds.items()
    ]
    return el(
        "form",
        el("fieldset", el("legend", "Answers of the"), *of) if len(sides) > 1 else None,
        el("fieldset", el("legend", "Only those that are"), *only),
        el("label", "Containing ", el("input", type="search", name="text", autocomplete="off"), class_="text"),
        id="filters",
        aria_label="Filters",
    )


def _input(type_: str, name: str, value: str) -> Html:
    return el("input", type=type_, name=name, value=value)


def _list() -> list[Html]:
    none = el("noscript", el("p", "This list needs scripts. In a terminal, limo answers shows the same."))
    told = el("p", role="status", id="told")
    return [none, told, el("ol", id="answers"), el("button", "Show more", type="button", id="more", hidden="")]
