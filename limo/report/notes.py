"""What a reader must not miss: failed runs, cut answers, missing answers, loops, differences too small to be seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from limo.report.arms import arms, describe
from limo.report.runs import Results, Run

ALARM = 0.05
"""Share of answers from which a truncation, a missing answer or a repetition is called a problem."""

Note = tuple[Literal["problem", "note"], str]


def notes(runs: Sequence[Run]) -> list[Note]:
    """Problems first; each sentence once, with the benchmarks it holds for."""
    found = [*_failures(runs), *_again(runs), *_answers(runs), *_training(runs), *_data(runs), *_strength(runs)]
    return sorted(dict.fromkeys(found), key=lambda note: note[0] != "problem")


def _failures(runs: Sequence[Run]) -> Iterator[Note]:
    for run, words in zip(runs, describe(runs), strict=True):
        if run.state == "failed":
            yield "problem", f"{words}: failed: {_reason(run.error)}"
        elif run.state != "done":
            yield "problem", f"{words}: did not finish; the same command resumes it"


def _again(runs: Sequence[Run]) -> Iterator[Note]:
    for run, words in zip(runs, describe(runs), strict=True):
        if run.again:
            others = ", ".join(folder.name for folder in run.again)
            yield "note", f"{words}: found again with the very same results ({others}); shown and counted once"


def _reason(error: str | None) -> str:
    """One line of an error: the last of a traceback, the first of several sentences."""
    lines = (error or "no reason given").strip().splitlines()
    if lines[0].startswith("Traceback") or len(lines) == 1:
        return lines[-1]
    return f"{lines[0]} (and {len(lines) - 1} more, below)"


def _answers(runs: Sequence[Run]) -> Iterator[Note]:
    """The worst share over all runs, per kind of model and benchmark."""
    kinds = (
        ("cut", "answers were cut at max_tokens", "raise max_tokens"),
        ("no_answer", "answers held no final answer", "see the format of its answers"),
        ("repetition", "answers ran in circles", "see its longest answers"),
    )
    for weights in ("tuned", "base"):
        models: list[Results] = [m for r in runs if (m := r.tuned if weights == "tuned" else r.base)]
        for field, what, remedy in kinds:
            worst: dict[str, float] = {}
            for model in models:
                for name, score in model.scores.items():
                    if (share := getattr(score, field)) is not None:
                        worst[name] = max(share, worst.get(name, 0.0))
            if over := {n: s for n, s in worst.items() if s >= ALARM}:
                where = ", ".join(f"{n} {100 * s:.0f} %" for n, s in sorted(over.items(), key=lambda item: -item[1]))
                kind: Literal["problem", "note"] = "problem" if weights == "tuned" else "note"
                yield kind, f"{weights} model: {what} ({where}); {remedy}"


def _training(runs: Sequence[Run]) -> Iterator[Note]:
    shares = [s for r in runs if (s := r.summaries.get("training", {}).get("overlong_share"))]
    if shares:
        policy = next((p for r in runs if (p := r.summaries.get("training", {}).get("overlong_policy"))), "")
        done = {"drop": ", and were left out", "truncate": ", and were cut: those never show how to stop"}.get(
            policy, ""
        )
        yield (
            "problem",
            f"training: up to {100 * max(shares):.1f} % of the examples were longer than training.max_length{done}",
        )


def _data(runs: Sequence[Run]) -> Iterator[Note]:
    said = [r.summaries["data"] for r in runs if "data" in r.summaries]
    leaks: dict[str, int] = {}
    for one in said:
        leaks |= one.get("leaks") or {}
    if leaks:
        where = ", ".join(f"{name} {n}" for name, n in leaks.items())
        yield (
            "note",
            f"data: {sum(leaks.values())} problems stand in a benchmark ({where})",
        )
    if unchecked := list(dict.fromkeys(name for one in said for name in one.get("unchecked") or ())):
        yield "problem", f"data: not searched for the questions of {', '.join(unchecked)}, which could not be read"


def _strength(runs: Sequence[Run]) -> Iterator[Note]:
    tuned = [r for r in runs if r.tuned]
    if any(sum(1 for r in arm.runs if r.tuned) == 2 for arm in arms(runs)):
        yield "note", "some settings have two seeds only, whose intervals are very wide; run three or more"
    if len(tuned) == 1 or len({r.seed for r in tuned}) == 1:
        yield "note", "one seed: how much another training run would differ is not known; add seed=0,1,2 with -m"
    for run in tuned if len(tuned) == 1 else []:
        for name, score in run.tuned.scores.items() if run.tuned and run.base else []:
            before = run.base.scores.get(name) if run.base else None
            if before and score.detectable and 0 < abs(score.accuracy - before.accuracy) < score.detectable:
                yield (
                    "note",
                    (
                        f"{name}: a difference of {100 * abs(score.accuracy - before.accuracy):.1f} points is below "
                        f"what {score.n} questions can show ({100 * score.detectable:.1f})"
                    ),
                )
