"""What a run reads from repositories, whoever keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


class Remote(Protocol):
    """A repository, or a file of one, that may have to be downloaded before it is read."""

    @property
    def repo(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def kind(self) -> str:
        """`model`, `dataset` or `file`."""
        ...

    @property
    def address(self) -> str:
        """The repository as manifests name it."""
        ...

    @property
    def by_hand(self) -> str:
        """The shell command that puts it into the cache of a machine."""
        ...

    def cached(self) -> Path | None:
        """Where it lies on this machine, if all of it does."""
        ...

    def commit(self) -> str | None:
        """The commit of what lies on this machine."""
        ...

    def size(self) -> int | None:
        """Its bytes, where they can be told without the network."""
        ...

    def ahead(self) -> int | None:
        """Bytes still to be downloaded, as the network says it; None where it does not."""
        ...

    def refusal(self) -> str | None:
        """Why it cannot be fetched now, None where it can. No silent host is waited for twice."""
        ...

    def fetch(self) -> Path:
        """From the cache, else from the network. Raises OSError where it cannot be had."""
        ...


@runtime_checkable
class Downloaded(Protocol):
    """A component whose content may lie in a repository."""

    def origins(self) -> list[Remote]:
        """The repositories that it reads; none where it reads local files."""
        ...


def origins(value: object) -> Iterator[Remote]:
    """What a stage, or any part of one, reads from repositories; the same may come twice."""
    if isinstance(value, Downloaded):
        yield from value.origins()
    elif is_dataclass(value):
        for field in fields(value):
            yield from origins(getattr(value, field.name))
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from origins(part)
