"""The page's part on leaks: problems of the pool beside the benchmark questions that they are, from the lists that cleaning wrote."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from limo.records import lines, parsed
from limo.report.html import Html, el, table
from limo.report.parts import Pieces, cut, folded
from limo.report.runs import Run
from limo.report.settings import Setting

LISTS = {
    Path("data", "dropped.jsonl"): "left out",
    Path("data", "matches.jsonl"): "only reported",
    Path("paraphrases", "dropped.jsonl"): "left out",
    Path("paraphrases", "matches.jsonl"): "only reported",
}
"""Where a run's evidence lies, and what became of the problems in it."""
PAIRS = 12
"""Pairs that are shown side by side, each way of finding them by turns, the least alike first."""


@dataclass(frozen=True)
class Leak:
    """A problem of the pool and the benchmark question that it is taken for."""

    id: str
    question: str
    reason: str
    became: str
    benchmark: str
    problem: str
    other: str
    """The benchmark's question."""
    method: str
    score: float
    text: str
    """What both have."""
    where: str


def contamination(settings: Sequence[Setting]) -> Pieces:
    """How many problems leak, by benchmark and way of finding them; some pairs to read. Each pool once."""
    pieces: Pieces = []
    seen: set[object] = set()
    for run in (run for setting in settings for run in setting.runs):
        made = tuple(run.manifests[task].key for task in ("data", "paraphrases") if task in run.manifests)
        if (made or run.folder) not in seen:
            seen.add(made or run.folder)
            pieces += _pool(list(leaks(run)))
    return pieces


def leaks(run: Run) -> Iterator[Leak]:
    """All that a run's lists hold."""
    for name, became in LISTS.items():
        path = run.folder / name
        for number, line in enumerate(lines(path) if path.is_file() else (), 1):
            if '"match": null' in line or not line.strip():  # of the many others nothing is read
                continue
            row = parsed(line, path, number)
            match = row["match"]
            yield Leak(
                id=row["id"],
                question=row["question"],
                reason=row["reason"],
                became=became,
                benchmark=match["benchmark"],
                problem=match["problem"],
                other=match["question"],
                method=match["method"],
                score=match["score"],
                text=match["text"],
                where=match["where"],
            )


def _pool(found: list[Leak]) -> Pieces:
    if not found:
        return []
    counts = Counter(map(_key, found))
    least = {key: min(one.score for one in found if _key(one) == key) for key in counts}
    body = [[*key, f"{n:,}", f"{least[key]:.2f}"] for key, n in sorted(counts.items())]
    head = ["benchmark", "why", "found by", "became", "problems", "least score"]
    note = "score: share of the benchmark question's short runs that the problem holds; of pairs that were judged, the cosine"
    shown = _some(found)
    title = f"{len(shown)} of {len(found):,} pairs side by side, the least alike first"
    return [
        table("Benchmark questions in the pool", head, body, words=4, note=note),
        folded(title, *map(_pair, shown)),
    ]


def _key(one: Leak) -> tuple[str, str, str, str]:
    return one.benchmark, one.reason, one.method, one.became


def _some(found: Sequence[Leak]) -> list[Leak]:
    ways: dict[tuple[str, str], list[Leak]] = defaultdict(list)
    for one in sorted(found, key=lambda one: (one.score, one.id)):
        ways[one.method, one.reason].append(one)
    turns = chain.from_iterable(zip_longest(*ways.values()))
    return [one for one in turns if one is not None][:PAIRS]


def _pair(one: Leak) -> Html:
    both = f"; both have: {cut(one.text)}" if one.text else ""
    place = " in its solution" if one.where == "solution" else ""
    return el(
        "article",
        el("p", f"{one.reason}, {one.became}: {one.method}{place}, {one.score:.2f}{both}", class_="small"),
        el(
            "div",
            el("div", el("h3", f"pool: {one.id}"), el("p", cut(one.question))),
            el("div", el("h3", f"{one.benchmark}: {one.problem}"), el("p", cut(one.other))),
            class_="pair",
        ),
        class_="card",
    )
