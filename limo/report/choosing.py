"""The page's section on choosing: what became of the candidates, which were just kept and just missed, how far strategies agree."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

from limo.records import Dropped, Example, Limits, ParaphrasesSummary, Record, SelectionSummary, read
from limo.report import figures
from limo.report.html import Html, el, facts, table
from limo.report.names import called, describe
from limo.report.parts import Pieces, cut, folded, key
from limo.report.plot import told
from limo.report.runs import Run
from limo.report.settings import Setting
from limo.report.stages import flat
from limo.statistics import spearman

COUNTS = re.compile(r"(right|tried|solve_rate|response)\..")
"""Scores of single sieves, which `solve_rate` stands for."""
EXAMPLES = Path("selection", "examples.jsonl")
PANELS = 4
"""Selections whose score distributions are drawn; a larger sweep shows its counts only."""
CARDS = 3
"""Examples shown of the best, the last that were kept and the first that were not."""
MOST = 24
"""Settings whose agreement is shown as a table."""


def selection(settings: Sequence[Setting]) -> Pieces:
    """What each step dropped and why, how scores are spread, some examples to read, and how far strategies agree."""
    found = _distinct(settings)
    if len(found) > PANELS:
        return [*_counts(settings), *agreement(settings)]
    return [*(piece for label, run in found for piece in _funnel(label, run)), *agreement(settings)]


def _funnel(label: str, run: Run) -> Pieces:
    dropped, kept = left_out(run), examples(run)
    said = run.summaries.get("selection")
    if not dropped and not kept:
        return [facts(flat(asdict(said)))] if isinstance(said, SelectionSummary) else []
    body = _cleaned(run) + [["problems", "", f"{sieve.problems:,}"] for sieve in list(run.sieves.values())[:1]]
    body += [[f"attempts: {n}", why, f"−{c:,}"] for n, s in run.sieves.items() for why, c in s.dropped.items()]
    body.append(["candidates", "", f"{len(kept) + len(dropped):,}"])
    body += [[step, why, f"−{n:,}"] for (step, why), n in Counter((d.step, d.reason) for d in dropped).items()]
    body.append(["kept", "", f"{len(kept):,}"])
    title = f"From candidates to examples{f': {label}' if label else ''}"
    pieces: Pieces = [table(title, ["step", "reason", "examples"], body, words=2, last=True)]
    pieces += _traits(said) if isinstance(said, SelectionSummary) else []
    limits = said.limits if isinstance(said, SelectionSummary) else {}
    panels, bounded = [], False
    for score in dict.fromkeys(name for e in kept for name in e.scores if name in limits or not COUNTS.match(name)):
        inside, outside = ([one.scores[score] for one in of if score in one.scores] for of in (kept, dropped))
        if len({*inside, *outside}) > 1:
            bounds = _bounds(limits.get(score, Limits(None, None)), [*inside, *outside])
            bounded = bounded or bool(bounds)
            words = f"{label} {score}: distribution among kept and dropped examples".strip()
            panels.append(el("figure", el("figcaption", score), figures.histogram(inside, outside, bounds, words)))
    if panels:
        marks = [("kept", "c0", "■"), ("dropped", "quiet", "—"), *[("bound of a filter", "c1", "┆")] * bounded]
        pieces += [key(*marks), el("div", *panels, class_="panels")]
    return [*pieces, *_cards(run, kept, dropped)]


def _bounds(of: Limits, values: Sequence[float]) -> list[tuple[float, str]]:
    """The limits that leave a value out, in words."""
    low = [(of.low, f"≥ {told(of.low)}")] if of.low is not None and min(values) < of.low else []
    high = [(of.high, f"≤ {told(of.high)}")] if of.high is not None and max(values) > of.high else []
    return low + high


def _cleaned(run: Run) -> list[list[str]]:
    """What cleaning left out of the rows that were read."""
    if not run.data:
        return []
    body = [["rows", "", f"{run.data.read:,}"], *(["data", why, f"−{n:,}"] for why, n in run.data.dropped.items())]
    judged = run.summaries.get("paraphrases")
    if isinstance(judged, ParaphrasesSummary) and judged.kept < judged.problems:
        body.append(["paraphrases", "in other words, or not judged", f"−{judged.problems - judged.kept:,}"])
    return body


def _counts(settings: Sequence[Setting]) -> Pieces:
    """Many selections as one table: a row per setting and size (mean over seeds), a column per reason."""
    groups = [(s, [_reasons(run) for run in s.runs if run.tuned]) for s in settings]
    reasons = list(dict.fromkeys(why for _, counters in groups for c in counters for why in c))
    body, words = [], called(settings)
    for setting, counters in groups:
        if counters:
            means = [round(sum(c[why] for c in counters) / len(counters)) for why in reasons]
            size = setting.size or 0
            cells = [f"−{n:,}" if n else "—" for n in means]
            body.append([words[setting], f"{sum(means) + size:,}", *cells, f"{size:,}"])
    head = ["setting", "candidates", *(": ".join(p for p in why if p) for why in reasons), "kept"]
    return [table("From candidates to examples", head, body)]


def _reasons(run: Run) -> Counter[tuple[str, str]]:
    said = run.summaries.get("selection")
    dropped = said.dropped if isinstance(said, SelectionSummary) else {}
    return Counter({(step, why): n for step, whys in dropped.items() for why, n in whys.items()})


def _traits(said: SelectionSummary) -> Pieces:
    """Of scores made of parts: how much each part decides."""
    body = [
        [f"{step}: {part}", f"{100 * t.zeros:.1f}", "—" if t.correlation is None else f"{t.correlation:+.2f}"]
        for step, parts in said.traits.items()
        for part, t in parts.items()
    ]
    head = ["part of a score", "zero in % of candidates", "rank correlation with the score"]
    return [table("What the parts of a score decide", head, body)] if body else []


def _cards(run: Run, kept: Sequence[Example], dropped: Sequence[Dropped]) -> Pieces:
    """The first that were kept, and the last kept beside the first that missed."""
    missed = _missed(dropped)[:CARDS]
    texts = {e.id: e for e in _rows(run.folder / "candidates" / "candidates.jsonl", Example)} if missed else {}
    shown = [("first kept", e) for e in kept[:CARDS]]
    shown += [("last kept", e) for e in kept[max(CARDS, len(kept) - CARDS) :]]
    shown += [("just missed", texts[d.id]) for d in missed if d.id in texts]
    scores = {e.id: e.scores for e in kept} | {d.id: d.scores for d in missed}
    cards = [_card(why, example, scores[example.id]) for why, example in shown]
    title = f"{len(cards)} examples to read: the first and the last that were kept, the first that were not"
    return [folded(title, *cards)] if cards else []


def _card(why: str, example: Example, scores: Mapping[str, float]) -> Html:
    named = [("answer", example.answer), ("from", example.origin), ("graded", example.verdict)]
    named += [("changed by", ", ".join(example.transforms))]
    numbers = [(name, f"{value:.4g}") for name, value in sorted(scores.items())]
    return el(
        "article",
        el("h3", f"{why}: {example.id}"),
        el("p", example.question),
        facts([*named, *numbers]),
        el("pre", cut(example.solution)),
        class_="card",
    )


def agreement(settings: Sequence[Setting]) -> Pieces:
    """How many examples two settings have in common, and how alike they order the candidates; means over their seeds."""
    there = [s for s in settings if any((r.folder / EXAMPLES).is_file() for r in s.runs)]
    if not 2 <= len(there) <= MOST:
        return []
    words = called(there)
    orders = {words[s]: {r.seed: made for r in s.runs if (made := order(r)).kept} for s in there}
    shared, alike = {}, {}
    for one, other in combinations(orders, 2):
        seeds = orders[one].keys() & orders[other].keys()
        if seeds:
            both = [(orders[one][seed], orders[other][seed]) for seed in sorted(seeds, key=str)]
            shared[one, other] = statistics.fmean(jaccard(a.kept, b.kept) for a, b in both)
            rhos = [rho for a, b in both if (rho := _alike(a.places, b.places)) is not None]
            alike[one, other] = statistics.fmean(rhos) if rhos else None
    if not shared:
        return []
    names = list(orders)
    return [
        _matrix("Examples in common, % of those that either chose (Jaccard)", names, shared, "{:.0f}", 100),
        _matrix(
            "How alike candidates are ordered (rank correlation over those that both ordered)",
            names,
            alike,
            "{:+.2f}",
            1,
        ),
    ]


class Ordered:
    """What a run chose, and the place of every candidate that it ranked."""

    def __init__(self, kept: Sequence[str], below: Sequence[str]) -> None:
        self.kept = frozenset(kept)
        self.places = {name: place for place, name in enumerate([*kept, *below])}


def _missed(dropped: Iterable[Dropped]) -> list[Dropped]:
    """Those that came through the steps and were ranked too low, the best first."""
    return sorted((d for d in dropped if d.step in ("size", "budget")), key=lambda d: float(d.value or 0))


def order(run: Run) -> Ordered:
    return Ordered([e.id for e in examples(run)], [d.id for d in _missed(left_out(run))])


def examples(run: Run) -> list[Example]:
    """What a run chose, best first."""
    return _rows(run.folder / EXAMPLES, Example)


def left_out(run: Run) -> list[Dropped]:
    """What it did not."""
    return _rows(run.folder / "selection" / "dropped.jsonl", Dropped)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Members in common over members of either; 1 for two empty sets."""
    return len(one & other) / len(one | other) if one | other else 1.0


