"""The page's sections on accuracy against what was swept and on how answers ended."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from limo.report import figures
from limo.report.figures import Line
from limo.report.html import el, table
from limo.report.names import called, count
from limo.report.notes import ALARM
from limo.report.paper import study
from limo.report.parts import Pieces, folded, key, marked, settings_key
from limo.report.places import SIDES, Lengths, Places, Which, linked
from limo.report.settings import (
    SEPARATOR,
    Setting,
    bases_of,
    columns,
    differing,
    fullest,
    names_of,
    palette,
    share,
)
from limo.report.text import measured

SHARES = {
    "cut": ("cut short", "cut"),
    "no_answer": ("no final answer", "no_answer"),
    "repetition": ("repeating itself", "in_circles"),
}
"""Shares of a result: as the table calls them, and as `replies.FILTERS` does."""


def curves(settings: Sequence[Setting]) -> dict[str, Pieces]:
    """What was swept as numbers -> accuracy against it, one curve per setting, a panel per benchmark; each curve with what it
    started from."""
    groups = [s for s in settings if s.size and s.tuned]
    colours = palette(settings)
    sizes = {
        (s.label, colours[s.label]): [(float(o.size or 0), o) for o in groups if o.label == s.label] for s in groups
    }
    found = {"size": _curves(sizes, "examples", "the number of examples")}
    tuned = [s for s in settings if s.tuned]
    for swept in differing([run for s in tuned for run in s.runs]):
        name, lines = swept.rpartition(".")[2].lstrip("+"), defaultdict[str, list[tuple[float, Setting]]](list)
        for setting in tuned:
            value = setting.runs[0].given.get(swept, "")
            if (number := _number(value)) is not None:
                lines[_without(setting, f"{name}={value}", tuned)].append((number, setting))
        found[name] = _curves({(label, i): lines[label] for i, label in enumerate(lines)}, name, name)
    return {name: pieces for name, pieces in found.items() if pieces}


def _without(setting: Setting, part: str, settings: Sequence[Setting]) -> str:
    """A setting but for one key: what else tells it from others."""
    parts = [one for one in setting.label.split(SEPARATOR) if one != part]
    parts += [f"{count(setting)} examples"] * (len({s.size for s in settings}) > 1)
    return SEPARATOR.join(parts) or setting.strategy


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _curves(of: Mapping[tuple[str, int], Sequence[tuple[float, Setting]]], name: str, words: str) -> Pieces:
    """`of`: label and place in the palette -> the places of its settings on the axis of this name."""
    if all(len(there) < 2 for there in of.values()):
        return []
    settings = [setting for there in of.values() for _, setting in there]
    runs = [run for s in settings for run in s.runs]
    panels, told = [], False
    for bench in columns(measured(settings)):
        lines = []
        for (label, place), there in of.items():
            found = sorted(((x, p) for x, s in there if (p := s.accuracy(bench))), key=itemgetter(0))
            if found:
                lines.append(Line(label, [x for x, _ in found], [p for _, p in found], place))
        theirs = study(runs, bench) if name == "examples" else []
        told = told or bool(theirs)
        bases = [(base.label, before) for base in bases_of(settings) if (before := base.accuracy(bench))]
        picture = figures.curves(lines, name, f"{bench}: accuracy against {words}", bases, theirs)
        panels.append(el("figure", el("figcaption", bench), picture))
    band = "bands and upright bars are" if len(of) <= figures.BANDS else "the tables above have"
    said = f"Mean over seeds; {band} the 95 % interval over questions and seeds, small dots are single seeds, grey dashed lines are "
    said += "base models." + (" Short bars are the paper's values." if told else "")
    return [settings_key(dict(of.keys())), el("div", *panels, class_="panels"), el("p", said, class_="small")]


def answers(settings: Sequence[Setting], places: Places) -> Pieces:
    """How answers ended, of each base and of each setting; of many settings the worst, all of them folded away. A share leads to
    its answers, of several seeds to those of the seed that has most."""
    groups = [s for s in settings if s.tuned]
    several = len(bases_of(settings)) > 1
    models: list[tuple[Which, str, str, Setting]] = []
    for base in bases_of(settings):
        of = next(s for s in settings if s.bases is base.results)
        models.append(("base", base.label if several else "base", "", of))
    models += [("tuned", "tuned", words, s) for s, words in called(groups).items()]
    body: list[list[str]] = []
    worst: dict[tuple[str, str], tuple[float, list[str]]] = {}
    for which, weights, words, setting in models:
        for bench in names_of(setting.tuned if which == "tuned" else setting.bases):
            row, bad = _ended(setting, which, bench, places)
            body.append([bench, weights, words, *row])
            if bad > worst.get((bench, weights), (-1.0, []))[0]:
                worst[bench, weights] = (bad, body[-1])
    if not body:
        return []
    head = ["benchmark", "model", "setting", *(name for name, _ in SHARES.values()), "tokens"]
    note = f"% of answers, marked from {100 * ALARM:.0f} % on; tokens: mean length of an answer"
    if len(groups) <= 1:
        short = [[*row[:2], *row[3:]] for row in body]
        return [table("Cut, missing and circling answers", [*head[:2], *head[3:]], short, words=2, note=note)]
    rows = [row for _, row in worst.values()]
    shown = table("Worst setting of each benchmark", head, rows, words=3, note=note)
    return [shown, folded("Every setting", table("Cut, missing and circling answers", head, body, words=3))]


def _ended(setting: Setting, which: Which, bench: str, places: Places) -> tuple[list[str], float]:
    """Cells of a model and benchmark, and the largest of its shares."""
    found = setting.tuned if which == "tuned" else setting.bases
    row, shares = [], []
    for field, (_, kind) in SHARES.items():
        value = share(found, bench, field)
        there = places.answers(fullest(setting, which, bench, field), bench, kind, of=which) if value else None
        row.append(linked(marked(value), there) if there else marked(value))
        shares.append(value or 0.0)
    tokens = share(found, bench, "tokens")
    return [*row, "—" if tokens is None else f"{tokens:,.0f}"], max(shares)


def lengths(settings: Sequence[Setting], places: Places, found: Lengths) -> Pieces:
    """How long the answers of one setting are, a panel for each benchmark, with the limit at which they were cut."""
    shown = [s for s in settings if s.tuned] or [s for s in settings if s.bases]
    if len(shown) != 1:
        return []
    panels = []
    for bench, asked in (shown[0].tuned or shown[0].bases)[0].benchmarks.items():
        sources = (places.sources(shown[0].runs, bench, which) for which in SIDES)
        tuned, base = ([n for file in files for n in found[file]] for files in sources)
        if tuned or base:
            limit = asked.protocol.max_tokens
            words = f"{bench}; max_tokens {limit:,}"
            picture = figures.lengths(base, tuned, limit, f"{bench}: tokens of the answers")
            panels.append(el("figure", el("figcaption", words), picture))
    if not panels:
        return []
    marks = [("base", "quiet", "—"), ("tuned", "c0", "■"), ("max_tokens", "c1", "┆")]
    return [el("h3", "Length of answers"), key(*marks), el("div", *panels, class_="panels")]
