"""What a run was asked and how it ended (`run.json` and `status.json` in its folder), and the last word of a stage's process."""

from __future__ import annotations

from dataclasses import dataclass, field

from limo.records.record import record


@record
class Expectation:
    """What a study says beforehand of its arms, so that a report can answer: it holds, it fails, or it cannot be told."""

    order: tuple[str, ...]
    """Arms from the lowest to the highest: the overrides that tell an arm (`selection=limo selection.size=100`), `tuned`
    for every trained model, or `base` for what those started from."""
    gap: float = 0.0
    """Percentage points by which each arm is above the one before it, at the least; below 0: not worse than by so much."""
    benchmark: str = "mean"
    """A benchmark of the suite, or the plain mean over all of it."""
    source: str | None = None
    """Who measured or claims it, and where."""

    def __post_init__(self) -> None:
        if len(self.order) < 2 or len(set(self.order)) < len(self.order):
            raise ValueError(
                f"order={list(self.order)} must name two arms or more, each once, the lowest first; "
                "such as [selection=random, selection=limo] or [base, tuned]"
            )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do."""

    name: str
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    strategy: str | None = None
    """The chosen member of the group `selection`."""
    size: int | None = None
    """Examples to select."""
    choices: dict[str, str | None] = field(default_factory=dict)
    """The chosen member of every group."""
    question: str | None = None
    expect: dict[str, Expectation] = field(default_factory=dict)
    """What the study expects, by name."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a run ended; `unfinished` where it was killed or still runs."""

    overrides: tuple[str, ...] = ()
    began: float = 0.0
    """Unix time in seconds."""
    state: str = "unfinished"
    """`done`, `failed` or `unfinished`."""
    code: int = 1
    """Exit code: 0 done, 1 broken off or a defect, 2 the user's mistake, 143 told to end."""
    error: str | None = None
    seconds: float | None = None
    task: str | None = None
    """At work, while it runs."""


@dataclass(frozen=True, slots=True)
class LastWord:
    """Why a stage's process ends before its work is done."""

    code: int
    """Its exit code, which a launcher between it and its parent may replace."""
    sentence: str
