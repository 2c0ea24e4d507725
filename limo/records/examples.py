"""Solved problems: candidates for training, those that became examples, and those that were left out."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from limo.records.record import record

Origin = Literal["source", "attempt"]
"""Where a solution is from: it came with the problem, or a model wrote it."""


@record
class Example:
    """A solved problem: a candidate for training, and what was measured on it."""

    id: str
    """`<problem id>` plus `#<n>` for the n-th candidate solution of a problem."""
    problem: str
    question: str
    answer: str
    solution: str
    origin: Origin = "source"
    verdict: str | None = None
    """How the solution was graded; None where it was not."""
    scores: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    transforms: tuple[str, ...] = ()
    """What has changed the solution's text after it was chosen, in order: `cut@1`, name and version."""


@record
class Dropped:
    """A candidate that a selection left out, and why."""

    id: str
    step: str
    reason: str
    value: float | str | None = None
    """What was measured."""
    scores: dict[str, float] = field(default_factory=dict)


@record
class Scored:
    """What a table of scores says of a candidate."""

    id: str
    columns: dict[str, float]
