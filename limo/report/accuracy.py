"""The page's first section: base and tuned per benchmark, or every setting of a sweep, with paired differences."""

from __future__ import annotations

from collections.abc import Sequence

from limo.evaluation.compare import compare, holm
from limo.report import figures
from limo.report.arms import MEAN, Arm, arms, bases, benchmarks, combine, gap
from limo.report.html import el, table
from limo.report.paper import claim
from limo.report.parts import Pieces, cell, columns, folded, key, percent, score
from limo.report.runs import Results, Run, Score
from limo.report.text import asked, count, seeds

REFERENCE = "random"
"""The strategy that others are compared with, where a sweep has it."""
SURE = 0.001


def accuracy(runs: Sequence[Run]) -> Pieces:
    """Base and tuned on each benchmark: of the run, or of each setting; of each model where none was trained."""
    if not benchmarks(runs):
        return []
    tuned = [arm for arm in arms(runs) if any(r.tuned for r in arm.runs)]
    if len(tuned) > 1:
        return [*_settings(runs, tuned), *_against(tuned)]
    if not tuned and len(untrained := [arm for arm in arms(runs) if any(r.base for r in arm.runs)]) > 1:
        return [*_models(untrained), *_paired(untrained)]
    return [*_single(runs, [r.tuned for r in tuned[0].runs if r.tuned] if tuned else []), *_more(runs)]


def _single(runs: Sequence[Run], after: Sequence[Results]) -> Pieces:
    """One setting: a figure and a table of base, tuned, difference and p."""
    before, names = bases(runs)[:1], columns(benchmarks(runs))
    rows = [(n, combine(before, n), combine(after, n), claim(runs, n)) for n in names]
    chances = _chances(before, after)
    body = []
    for n, base, tuned, _ in rows:
        any_ = score(runs, n)
        change = gap(before, after, n) if before and after else None
        domain = any_.domain if any_ else ""
        body.append([n, domain, asked(any_), cell(base), cell(tuned), cell(change, sign=True), chances.get(n, "")])
    head = ["benchmark", "domain", "questions", "base", "tuned", "difference", "p"]
    if not chances:
        head, body = head[:-1], [row[:-1] for row in body]
    marks = [("base", "quiet", "○")] if before else []
    marks += [("tuned", "c0", "●")] if after else []
    marks += [("paper", "c1", "❙")] if any(row[3] is not None for row in rows) else []
    picture = figures.dumbbells(rows, "Accuracy of the base and the tuned model on each benchmark")
    shown = table("Accuracy per benchmark", head, body, words=2, note=_note(before, after, chances), last=MEAN in names)
    return [key(*marks), el("figure", picture), shown]


def _note(before: Sequence[Results], after: Sequence[Results], chances: dict[str, str]) -> str:
    methods = dict.fromkeys(
        s.method.partition(",")[0] for m in (*before, *after) for s in m.scores.values() if s.method
    )
    over = (
        "over questions and seeds"
        if len(after) > 1
        else f"over questions ({', '.join(methods)})"
        if methods
        else "over questions"
    )
    test = "; p: exact paired test on the same questions, corrected for their number (Holm)" if chances else ""
    return f"% correct, 95 % interval {over}{test}"


def _chances(before: Sequence[Results], after: Sequence[Results]) -> dict[str, str]:
    """Corrected p-values by benchmark, where one run is compared with one."""
    if len(before) != 1 or len(after) != 1:
        return {}
    first, second = before[0].scores, after[0].scores
    shared = [n for n in first if n in second and set(first[n].questions) & set(second[n].questions)]
    found = [compare(first[n].questions, second[n].questions).p for n in shared]
    return {n: f"< {SURE}" if p < SURE else f"{p:.3f}" for n, p in zip(shared, holm(found), strict=True)}


