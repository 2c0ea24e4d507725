"""The page's first words: the question of the study, and its answer with numbers and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from limo.report.html import Html, el, table
from limo.report.parts import Pieces, cell, chance
from limo.report.settings import Setting, bases_of, change, short
from limo.report.text import count, measured
from limo.report.values import percent, points
from limo.report.verdicts import LEVEL, Verdict
from limo.statistics import holm

SEVERAL = 4
"""Settings that a sentence names."""


def answer(settings: Sequence[Setting], found: Sequence[Verdict]) -> Pieces:
    """The question, the result in a sentence, and what became of each expectation."""
    questions = dict.fromkeys(run.question for setting in settings for run in setting.runs if run.question)
    told = [
        el("li", el("strong", f"{v.name} {v.state}"), v.sentence.removeprefix(f"{v.name} {v.state}"), class_="note")
        for v in found
    ]
    pieces: Pieces = [el("p", question, class_="question") for question in questions]
    pieces += [el("h1", headline(settings))]
    return [*pieces, *([el("ul", *told, class_="notes")] if told else [])]


def expectations(found: Sequence[Verdict]) -> Pieces:
    """Every contrast that an expectation rests on."""
    return [_contrasts(verdict) for verdict in found if verdict.contrasts]


def _contrasts(verdict: Verdict) -> Html:
    body = []
    for one, p in zip(verdict.contrasts, holm([c.found.p for c in verdict.contrasts]), strict=True):
        body.append([one.higher, one.lower, one.rest, cell(one.found, sign=True), chance(one.found.p), chance(p)])
    gap = f"{verdict.expected.gap:g} points" if verdict.expected.gap else "none"
    note = f"{verdict.claim}. Points, 95 % interval; p of a true difference of {gap}, and corrected for the number of contrasts (Holm)."
    note += f" Expected after {verdict.expected.source}." if verdict.expected.source else ""
    head = ["arm", "above", "where", "difference", "p", "corrected"]
    return table(f"{verdict.name}: {verdict.state}", head, body, words=3, note=note)


def headline(settings: Sequence[Setting]) -> str:
    """The result in a sentence, on the first benchmark: what training gained over its own base, or between which settings of a
    sweep most lies, where anything does."""
    names = measured(settings)
    if not names:
        return "No evaluation yet: nothing was measured."
    main = names[0]
    tuned = [s for s in settings if s.accuracy(main)]
    if not tuned:
        each = ", ".join(
            f"{percent(mean)} % for {short(b.results[0].model)}"
            for b in bases_of(settings)
            if (mean := b.accuracy(main))
        )
        return f"{main}: {each}, without training."
    return f"{main}: {_gained(tuned[0], main) if len(tuned) == 1 else _between(tuned, main)}."


def _gained(setting: Setting, benchmark: str) -> str:
    which = _named(setting) + (f", mean of {len(setting.tuned)} seeds" if len(setting.tuned) > 1 else "")
    gain = setting.gain(benchmark)
    if gain is None:
        return f"{percent(setting.accuracy(benchmark))} % with {which}"
    sure = "" if gain.p < LEVEL else ", not distinguishable from no change"
    return f"{100 * gain.first:.1f} % → {100 * gain.second:.1f} % ({points(gain)}{sure}) with {which}"


def _between(tuned: Sequence[Setting], benchmark: str) -> str:
    """The highest and the lowest of several, chosen by looking: p values are corrected for all pairs that could have been."""
    ranked = sorted(tuned, key=lambda s: (found := s.accuracy(benchmark)) is not None and -found.value)
    high, low, pairs = ranked[0], ranked[-1], math.comb(len(ranked), 2)
    found = {other: change(other.tuned, high.tuned, benchmark) for other in ranked[1:]}
    widest = found[low]
    if widest is None:
        return f"{len(ranked)} settings that share no question"
    sized = len({s.size for s in ranked}) > 1
    several = len(bases_of(ranked)) > 1
    values = ((high, widest.second), (low, widest.first))
    told = ", ".join(f"{_named(s, sized)} {100 * value:.1f} %{_from(s, benchmark) * several}" for s, value in values)
    told += f", the highest and the lowest of {len(ranked)} settings" if len(ranked) > 2 else ""
    told += f": {points(widest)}"
    if widest.p * pairs >= LEVEL:
        return f"{told}, not distinguishable"
    alike = [_named(s, sized) for s in ranked[1:-1] if (one := found[s]) is None or one.p * pairs >= LEVEL]
    if len(alike) > SEVERAL:
        return f"{told}; {len(alike)} others are not distinguishable from the highest"
    return f"{told}; not distinguishable from the highest: {', '.join(alike)}" if alike else told


def _from(setting: Setting, benchmark: str) -> str:
    before = setting.before(benchmark)
    return f", from {100 * before.value:.1f}" if before else ""


def _named(setting: Setting, sized: bool = True) -> str:
    examples = "" if setting.size is None or not sized else f"{count(setting)} examples"
    return ", ".join(part for part in (setting.label, examples) if part) or "training"
