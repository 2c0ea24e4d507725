"""What a reader must not miss: failed runs, cut answers, missing answers, loops, differences too small to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from limo.records import AttemptsSummary, ParaphrasesSummary, SieveSummary
from limo.report.names import describe
from limo.report.places import SIDES, Which
from limo.report.runs import Run
from limo.report.settings import Setting, fullest, names_of, share

ALARM = 0.05
"""Share of answers from which a truncation, a missing answer or a repetition is called a problem."""

LOST = ("timeout", "ungraded")
"""Verdicts that say nothing of the answer."""

Severity = Literal["problem", "note"]


class Told(NamedTuple):
    """Answers that a note is about."""

    benchmark: str
    run: Run
    of: Which
    kind: str
    """As in `replies.FILTERS`."""


class Note(NamedTuple):
    """A sentence, and what to read of it."""

    severity: Severity
    sentence: str
    answers: tuple[Told, ...] = ()


def notes(settings: Sequence[Setting]) -> list[Note]:
    """Problems first; each sentence once, with the benchmarks it holds for."""
    found = [
        *_failures(settings),
        *_answers(settings),
        *_ungraded(settings),
        *_training(settings),
        *_data(settings),
        *_strength(settings),
    ]
    return sorted(dict.fromkeys(found), key=lambda note: note.severity != "problem")


def _failures(settings: Sequence[Setting]) -> Iterator[Note]:
    for run, words in describe(settings).items():
        if run.state == "failed":
            yield Note("problem", f"{words}: failed: {_reason(run.error)}")
        elif run.state != "done":
            yield Note("problem", f"{words}: did not finish; the same command resumes it")
        if run.again:
            others = ", ".join(folder.name for folder in run.again)
            yield Note("note", f"{words}: found again with the very same results ({others}); shown and counted once")


def _reason(error: str | None) -> str:
    """One line of an error: the last of a traceback, the first of several sentences."""
    lines = (error or "no reason given").strip().splitlines()
    if lines[0].startswith("Traceback") or len(lines) == 1:
        return lines[-1]
    return f"{lines[0]} (and {len(lines) - 1} more, below)"


def _answers(settings: Sequence[Setting]) -> Iterator[Note]:
    """The worst setting per kind of model and benchmark, as the table of how answers ended has it."""
    found = {r.context for s in settings for r in (*s.tuned, *s.bases) if r.context}
    context = f"the model's context of {' or '.join(f'{n:,}' for n in sorted(found)) or 'unknown'} tokens"
    kinds = (
        ("at_limit", "cut", "answers were cut at max_tokens", "raise max_tokens"),
        (
            "by_context",
            "cut",
            f"answers were cut where {context} ends",
            "take a model of a longer context, or a shorter prompt",
        ),
        ("no_room", "cut", f"questions left no room for an answer in {context}", "take a model of a longer context"),
        ("no_answer", "no_answer", "answers held no final answer", "see the format of its answers"),
        ("repetition", "in_circles", "answers ran in circles", "see its longest answers"),
    )
    for weights in SIDES:
        for field, kind, what, remedy in kinds:
            over = {n: found for n, found in _worst(settings, weights, field).items() if found[0] >= ALARM}
            if over:
                ranked = sorted(over.items(), key=lambda item: -item[1][0])
                where = ", ".join(f"{name} {100 * value:.1f} %" for name, (value, _) in ranked)
                told = tuple(Told(name, run, weights, kind) for name, (_, run) in ranked)
                severity: Severity = "problem" if weights == "tuned" else "note"
                yield Note(severity, f"{weights} model: {what} ({where}); {remedy}", told)


def _worst(settings: Sequence[Setting], weights: Which, field: str) -> dict[str, tuple[float, Run]]:
    """Benchmark -> the share of its answers in the setting that has most of them, and the run of it that does."""
    worst: dict[str, tuple[float, Run]] = {}
    for setting in settings:
        results = setting.tuned if weights == "tuned" else setting.bases
        for name in names_of(results):
            value = share(results, name, field) or 0.0
            if name not in worst or value > worst[name][0]:
                worst[name] = (value, fullest(setting, weights, name, field))
    return worst


def _ungraded(settings: Sequence[Setting]) -> Iterator[Note]:
    """Answers that count as wrong for a reason that lies not in them."""
    for setting in settings:
        for results in (*setting.tuned, *setting.bases):
            for name, found in results.benchmarks.items():
                lost = {verdict: n for verdict in LOST if (n := found.verdicts.get(verdict, 0))}
                if lost:
                    said = ", ".join(f"{verdict} {n}" for verdict, n in lost.items())
                    yield Note(
                        "problem", f"{name}: answers were not graded and count as wrong ({said}); see answers.jsonl"
                    )


def _training(settings: Sequence[Setting]) -> Iterator[Note]:
    said = [run.training for setting in settings for run in setting.runs if run.training and run.training.overlong]
    if said:
        done = {"drop": ", and were left out", "truncate": ", and were cut: those never show how to stop"}
        share_ = 100 * max(one.overlong_share for one in said)
        words = f"training: up to {share_:.1f} % of the examples were longer than training.max_length"
        yield Note("problem", words + done.get(said[0].overlong_policy, ""))


def _data(settings: Sequence[Setting]) -> Iterator[Note]:
    said = [run.data for setting in settings for run in setting.runs if run.data]
    tried = [(task.partition("/")[2], one) for s in settings for run in s.runs for task, one in run.summaries.items()]
    for name, one in tried:
        if isinstance(one, AttemptsSummary) and (warning := one.warning(name)):
            yield Note("problem", warning)
        if isinstance(one, ParaphrasesSummary):
            yield from _judged(one)
        if isinstance(one, SieveSummary) and one.disputed:
            yield Note(
                "note",
                f"attempts.{name}: many tries contradict {one.disputed} golds (disputed.jsonl); they may be wrong",
            )
    leaks: dict[str, int] = {}
    for read in said:
        leaks |= read.leaks
    if leaks:
        where = ", ".join(f"{name} {n}" for name, n in leaks.items())
        yield Note(
            "note",
            f"data: {sum(leaks.values())} problems stand in a benchmark ({where}); data/ lists them with both texts",
        )
    if unchecked := list(dict.fromkeys(name for one in said for name in one.unchecked)):
        words = f"data: not searched for the questions of {', '.join(unchecked)}, which could not be read"
        yield Note("problem", words)
    if marred := max((one.unreadable for one in said), default=0):
        yield Note("note", f"data: in {marred:,} problems a character is lost (U+FFFD stands for it)")


def _judged(said: ParaphrasesSummary) -> Iterator[Note]:
    """What a judge of paraphrases found, and what it left open."""
    if said.leaks:
        where = ", ".join(f"{name} {n}" for name, n in said.leaks.items())
        many = sum(said.leaks.values())
        yield Note(
            "note",
            f"paraphrases: {many} problems say what a benchmark question says ({where}); paraphrases/ lists them with both texts",
        )
    if said.unjudged:
        became = "stay" if said.kept_unjudged else "are left out"
        yield Note(
            "problem",
            f"paraphrases: {said.unjudged} problems near to a benchmark question got no readable verdict, which does not make them "
            f"clean; they {became} (data.decontamination.paraphrases.unknown)",
        )


def _strength(settings: Sequence[Setting]) -> Iterator[Note]:
    tuned = [s for s in settings if s.tuned]
    if any(len(s.tuned) == 2 for s in tuned):
        yield Note("note", "some settings have two seeds only, whose intervals are very wide; run three or more")
    seeds = {run.seed for s in tuned for run in s.runs if run.tuned}
    if tuned and len(seeds) == 1:
        yield Note("note", "one seed: how much another training run would differ is not known; add seed=0,1,2 with -m")
    for setting in tuned if sum(len(s.tuned) for s in tuned) == 1 else []:
        for name, after in setting.tuned[0].benchmarks.items():
            gain = setting.gain(name)
            if gain and 0 < abs(gain.value) < after.detectable:
                yield Note(
                    "note",
                    f"{name}: a difference of {100 * abs(gain.value):.1f} points is below what "
                    f"{gain.questions[name]} questions can show ({100 * after.detectable:.1f})",
                )
