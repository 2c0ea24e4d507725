"""What single texts have cost a model, kept in the store: one append-only file per weights, a line a text."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from limo.models.encode import Encoded
from limo.scores.forward import Cost


def key_of(text: Encoded, clip: int) -> str:
    """A hash of all that decides a cost, beside the weights."""
    return hashlib.sha256(json.dumps([text.tokens, text.prompt, clip]).encode()).hexdigest()[:32]


def find(path: Path) -> dict[str, Cost]:
    """The costs in a file; a line that is not as it was written counts as not there."""
    if not path.is_file():
        return {}
    with path.open("rb") as lines:
        return dict(row for line in lines if (row := _checked(line)) is not None)


@contextmanager
def writing(path: Path) -> Iterator[Callable[[str, Cost], None]]:
    """Hold the file for appending, so that a killed run loses nothing; another run that wants it waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")), path.open("a", encoding="utf-8") as handle:
        handle.write("\n")  # ends a line that a killed run left open

        def write(key: str, cost: Cost) -> None:
            handle.write(_line(key, cost))
            handle.flush()

        yield write


def _line(key: str, cost: Cost) -> str:
    row = json.dumps([key, *dataclasses.astuple(cost)])
    return f"{hashlib.sha256(row.encode()).hexdigest()[:16]} {row}\n"


def _checked(line: bytes) -> tuple[str, Cost] | None:
    check, _, row = line.rstrip(b"\n").partition(b" ")
    if not row or hashlib.sha256(row).hexdigest()[:16].encode() != check:
        return None
    key, surprisal, ranks, first, tokens = json.loads(row)
    return key, Cost(surprisal, ranks, first, tokens)