def _alike(one: Mapping[str, int], other: Mapping[str, int]) -> float | None:
    both = sorted(one.keys() & other.keys())
    return spearman([one[name] for name in both], [other[name] for name in both]) if len(both) > 2 else None


def _matrix(
    title: str, names: Sequence[str], values: Mapping[tuple[str, str], float | None], form: str, factor: float
) -> Html:
    def cell(one: str, other: str) -> str:
        value = values.get((one, other), values.get((other, one)))
        return "" if one == other else "—" if value is None else form.format(factor * value)

    body = [[one, *(cell(one, other) for other in names)] for one in names]
    return el("div", table(title, ["setting", *names], body), class_="matrix")


def _distinct(settings: Sequence[Setting]) -> list[tuple[str, Run]]:
    """The runs whose selections differ, with a label that tells them apart."""
    seen: dict[str, tuple[str, Run]] = {}
    words = describe(settings)
    for run, label in words.items():
        if run.summaries.get("selection") or (run.folder / "selection").is_dir():
            manifest = run.manifests.get("selection")
            seen.setdefault(manifest.key if manifest else str(run.folder), (label if len(words) > 1 else "", run))
    return list(seen.values())


def _rows(path: Path, kind: type[Record]) -> list[Record]:
    return read(path, kind) if path.is_file() else []
