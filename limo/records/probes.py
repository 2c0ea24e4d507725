"""What the probe says of a base before any training."""

from __future__ import annotations

from limo.records.record import record
from limo.records.results import Interval


@record
class Losses:
    """What texts cost a base."""

    loss: float
    """Nats per token over all tokens."""
    first: float
    """Share of the tokens that were its first choice."""
    first_interval: Interval | None
    """Over texts; None of one text."""
    tokens: float
    """Median length of a text."""
    texts: int
    longest: int
    """Tokens of the longest text."""


@record
class OwnAnswers:
    """How a base's own answers end."""

    tokens: float
    """Median length."""
    cut: float
    """Share that did not end within the limit."""
    circles: float
    """Share that run in circles."""


@record
class Solved:
    """How often a base solves the problems already."""

    questions: int
    samples: int
    rate: float
    interval: Interval
    pass_at: dict[int, float]


@record
class Context:
    """The same few solutions at the end of a longer context."""

    length: int
    """Tokens of the context."""
    loss: float
    """Nats per token there."""
    alone: float
    """Nats per token of the same solutions without the context."""
    texts: int


@record
class ProbeSummary:
    """What was measured on a base before training."""

    model: str
    probed: int
    """Examples that were looked at."""
    selected: int
    """Examples of the whole selection."""
    overlong: int
    solutions: Losses
    """Of the selected solutions."""
    own: Losses | None
    """Of its own answers to the same questions; None where it gave none."""
    answers: OwnAnswers
    solved: Solved
    window: int | None
    """Tokens that the architecture can take; None where it is not known."""
    contexts: tuple[Context, ...]
