"""The page's sections on accuracy against size and on how answers ended."""

from __future__ import annotations

from collections.abc import Sequence

from limo.report import figures
from limo.report.figures import Line
from limo.report.html import el, table
from limo.report.notes import ALARM
from limo.report.paper import study
from limo.report.parts import Pieces, folded, marked, settings_key
from limo.report.settings import Setting, bases_of, columns, names_of, palette, share
from limo.report.text import count, measured

SHARES = {"cut": "cut short", "no_answer": "no final answer", "repetition": "repeating itself"}


def curves(settings: Sequence[Setting]) -> Pieces:
    """Accuracy against size, one curve per setting, a panel per benchmark; each curve with what it started from."""
    groups = [s for s in settings if s.size and s.tuned]
    drawn = {label: place for label, place in palette(settings).items() if any(s.label == label for s in groups)}
    if all(sum(s.label == label for s in groups) < 2 for label in drawn):
        return []
    runs = [run for s in groups for run in s.runs]
    panels, told = [], False
    for bench in columns(measured(groups)):
        lines = []
        for label, place in drawn.items():
            there = [(float(s.size or 0), p) for s in groups if s.label == label and (p := s.accuracy(bench))]
            if there:
                lines.append(Line(label, [x for x, _ in there], [p for _, p in there], place))
        theirs = study(runs, bench)
        told = told or bool(theirs)
        bases = [(base.label, found) for base in bases_of(groups) if (found := base.accuracy(bench))]
        picture = figures.sizes(lines, f"{bench}: accuracy against the number of examples", bases, theirs)
        panels.append(el("figure", el("figcaption", bench), picture))
    words = (
        "Mean over seeds; the band is the 95 % interval over questions and seeds, small dots are single seeds, dashed "
    )
    words += "lines are base models." + (" Short bars are the paper's values." if told else "")
    return [settings_key(drawn), el("div", *panels, class_="panels"), el("p", words, class_="small")]


def answers(settings: Sequence[Setting]) -> Pieces:
    """How answers ended, of each base and of each setting; of many settings the worst, all of them folded away."""
    groups = [s for s in settings if s.tuned]
    bases = bases_of(settings)
    models = [("base" if len(bases) == 1 else base.label, "", base.results) for base in bases]
    models += [("tuned", f"{s.label}, {count(s)}", s.tuned) for s in groups]
    body: list[list[str]] = []
    worst: dict[tuple[str, str], tuple[float, list[str]]] = {}
    for weights, setting, found in models:
        for bench in names_of(found):
            shares = [share(found, bench, field) for field in SHARES]
            tokens = share(found, bench, "tokens")
            row = [bench, weights, setting, *map(marked, shares), "—" if tokens is None else f"{tokens:,.0f}"]
            body.append(row)
            bad = max((s for s in shares if s is not None), default=0.0)
            if bad > worst.get((bench, weights), (-1.0, []))[0]:
                worst[bench, weights] = (bad, row)
    if not body:
        return []
    head = ["benchmark", "model", "setting", *SHARES.values(), "tokens"]
    note = f"% of answers, marked from {100 * ALARM:.0f} % on; tokens: mean length of an answer"
    if len(groups) <= 1:
        short = [[*row[:2], *row[3:]] for row in body]
        return [table("Cut, missing and circling answers", [*head[:2], *head[3:]], short, words=2, note=note)]
    rows = [row for _, row in worst.values()]
    shown = table("Worst setting of each benchmark", head, rows, words=3, note=note)
    return [shown, folded("Every setting", table("Cut, missing and circling answers", head, body, words=3))]
