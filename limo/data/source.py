"""What a source of problems is, for pools and benchmarks alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from limo import UserError
from limo.records import Problem


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a source as a problem, with what else is known of it while it is read."""

    place: str
    """Such as `train.jsonl, line 3`."""
    problem: Problem
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Further columns as they stand in the source: what repairs of gold answers read."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A row of a source that cannot be used."""

    place: str
    reason: str
    """One sentence, place included."""

    @property
    def kind(self) -> str:
        """The reason without the place and the columns of the row: equal for rows that have the same fault."""
        return self.reason.removeprefix(f"{self.place}: ").partition(" among ")[0]


@runtime_checkable
class Data(Protocol):
    """A source of problems, for a pool or a benchmark. As a pool it may have `duplicates` and `decontamination` as
    `Table` does, else their defaults."""

    def missing(self) -> list[str]:
        """What this machine lacks to read it, one sentence each."""
        ...

    def problems(self) -> list[Problem]:
        """All problems, ids unique. Raises UserError naming file and line, or row, of the first that cannot be read."""
        ...


@runtime_checkable
class Located(Data, Protocol):
    """A source that knows the place and the further columns of its rows."""

    def located(self) -> Iterator[Row]: ...


@runtime_checkable
class Sifted(Located, Protocol):
    """A source that may go on after a row that cannot be used."""

    def entries(self) -> Iterator[Row | Bad]: ...


@runtime_checkable
class Counted(Data, Protocol):
    """A source that may know how many problems it has before it is read."""

    def known(self) -> int | None: ...


def located(source: Data) -> Iterator[Row]:
    """The problems of any source as rows; the place of one that tells none is its id."""
    return source.located() if isinstance(source, Located) else (Row(p.id, p) for p in source.problems())


def entries(source: Data) -> Iterator[Row | Bad]:
    """The rows of any source, those that cannot be used among them."""
    return source.entries() if isinstance(source, Sifted) else located(source)


def missing(benchmarks: Mapping[str, Data]) -> list[str]:
    """What is missing to read the sources of benchmarks: each sentence once, with the keys of all that it holds for."""
    lacking: dict[str, list[str]] = {}
    for name, source in benchmarks.items():
        for sentence in source.missing():
            lacking.setdefault(sentence, []).append(name)
    keys = {sentence: names[0] if len(names) == 1 else f"{{{', '.join(names)}}}" for sentence, names in lacking.items()}
    return [f"evaluation.benchmarks.{key}.source: {sentence}" for sentence, key in keys.items()]


@contextmanager
def blamed(key: str) -> Iterator[None]:
    """Put the key of a source before what is found wrong with its rows."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def known(source: Data) -> int | None:
    """How many problems a source will give, where that can be told without the network; None where it cannot."""
    return source.known() if isinstance(source, Counted) else None
