"""The page's sections on accuracy against size and on how answers ended."""

from __future__ import annotations

from collections.abc import Sequence

from limo.report import figures
from limo.report.arms import arms, bases, benchmarks, combine, palette
from limo.report.figures import Line
from limo.report.html import el, table
from limo.report.notes import ALARM
from limo.report.paper import study
from limo.report.parts import Pieces, columns, folded, mean, settings_key, share
from limo.report.runs import Results, Run
from limo.report.text import count

SHARES = {"cut": "cut at max_tokens", "no_answer": "no final answer", "repetition": "repeating itself"}


def curves(runs: Sequence[Run]) -> Pieces:
    """Accuracy against size, one curve per setting, a panel per benchmark."""
    groups = [arm for arm in arms(runs) if arm.size and any(r.tuned for r in arm.runs)]
    drawn = {label: place for label, place in palette(runs).items() if any(arm.label == label for arm in groups)}
    if all(sum(arm.label == label for arm in groups) < 2 for label in drawn):
        return []
    panels, told = [], False
    for bench in columns(benchmarks(runs)):
        lines = []
        for label, place in drawn.items():
            there = [(float(arm.size or 0), p) for arm in groups if arm.label == label and (p := arm.point(bench))]
            if there:
                lines.append(Line(label, [x for x, _ in there], [p for _, p in there], place))
        theirs = study(runs, bench)
        told = told or bool(theirs)
        title = f"{bench}: accuracy against the number of examples"
        picture = figures.sizes(lines, title, combine(bases(runs)[:1], bench), theirs)
        panels.append(el("figure", el("figcaption", bench), picture))
    words = "Mean over seeds; the band is the 95 % interval over questions and seeds, small dots are single seeds, the dashed "
    words += "line is the base model." + (" Short bars are the paper's values." if told else "")
    return [settings_key(drawn), el("div", *panels, class_="panels"), el("p", words, class_="small")]


def answers(runs: Sequence[Run]) -> Pieces:
    """How answers ended, of the base and of each setting; of many settings the worst, all of them folded away."""
    groups = [arm for arm in arms(runs) if any(r.tuned for r in arm.runs)]
    several = len(bases(runs)) > 1
    models: list[tuple[str, str, list[Results]]] = [(b.model if several else "base", "", [b]) for b in bases(runs)]
    models += [("tuned", f"{arm.label}, {count(arm)}", [r.tuned for r in arm.runs if r.tuned]) for arm in groups]
    body: list[list[str]] = []
    worst: dict[tuple[str, str], tuple[float, list[str]]] = {}
    for weights, setting, found in models:
        for bench in found[0].scores:
            scores = [m.scores[bench] for m in found if bench in m.scores]
            shares = [mean(scores, field) for field in SHARES]
            tokens = mean(scores, "tokens")
            row = [bench, weights, setting, *map(share, shares), "—" if tokens is None else f"{tokens:,.0f}"]
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
