"""Whether a table is the one that a config means: how many rows it has, and their digest."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from limo import UserError

log = logging.getLogger(__name__)


class Check:
    """Takes the rows of a table as they are read, and refuses them when the last one is in."""

    def __init__(self, rows: int | None, digest: str | None) -> None:
        self.rows = rows
        self.expected = digest
        self.count = 0
        self._marks: list[str] = []
        self._total = hashlib.sha256()

    @property
    def asked(self) -> bool:
        """Whether anything is checked, so that every row must be read."""
        return self.rows is not None or self.expected is not None

    @property
    def digest(self) -> str:
        """Digest of the rows so far, in their order: 32 hexadecimal digits of a SHA-256."""
        return self._total.hexdigest()[:32]

    def add(self, content: list[Any]) -> None:
        """One more row: `[id, question, answer, extra columns]`, then whatever else is read of it."""
        line = (json.dumps(content, ensure_ascii=False, sort_keys=True, default=str) + "\n").encode()
        self._total.update(line)
        self.count += 1
        if self.expected is not None:
            self._marks.append(hashlib.sha256(line).hexdigest())

    def done(self, table: str) -> None:
        """Raises UserError naming the table where its rows are not those that were meant."""
        if not self.count:
            raise UserError(f"{table}: no rows in it; give a table that has some")
        if self.rows is not None and self.count != self.rows:
            raise UserError(
                f"{table}: {self.count} rows, not {self.rows}; take the original, or change rows (null checks nothing)"
            )
        if self.expected is None:
            _tell(f"{table}: not checked; digest={self.digest} would refuse a changed row")
        elif self.digest != self.expected:
            raise UserError(
                f"{table}: {self._changed()} (digest {self.digest}, not {self.expected}); take the original, or set "
                "digest to the new one (null checks nothing)"
            )

    def _changed(self) -> str:
        """Which rows differ from the known ones, where their single digests ship with the package."""
        known = json.loads(Path(__file__).with_name("row_digests.json").read_text(encoding="utf-8")).get(self.expected)
        if known is None:
            return "a row was changed"
        width = len(known) // self.count if len(known) % self.count == 0 else 0
        rows = [i + 1 for i, mark in enumerate(self._marks) if mark[:width] != known[i * width : (i + 1) * width]]
        if not rows or len(rows) > 5:
            return f"{len(rows) or 'some'} rows were changed"
        return f"row {', '.join(map(str, rows))} was changed"


@functools.cache
def _tell(sentence: str) -> None:
    """Once a process: a table is read more than once."""
    log.info(sentence)
