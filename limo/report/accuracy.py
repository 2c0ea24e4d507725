"""The page's first section: base and tuned per benchmark, or every setting of a sweep, with paired differences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from limo.records import BenchmarkResult
from limo.report import figures
from limo.report.html import Html, el, join, table
from limo.report.latex import ASIDE
from limo.report.names import apart, common, named
from limo.report.paper import claim
from limo.report.parts import Pieces, cell, chance, folded, key, percent
from limo.report.places import Places
from limo.report.settings import (
    MEAN,
    REFERENCE,
    Base,
    Setting,
    bases_of,
    chances,
    change,
    columns,
    reference,
    share,
)
from limo.report.text import asked, measured
from limo.statistics import Difference, holm

PAIRED = 8
"""Models that are compared each with each; of more the reader picks two."""
EXACT = "exact paired test"
BESIDE = "ended: answers that ended by themselves; learned: tokens of the last epoch that were the first choice before their step"
CLUSTERED = "from the same interval"


def accuracy(settings: Sequence[Setting], places: Places, against: str | None = None) -> Pieces:
    """Base and tuned on each benchmark: of the run, or of each setting; of each model where none was trained. `against`: the
    setting or strategy that the others are compared with."""
    if not measured(settings):
        return []
    tuned = [s for s in settings if s.tuned]
    if len(tuned) > 1:
        return [*_settings(settings, tuned), *_gained(tuned, places), *_against(tuned, places, against)]
    if not tuned and len(untrained := [s for s in settings if s.bases]) > 1:
        return [*_models(untrained), *_paired(untrained, places)]
    one = (tuned or [s for s in settings if s.bases])[0]
    return [*_single(one, places), *_more(one)]


def _single(setting: Setting, places: Places) -> Pieces:
    """One setting: a figure and a table of base, tuned, difference and p."""
    names = columns(measured([setting]))
    rows = [(n, setting.before(n), setting.accuracy(n), claim(setting, n)) for n in names]
    changes = {n: setting.gain(n) for n in names}
    corrected = chances(changes)
    results = [*setting.tuned, *setting.bases]
    shown: dict[str, list[str]] = {
        "benchmark": names,
        "difference": [cell(changes[n], sign=True) for n in names],
        "base": [cell(base) for _, base, _, _ in rows],
        "tuned": [cell(tuned) for _, _, tuned, _ in rows],
        "p": [chance(corrected.get(n)) for n in names],
        "ended": [percent(share(setting.tuned, n, "ended")) if n != MEAN else percent(setting.ended) for n in names],
        "answers": [join(el("div", told, class_=ASIDE) for told in flipped(setting, n, places)) for n in names],
        "questions": [asked(results, n) for n in names],
        "domain": [setting.domain(n) for n in names],
    }
    shown = {head: cells for head, cells in shown.items() if set(cells) - {"", "—"}}
    marks = [("base", "quiet", "○")] if setting.bases else []
    marks += [("tuned", "c0", "●")] if setting.tuned else []
    marks += [("paper", "c1", "❙")] if any(row[3] is not None for row in rows) else []
    picture = figures.dumbbells(rows, "Accuracy of the base and the tuned model on each benchmark")
    body = list(zip(*shown.values(), strict=True))
    whole = table("Accuracy per benchmark", list(shown), body, note=_note(setting), last=MEAN in names)
    return [key(*marks), el("figure", picture), whole]


def _note(setting: Setting) -> str:
    results = [*setting.tuned, *setting.bases]
    methods = dict.fromkeys(b.interval.method.partition(",")[0] for r in results for b in r.benchmarks.values())
    over = "over questions and seeds" if len(setting.tuned) > 1 else f"over questions ({', '.join(methods)})"
    exact = len(setting.tuned) == len(setting.bases) == 1
    test = (
        f"; difference and p on the questions that both answered, p: {EXACT if exact else CLUSTERED}, corrected (Holm)"
    )
    return f"% correct, 95 % interval {over}{test if setting.tuned and setting.bases else ''}"


def _settings(settings: Sequence[Setting], tuned: Sequence[Setting]) -> Pieces:
    names = columns(measured(settings))
    heads, cells = apart(tuned)
    rows: list[tuple[list[str], Base | Setting, list[str]]] = [
        (named(b, heads), b, ["", ""]) for b in bases_of(settings)
    ]
    rows += [(cells[s], s, [percent(s.ended), percent(s.learned)]) for s in tuned]
    body = []
    for who, one, beside in rows:
        *each, last = (cell(one.accuracy(n)) for n in names)
        body.append([*who, last, *beside, *each])
    said = f"each setting: {same}; " if (same := common(tuned)) else ""
    note = f"{said}% correct, mean over seeds; in brackets the 95 % interval over questions and seeds; {BESIDE}"
    return [table("Accuracy per setting", [*heads, names[-1], "ended", "learned", *names[:-1]], body, note=note)]


def _gained(tuned: Sequence[Setting], places: Places) -> Pieces:
    """Each setting against its own base, and how many answers changed, seed by seed."""
    names = columns(measured(tuned))
    note = join(
        [
            "points above the model that each setting started from, on the same questions; 95 % interval over questions and seeds",
            el("span", "; below, of each seed, how many answers became right and how many wrong", class_=ASIDE),
        ]
    )
    names = [*names[-1:], *names[:-1]]
    heads, cells = apart(tuned)
    body = [[*cells[s], *(_changed(s, n, places) for n in names)] for s in tuned if s.bases]
    return [table("Gained by training", [*heads, *names], body, note=note)] if body else []


def _changed(setting: Setting, benchmark: str, places: Places) -> str:
    return _with(setting.gain(benchmark), flipped(setting, benchmark, places))


def _with(difference: Difference | None, below: Sequence[Html]) -> str:
    """A difference, and below it what leads to the answers that make it."""
    return join([cell(difference, sign=True), *(el("div", one, class_=f"small {ASIDE}") for one in below)])


def flipped(setting: Setting, benchmark: str, places: Places) -> list[Html]:
    """`gained 133, lost 8` of each of its runs, each a link to those answers."""
    return [told for run in setting.runs if (told := places.changed(run, benchmark))]


def _against(tuned: Sequence[Setting], places: Places, against: str | None) -> Pieces:
    """Each setting against random choice (or what was asked for) of the same size and everything else, on the same questions, the
    best first."""
    names = columns(measured(tuned))
    name = against or REFERENCE
    pairs = [(setting, other) for setting in tuned if (other := reference(setting, tuned, name))]
    found = [(s, other, [change(other.tuned, s.tuned, n) for n in names]) for s, other in pairs]
    whole = [changes[-1] for *_, changes in found]
    corrected = holm([one.p if one else 1.0 for one in whole])
    league = sorted(zip(found, whole, corrected, strict=True), key=lambda row: -row[1].value if row[1] else math.inf)
    heads, who = apart(tuned)
    body = []
    for (setting, other, changes), last, p in league:
        cells = [_with(one, _apart(setting, other, n, places)) for n, one in zip(names, changes, strict=True)]
        body.append([*who[setting], cells[-1], chance(p if last else None), *cells[:-1]])
    note = join(
        [
            f"points above {name} with as many examples, on the same questions; 95 % interval over questions and seeds; "
            f"p of {names[-1]}, corrected for the number of settings (Holm)",
            el("span", f"; below, of each seed, how many answers only it has right, and only {name}", class_=ASIDE),
        ]
    )
    head = [*heads, names[-1], "p", *names[:-1]]
    return [table(f"Against {name}", head, body, note=note)] if body else []


def _apart(setting: Setting, other: Setting, benchmark: str, places: Places) -> list[Html]:
    """`gained 133, lost 8` of each pair of their runs with the same seed, each a link to those answers."""
    pairs = [(run, one) for run in setting.runs for one in other.runs if run.seed == one.seed]
    return [told for run, one in pairs if (told := places.between(run, one, benchmark))]


def _models(untrained: Sequence[Setting]) -> Pieces:
    """Models that were only evaluated, one beside the other."""
    names = columns(measured(untrained))
    body = [[s.label, *(cell(s.before(n)) for n in names)] for s in untrained]
    note = "% correct, 95 % interval over questions"
    return [table("Accuracy per model", ["setting", *names], body, note=note)]


def _paired(untrained: Sequence[Setting], places: Places) -> Pieces:
    """Each model against each other one, on the same questions; so that no pair depends on which others are there."""
    if len(untrained) > PAIRED:
        words = f"More than {PAIRED} models: name the folders of two of them to compare these."
        return [el("p", words, class_="small")]
    body = []
    for first, second in itertools.combinations(untrained, 2):
        names = columns(measured([first, second]))
        changes = {n: change(first.bases, second.bases, n) for n in names}
        corrected = chances(changes)
        for n, one in changes.items():
            if one:
                told = _with(one, _apart(second, first, n, places))
                body.append([second.label, first.label, n, told, chance(corrected.get(n))])
    note = (
        "points by which the first is above the second on the same questions, 95 % interval; p corrected for the number of "
        "benchmarks of a pair (Holm)"
    )
    head = ["setting", "above", "benchmark", "difference", "p"]
    return [table("One against the other", head, body, words=3, note=note)] if body else []


def _more(setting: Setting) -> Pieces:
    """Every other measure of each model, folded away; for several seeds of the first."""
    run = setting.runs[0]
    models = [(weights, m) for weights, m in (("base", run.base), ("tuned", run.tuned)) if m]
    found = [(name, weights, _others(b)) for weights, m in models for name, b in m.benchmarks.items()]
    names = list(dict.fromkeys(n for _, _, others in found for n in others))
    if not names:
        return []
    body = [[name, weights, *(others.get(n, "—") for n in names)] for name, weights, others in found]
    note = (
        "%; the interval if the same questions were asked again; the smallest true difference that so many questions show "
        "in four of five tries"
    )
    shown = table("Other measures", ["benchmark", "model", *names], body, words=2, note=note)
    return [folded("Other measures: repeated questions, detectable difference, other graders, pass@k, maj@k", shown)]


def _others(one: BenchmarkResult) -> dict[str, str]:
    values = {
        "detectable difference": one.detectable,
        "LIMO's own grader": one.paper_accuracy,
        "without the judge": one.judge.accuracy_without if one.judge else None,
        **{f"pass@{k}": v for k, v in one.pass_at.items() if k > 1},
        **{f"maj@{k}": v for k, v in one.majority.items() if k > 1},
    }
    fixed = one.fixed_interval
    again = {"asked again": f"[{percent(fixed.low)}, {percent(fixed.high)}]"} if fixed else {}
    return again | {name: percent(value) for name, value in values.items() if value is not None}
