"""What every step of a selection works on: the candidates that are left, and how the text of a solution is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from limo.config import component
from limo.models import Model, load_tokenizer
from limo.records import Example

Unit = Literal["characters", "words", "tokens"]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a candidate was left out."""

    reason: str
    value: float | str | None = None
    """What was measured."""


@runtime_checkable
class Filter(Protocol):
    """A step that leaves candidates out."""

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        """The ids left out, each with its reason. The order of the pool makes no difference."""
        ...


@runtime_checkable
class Score(Protocol):
    """A step that measures candidates."""

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        """For each id what was measured, by name; the empty name is the step's own score. An id may be left out."""
        ...


def draw(seed: int, *names: str) -> float:
    """A number from 0 to 1 that depends on the seed and the names alone: random, and the same in every pool."""
    key = "\0".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


@component
class Measure:
    """How long a text is."""

    unit: Unit = "words"
    """Characters, words (split at blanks) or tokens of a model."""
    model: Model | None = None
    """Whose tokenizer counts tokens."""

    def __post_init__(self) -> None:
        if self.unit == "tokens" and self.model is None:
            raise ValueError("unit=tokens needs the model whose tokenizer counts; set model, or unit=words")

    def counter(self) -> Callable[[str], int]:
        """The function that measures a text."""
        if self.unit == "characters":
            return len
        if self.unit == "words" or self.model is None:
            return lambda text: len(text.split())
        tokenizer = load_tokenizer(self.model)
        return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
