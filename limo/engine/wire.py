"""What a process that serves an engine and the one that started it say to each other, a JSON line each."""

from __future__ import annotations

import dataclasses
import json

from pydantic import TypeAdapter

from limo.engine.protocol import Completion, Request


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What to serve: the first line in."""

    engine: object
    """As `limo.serial.dump` writes it; the model too."""
    model: object
    max_length: int
    """Longest prompt plus answer, in tokens."""
    requests: int
    """How many there are, over all processes."""
    cores: list[int]
    """Processor cores that it may use; empty for all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A request: each further line in."""

    number: int
    request: Request


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """A line out: its window once the weights are loaded, each answer as it is whole, now and then how far it is."""

    window: int | None = None
    number: int | None = None
    """Of the request that `completion` answers."""
    completion: Completion | None = None
    tokens: int | None = None
    """Generated so far, unfinished answers included."""
    mistake: str | None = None
    """One sentence on what the user can mend; the last line."""


WORK, ASKED, SAID = TypeAdapter(Work), TypeAdapter(Asked), TypeAdapter(Said)


def line(record: Work | Asked | Said) -> bytes:
    return json.dumps(dataclasses.asdict(record)).encode() + b"\n"
