"""What every engine is: a request, what comes back, a session over loaded weights, and the way to one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from limo.config import component
from limo.engine.forcing import Forcing
from limo.models import Model

PROMPT = 2048
"""Tokens of a prompt that memory is counted for: those of benchmarks are shorter."""


@component
class Sampling:
    """How answers are drawn."""

    samples: int = 1
    """Answers per question; more than one needs a temperature above 0."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    max_tokens: int = 32768
    """Longest answer in tokens; a longer one is cut and counted as truncated."""
    forcing: Forcing | None = None
    """Make the model think longer, or conclude sooner, than it would; None lets it be."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples={self.samples} must be 1 or more")
        if self.temperature < 0:
            raise ValueError(f"temperature={self.temperature} must be 0 (greedy) or more")
        if self.temperature == 0 and self.samples > 1:
            raise ValueError(
                f"samples={self.samples} at temperature=0 is one answer repeated; set a temperature or samples=1"
            )
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must be above 0 and at most 1")
        if self.top_k < 0:
            raise ValueError(f"top_k={self.top_k} must be 0 (every token) or more")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens={self.max_tokens} must be 1 or more")
        if self.forcing and (fault := self.forcing.beyond(self.max_tokens)):
            raise ValueError(fault)

    def longest(self, model: Model) -> int:
        """Tokens of a prompt and its answer that memory is counted for; at most the model's context."""
        return min(self.max_tokens + PROMPT, model.context or self.max_tokens + PROMPT)

    def beyond(self, model: Model) -> list[str]:
        """That an answer cannot have `max_tokens`, one sentence; nothing where the model's context holds so many, or is not known."""
        shape = model.shape()
        if shape is None or self.max_tokens < shape.max_position_embeddings:
            return []
        return [
            f"max_tokens={self.max_tokens:,} and the context of {model.path} is {shape.max_position_embeddings:,} tokens, prompt "
            "included: answers are cut where it ends"
        ]


@dataclass(frozen=True, slots=True)
class Request:
    """One answer asked for; everything that decides it."""

    prompt: tuple[int, ...]
    """Token ids, rendered by the chat template already."""
    seed: int
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back."""

    text: str
    finish: str
    """`stop` or `length`."""
    tokens: int
    """Generated tokens, the end token included."""


class Session(Protocol):
    """Loaded weights that answer requests, in whatever order they finish."""

    @property
    def window(self) -> int:
        """How many requests it can use at once; more would only wait in its queue."""
        ...

    @property
    def generated(self) -> int:
        """Tokens generated so far, unfinished answers included."""
        ...

    def add(self, number: int, request: Request) -> None:
        """Queue a request under a number of the caller's."""
        ...

    def advance(self) -> Iterable[tuple[int, Completion]]:
        """Work a while; the requests that finished. Called until every number came back."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A way to serve a model."""

    @property
    def dtype(self) -> str:
        """Number format of the weights; `auto` chooses by model and device."""
        ...

    @property
    def replicas(self) -> int:
        """Engine processes that share the work (data parallel), each with its own GPUs; 0 uses every GPU."""
        ...

    @property
    def tensor_parallel(self) -> int | None:
        """GPUs that share one copy of the weights; None where `pick` chooses by the model."""
        ...

    def missing(self, model: Model, longest: int | None = None) -> list[str]:
        """What this machine lacks to serve the model with prompts and answers of so many tokens, one sentence each."""
        ...

    def pick(self, model: Model, longest: int | None = None) -> Engine:
        """The engine that does that work on this machine, its GPUs chosen: itself, or the one that `auto` takes."""
        ...

    def open(self, model: Model, max_length: int, requests: int) -> Session:
        """Load the weights.

        `max_length` is the longest prompt plus answer that will be asked for, in tokens; `requests` how many there are.
        """
        ...
