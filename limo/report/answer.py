"""The page's first words: the question of the study, and its answer with numbers and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from limo.report.html import Html, el, table
from limo.report.names import count
from limo.report.parts import Pieces, cell, chance
from limo.report.settings import REFERENCE, Setting, bases_of, change, identity, reference, short
from limo.report.text import measured
from limo.report.values import percent, points
from limo.report.verdicts import LEVEL, Verdict
from limo.statistics import holm

SEVERAL = 4
"""Settings that a sentence names."""
CAME = {"holds": "as expected", "fails": "not as expected", "undecided": "which leaves open what was expected"}
"""What a headline says of an expectation, by its state."""


def answer(settings: Sequence[Setting], found: Sequence[Verdict], against: str | None = None) -> Pieces:
    """The question, the result in a sentence, and what became of each expectation."""
    questions = dict.fromkeys(run.question for setting in settings for run in setting.runs if run.question)
    told = [
        el("li", el("strong", f"{v.name} {v.state}"), v.sentence.removeprefix(f"{v.name} {v.state}"), class_="note")
        for v in found
    ]
    pieces: Pieces = [el("p", question, class_="question") for question in questions]
    pieces += [el("h1", headline(settings, found, against))]
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


def headline(settings: Sequence[Setting], found: Sequence[Verdict] = (), against: str | None = None) -> str:
    """The result in a sentence: the contrast that decides what was expected; else, on the first benchmark, what training gained over
    its own base, which setting is furthest from the one that others are compared with, or between which of them most lies."""
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
    if not against and (decided := next((verdict for verdict in found if not verdict.lack), None)):
        return f"{decided.expected.benchmark}: {_expected(decided)}."
    distinct = list({tuple(map(identity, s.tuned)): s for s in reversed(tuned)}.values())[::-1]
    if len(distinct) == 1:
        return f"{main}: {_gained(distinct[0], main)}."
    return f"{main}: {_from_reference(distinct, main, against or REFERENCE) or _between(distinct, main)}."


def _expected(verdict: Verdict) -> str:
    one = verdict.weakest
    sides = (
        f"{one.higher} {100 * one.found.second:.1f} %, {one.lower} {100 * one.found.first:.1f} %: {points(one.found)}"
    )
    where = f"with {one.rest}, " if one.rest else ""
    weakest = f" (the weakest of {len(verdict.contrasts)} contrasts)" if len(verdict.contrasts) > 1 else ""
    return f"{where}{sides}{weakest}, {CAME[verdict.state]}"


def _from_reference(tuned: Sequence[Setting], benchmark: str, against: str) -> str | None:
    """The setting furthest from the one that it is compared with; p values are corrected for the number of settings."""
    pairs = [(s, other) for s in tuned if (other := reference(s, tuned, against))]
    found = [(s, other, one) for s, other in pairs if (one := change(other.tuned, s.tuned, benchmark))]
    if not found:
        return None
    setting, other, widest = max(found, key=lambda row: abs(row[2].value))
    sized = len({s.size for s in tuned}) > 1
    told = f"{_named(setting, sized)} {100 * widest.second:.1f} %, {_named(other, sized)} {100 * widest.first:.1f} %"
    told += f": {points(widest)}"
    told += f", of {len(found)} settings the furthest from {against}" if len(found) > 1 else ""
    if widest.p * len(found) >= LEVEL:
        return f"{told}, not distinguishable"
    return told + _alike([_named(s, sized) for s, _, one in found if one.p * len(found) >= LEVEL], against)


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
    return told + _alike(alike, "the highest")


def _alike(names: Sequence[str], other: str) -> str:
    if len(names) > SEVERAL:
        return f"; {len(names)} others are not distinguishable from {other}"
    return f"; not distinguishable from {other}: {', '.join(names)}" if names else ""


def _from(setting: Setting, benchmark: str) -> str:
    before = setting.before(benchmark)
    return f", from {100 * before.value:.1f}" if before else ""


def _named(setting: Setting, sized: bool = True) -> str:
    examples = "" if setting.size is None or not sized else f"{count(setting)} examples"
    return ", ".join(part for part in (setting.label, examples) if part) or "training"