def _settings(runs: Sequence[Run], tuned: Sequence[Arm]) -> Pieces:
    names = columns(benchmarks(runs))
    body = [["base model", "", "", *(cell(combine([b], n)) for n in names)] for b in bases(runs)]
    body += [[arm.label, count(arm), seeds(arm), *(cell(arm.point(n)) for n in names)] for arm in tuned]
    note = "% correct, mean over seeds; in brackets the 95 % interval over questions and seeds"
    return [table("Accuracy per setting", ["setting", "examples", "seeds", *names], body, note=note)]


def _against(tuned: Sequence[Arm]) -> Pieces:
    """Each setting against the reference strategy at the same size, on the same questions."""
    labels = list(dict.fromkeys(arm.label for arm in tuned))
    reference = next((label for label in labels if label.partition(" ")[0] == REFERENCE), None)
    names = columns(benchmarks([r for arm in tuned for r in arm.runs]))
    other = {arm.size: arm for arm in tuned if arm.label == reference}
    body = []
    for arm in tuned:
        if arm.label != reference and arm.size in other:
            sides = [[r.tuned for r in a.runs if r.tuned] for a in (other[arm.size], arm)]
            body.append([arm.label, count(arm), *(cell(gap(sides[0], sides[1], n), sign=True) for n in names)])
    note = (
        f"points above {reference} with as many examples, on the same questions; 95 % interval over questions and seeds"
    )
    return [table(f"Against {reference}", ["setting", "examples", *names], body, note=note)] if body else []


def _models(untrained: Sequence[Arm]) -> Pieces:
    """Models that were only evaluated, one beside the other."""
    names = columns(benchmarks([r for arm in untrained for r in arm.runs]))
    body = [[arm.label, *(cell(combine(arm.bases, n)) for n in names)] for arm in untrained]
    note = "% correct, 95 % interval over questions"
    return [table("Accuracy per model", ["setting", *names], body, note=note)]


def _paired(untrained: Sequence[Arm]) -> Pieces:
    """The first model against each other one, on the same questions."""
    first, *others = untrained
    body = []
    for arm in others:
        chances = _chances(first.bases, arm.bases)
        for n in columns(benchmarks(arm.runs)):
            if change := gap(first.bases, arm.bases, n):
                body.append([arm.label, n, cell(change, sign=True), chances.get(n, "")])
    note = (
        f"points above {first.label} on the same questions, 95 % interval; p: exact paired test, corrected for the number of "
        "benchmarks (Holm)"
    )
    head = ["setting", "benchmark", "difference", "p"]
    return [table(f"Against {first.label}", head, body, words=2, note=note)] if body else []


def _more(runs: Sequence[Run]) -> Pieces:
    """Every other measure of each model, folded away; for several seeds of the first."""
    models = [("base", runs[0].base), ("tuned", runs[0].tuned)]
    found = [(weights, s, _others(s)) for weights, m in models if m for s in m.scores.values()]
    names = list(dict.fromkeys(n for _, _, others in found for n in others))
    if not names:
        return []
    body = [[s.benchmark, weights, *(others.get(n, "—") for n in names)] for weights, s, others in found]
    note = (
        "%; the interval if the same questions were asked again; the smallest true difference that so many questions show "
        "in four of five tries"
    )
    shown = table("Other measures", ["benchmark", "model", *names], body, words=2, note=note)
    return [folded("Other measures: repeated questions, detectable difference, other graders, pass@k, maj@k", shown)]


def _others(one: Score) -> dict[str, str]:
    values = {
        "detectable difference": one.detectable,
        "LIMO's own grader": one.paper,
        "without the judge": one.judge.get("accuracy_without"),
        **{f"pass@{k}": v for k, v in one.passes.items() if k != "1"},
        **{f"maj@{k}": v for k, v in one.majority.items() if k != "1"},
    }
    again = {"asked again": f"[{percent(one.fixed[0])}, {percent(one.fixed[1])}]"} if one.fixed else {}
    return again | {name: percent(value) for name, value in values.items() if value is not None}
