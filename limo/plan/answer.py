"""How long an answer is on average, and what budget forcing makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limo.engine import Forcing, Sampling
from limo.plan import cost
from limo.plan.amounts import PROMPT

AGAIN = 0.25
"""Tokens of what follows each "Wait", as a share of the first answer: assumed."""


@dataclass(frozen=True)
class Answer:
    """An answer on average."""

    first: float
    """Tokens until it ends by itself, or is cut."""
    tokens: float
    """Tokens in all."""
    read: float
    """Tokens of prompt and answer so far that are read again, over all rounds of budget forcing."""
    waits: int = 0
    """How often it goes on at most."""
    starts: int = 0
    """Starts of the engine after the first, at most."""

    @property
    def note(self) -> str:
        """What is assumed of it, in words."""
        said = f"{self.first:,.0f} tokens an answer"
        if not self.starts:
            return said
        parts = [f"{said}, {self.tokens:,.0f} with budget forcing"]
        parts += [f"{100 * AGAIN:.0f} % of the first assumed after each Wait"] if self.waits else []
        parts += [f"{self.read:,.0f} of prompt and answer read again"] if self.read else []
        more = f"{self.starts} more starts" if self.starts > 1 else "1 more start"
        return ", ".join([*parts, f"{more} of the engine (weights at {cost.READ / 1e9:g} GB/s)"])


def answer(sampling: Sampling, length: int) -> Answer:
    """One that would have so many tokens by itself."""
    most, forcing = sampling.max_tokens, sampling.forcing or Forcing()
    limit = forcing.limit(most)
    first = said = min(length, limit)
    read = 0
    for _ in range(forcing.waits):
        if (more := min(round(AGAIN * first), forcing.left(most, said, ended=True))) > 0:
            read, said = read + PROMPT + said, said + more
    if forcing.thinking is not None and said >= limit and (more := forcing.left(most, said, ended=False)) > 0:
        read, said = read + PROMPT + said, said + more
    return Answer(first, said, read, forcing.waits, forcing.rounds)


def mean(counted: Sequence[tuple[int, Answer]]) -> Answer:
    """Of so many answers of each kind, which share the starts of an engine."""
    every = sum(count for count, _ in counted)

    def average(name: str) -> float:
        return sum(count * getattr(one, name) for count, one in counted) / every if every else 0.0

    most = [max((getattr(one, name) for _, one in counted), default=0) for name in ("waits", "starts")]
    return Answer(average("first"), average("tokens"), average("read"), *most)
