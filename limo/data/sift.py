"""What is looked at in every problem of a pool; texts stay on disk."""

from __future__ import annotations

import json
from dataclasses import dataclass

from limo.data.contamination import Search, Trace
from limo.data.near import bands, shingles
from limo.data.text import hash_of, tokens
from limo.records import Gold


@dataclass(frozen=True, slots=True)
class Seen:
    """A problem as cleaning needs it."""

    id: str
    question: str
    answer: str
    mark: bytes
    """Equal for questions of equal tokens."""
    bands: bytes
    """What near-duplicates have in common; empty where nobody looks for them."""
    trace: Trace | None
    """What it shares with benchmark questions."""


@dataclass(frozen=True, slots=True)
class Look:
    """What to look for."""

    search: Search | None
    near: bool

    def at(self, lines: list[str]) -> list[Seen]:
        """The problems of some lines."""
        rows = [json.loads(line) for line in lines]
        read = [tokens(row["question"]) for row in rows]
        hashes = bands([shingles(text) for text in read]) if self.near else [b""] * len(rows)
        return [
            Seen(
                row["id"],
                row["question"],
                Gold(**row["gold"]).text,
                hash_of(text),
                found,
                self.search.look(row["question"], row["solutions"], text) if self.search else None,
            )
            for row, text, found in zip(rows, read, hashes, strict=True)
        ]
