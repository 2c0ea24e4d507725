"""The answers of runs to read: a page for each run and benchmark, and beside it its answers, which the page loads; and a page
that loads those of any two runs.

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
from limo.report.places import COMPARED, SIDES, Places, Which
from limo.report.replies import FILTERS, answers_in
from limo.report.runs import Run

HERE = Path(__file__).parent
VIEWER, COMPARE, RUNS, LOOKS = "viewer.js", "compare.js", "runs.js", "viewer.css"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'"
KINDS = {
    **{name: words for name, (words, _) in FILTERS.items()},
    "changed": "right here and wrong there, or the reverse",
}
"""Filters of the page, by the name that a link has."""
TOKENS = 11
"""Place of the tokens in a row."""


class Lists(dict[Path, Sequence[int]]):
    """Where an evaluation keeps its answers to a benchmark -> how many tokens each has. The list of these answers is written when
    they are first asked for, or with all `pages`.

    One answer at a time is in memory; an evaluation that runs share is read and written once. Raises UserError where it is damaged,
    OSError.
    """

    def __init__(self, places: Places, folder: Path) -> None:
        self.places, self.folder = places, folder
        self.written: dict[Path, str] = {}
        """Where answers are -> their list, below the folder."""
        for run, benchmarks in places.files.items():
            for benchmark, files in benchmarks.items():
                for which, file in files.items():
                    name = f"{places.names[run]}/{places.benchmarks[benchmark]}.{which}.js"
                    self.written.setdefault(file.resolve(), name)

    def __missing__(self, source: Path) -> Sequence[int]:
        if not self._stands(source):
            self[source] = self._write(source)
        else:
            rows = (self.folder / self.written[source]).read_text(encoding="utf-8").split("\n")[1:-2]
            self[source] = array("I", (json.loads(row.removesuffix(","))[TOKENS] for row in rows))
        return self[source]

    def pages(self, words: Mapping[Run, str], page: str) -> None:
        """All lists, and the pages to read them on. `words`: what each run is called; `page`: the report, as a link from there."""
        for source in self.written:
            if source not in self and not self._stands(source):
                self._write(source)
        for run, benchmarks in self.places.files.items():
            own = self.places.at("../../").run(run)
            links = [("the report", f"../{page}"), *([("the page of this run", own)] if own else [])]
            for benchmark, files in benchmarks.items():
                sources = {which: f"../{self.written[file.resolve()]}" for which, file in files.items()}
                place = self.folder / self.places.names[run] / f"{self.places.benchmarks[benchmark]}.html"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(_page(benchmark, words[run], sources, links), encoding="utf-8")
        if self.written:
            for name in (VIEWER, COMPARE):
                shutil.copyfile(HERE / name, self.folder / name)
            looks = [(HERE / name).read_text(encoding="utf-8") for name in ("style.css", LOOKS)]
            (self.folder / LOOKS).write_text("".join(looks), encoding="utf-8")
        if self.written and self.places.pages:
            (self.folder / Path(COMPARED).name).write_text(_compared([("the report", page)]), encoding="utf-8")
            (self.folder / RUNS).write_text(f"var runs = {_literal(self._runs(words))};\n", encoding="utf-8")

    def _runs(self, words: Mapping[Run, str]) -> list[object]:
        """Of each run what it is called, in links and in words, and benchmark -> the list of the model that it is about."""
        found: list[object] = []
        for run, benchmarks in self.places.files.items():
            files = {benchmark: self.places.final(run, benchmark) for benchmark in benchmarks}
            lists = [(benchmark, self.written[file.resolve()]) for benchmark, file in files.items() if file]
            found.append([self.places.names[run], words[run], lists])
        return found

    def _stands(self, source: Path) -> bool:
        """Whether the list of these very answers is there."""
        place = self.folder / self.written[source]
        if not place.is_file():
            return False
        with place.open(encoding="utf-8") as handle:
            return handle.readline() == _head(source)

    def _write(self, source: Path) -> Sequence[int]:
        """One answer after the other; the tokens of each."""
        target = self.folder / self.written[source]
        target.parent.mkdir(parents=True, exist_ok=True)
        tokens = array("I")
        fresh = target.with_name(f"{target.name}.part")
        with fresh.open("w", encoding="utf-8") as handle:
            handle.write(_head(source))
            for answer in answers_in([source]):
                handle.write(f"{_literal(_row(answer))},\n")
                tokens.append(answer.tokens)
            handle.write("]);\n")
        fresh.replace(target)
        return tokens


def _head(source: Path) -> str:
    """The first line of a list: of which file, as far as its size and time tell."""
    there = source.stat()
    return f"var lists = self.lists || []; lists.push([ // of {there.st_size} bytes, {there.st_mtime_ns}\n"


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
    scripts = [*sources.values(), f"../{VIEWER}"]
    form = _form([(side, f"{side} model") for side in SIDES if side in sources])
    return _document(f"{benchmark}: answers of {words}", f"../{LOOKS}", scripts, links, form)


def _compared(links: list[tuple[str, str]]) -> str:
    """The page of any two runs, which loads what its address asks for."""
    label = {"run": "Run", "other": "Against", "benchmark": "Benchmark"}
    chosen = el("fieldset", *(el("label", f"{words} ", el("select", name=name)) for name, words in label.items()))
    form = el("form", chosen, id="chosen", aria_label="Runs"), _form([("run", "run"), ("other", "other")])
    return _document("Answers of two runs", LOOKS, [RUNS, VIEWER, COMPARE], links, *form)


def _document(title: str, looks: str, scripts: list[str], links: list[tuple[str, str]], *forms: Html) -> str:
    head = [el("link", rel="stylesheet", href=looks), *(el("script", src=source, defer="") for source in scripts)]
    top = el("header", el("p", *_links(links), class_="small"), el("h1", title))
    return document(title, POLICY, head, el("body", top, el("main", *forms, *_list())))


def _links(links: list[tuple[str, str]]) -> Iterator[Html | str]:
    for number, (text, href) in enumerate(links):
        yield " · " if number else "Back to "
        yield el("a", text, href=href)


def _form(sides: list[tuple[str, str]]) -> Html:
    """Which answers to list: of which side (name and words; the first until another is asked for), and of which kinds."""
    several = len(sides) > 1
    kinds = {name: words for name, words in KINDS.items() if several or name != "changed"}
    of = [el("label", _input("radio", "side", side), " ", el("span", words)) for side, words in sides]
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
        el("fieldset", el("legend", "Answers of the"), *of, hidden=None if several else ""),
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
