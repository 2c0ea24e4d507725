"""What the parts of a selection are: filters, scores, orders, transforms; and how the text of a solution is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from limo import UserError
from limo.config import component
from limo.models import Model, load_tokenizer
from limo.records import Example
from limo.statistics import without_loops

if TYPE_CHECKING:
    import numpy
    from transformers import PreTrainedTokenizerBase

    Vectors = Mapping[str, "numpy.ndarray"]

OWN = ("origin", "verdict", "problem")
"""What every candidate has beside its scores and `meta`."""
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


@runtime_checkable
class Order(Protocol):
    """What puts candidates in another order than that of one score, so that any first n of them are a good n."""

    def order(self, ranked: Sequence[Example], vectors: Mapping[str, Vectors], seed: int) -> list[str]:
        """All ids of candidates that come best first; a function of their ids, texts and columns alone.

        `vectors`: name of a table -> id -> vector of length 1.
        """
        ...


@runtime_checkable
class Transform(Protocol):
    """What makes another text of a chosen solution. It may have a `version`, raised when the same input gives another text."""

    def rewrite(self, example: Example, seed: int) -> str:
        """The solution as it will be learned; it depends on the example and the seed alone."""
        ...


def column(example: Example, name: str) -> object:
    """A value by the name of its column: a score, a key of `meta`, or `origin`, `verdict`, `problem`. None where it has none."""
    if name in example.scores:
        return example.scores[name]
    return example.meta.get(name, getattr(example, name, None) if name in OWN else None)


def refuse_unknown(pool: Sequence[Example], name: str, key: str) -> None:
    """Raises UserError where no candidate has this column."""
    if pool and all(column(e, name) is None for e in pool):
        has = sorted({n for e in pool for n in (*e.scores, *e.meta)})
        raise UserError(
            f"{key}={name}: no candidate has this column; there are {', '.join(has) or 'none'} (data.meta carries columns along)"
        )


def seeded_uniform(seed: int, *names: str) -> float:
    """A number from 0 to 1 that depends on the seed and the names alone: random, and the same in every pool."""
    key = "\0".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


@lru_cache(maxsize=1)
def _tokenizer(model: Model) -> PreTrainedTokenizerBase:
    return load_tokenizer(model)


@component
class Measure:
    """How long a text is."""

    unit: Unit = "words"
    """Characters, words (split at blanks) or tokens of a model."""
    model: Model | None = None
    """Whose tokenizer counts tokens."""
    loops: Literal["count", "once"] = "count"
    """`once` measures a text whose lines or sentences come again and again as if each of them came once."""

    def __post_init__(self) -> None:
        if self.unit == "tokens" and self.model is None:
            raise ValueError("unit=tokens needs the model whose tokenizer counts; set model, or unit=words")

    def counter(self) -> Callable[[str], int]:
        """The function that measures a text."""
        count = self._counter()
        return count if self.loops == "count" else lambda text: count(without_loops(text))

    def _counter(self) -> Callable[[str], int]:
        if self.unit == "characters":
            return len
        if self.unit == "words" or self.model is None:
            return lambda text: len(text.split())
        tokenizer = _tokenizer(self.model)
        return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


@component
class Budget(Measure):
    """How long the chosen solutions may be together."""

    most: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.most < 1:
            raise ValueError(f"most={self.most} must be 1 or more")

    def holds(self, ranked: Sequence[Example]) -> int:
        """How many of the best fit: up to the first that does not, so that a larger budget keeps what a smaller one kept."""
        count, spent = self.counter(), 0
        for number, example in enumerate(ranked):
            spent += count(example.solution)
            if spent > self.most:
                return number
        return len(ranked)
