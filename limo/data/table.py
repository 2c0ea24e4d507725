"""A table of problems: where its rows lie, and what they must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from limo import UserError
from limo.config import component, runtime
from limo.data.check import Check
from limo.data.columns import Columns, as_text
from limo.data.contamination import Decontamination
from limo.data.formats import Rows, absent, found, read
from limo.data.near import refuse_near
from limo.data.progress import bar
from limo.data.source import Bad, Row
from limo.data.spread import Engine
from limo.records import Problem
from limo.serial import fingerprint, origin

ALIKE = 100
"""Rows from the first on that, all unusable for one reason, say that the config is wrong and not the rows."""
CONTENT = tuple(field.name for field in dataclasses.fields(Columns))  # type: ignore[arg-type]


@component
class Table(Columns):
    """Rows with a question and its answer. Local files come before any other place; wherever the rows lie, they are
    checked by count and digest.

    A subclass says where the rows lie without local files: `remote_rows`, `remote_missing`, `remote_key`.
    """

    path: Path | tuple[Path, ...] | None = None
    """A local file, or several read one after the other: JSONL, JSON (a list of objects), CSV, TSV or Parquet; a folder
    or a pattern (`pool/*.jsonl.gz`) is all such files in it, by name."""
    metadata_file: str | None = None
    """A second file, used where it lies beside the first: more extra columns, joined by `id`."""
    rows: int | None = None
    """How many rows there must be; null checks nothing."""
    digest: str | None = None
    """What the digest of the rows must be, as the log tells it of a table without one; null checks nothing."""
    limit: int | None = None
    """Only the first so many rows; a check of count or digest still reads them all."""
    bad_rows: Literal["stop", "drop"] = "stop"
    """A row that cannot be used: stop and name it, or leave it out with its place and reason, counted."""
    duplicates: Literal["drop", "merge", "keep"] = "drop"
    """Of a pool: what happens to a question that stands in it already, up to typesetting; `merge` drops it too and
    gives its solutions to the first when the answers agree."""
    near: float | None = None
    """Of a pool: questions with the same answer that share so much of their runs of three tokens (Jaccard) are duplicates
    too, and the smallest id stays; null does not look."""
    engine: Engine = runtime(default="local")
    """Of a pool: what looks at its rows, `local` processes of this machine, or Ray Data."""
    decontamination: Decontamination | None = Decontamination()
    """Of a pool: how questions that stand in a benchmark of the run are found; null does not look."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_near(self.near)
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} must be 1 or more, or null for all rows")

    def remote_rows(self) -> Rows:
        """The rows where there are no local files."""
        raise UserError(self.remote_missing()[0])

    def remote_missing(self) -> list[str]:
        """Why there are no rows but in local files, one sentence each."""
        raise NotImplementedError

    def remote_key(self, digest: Callable[[Path], str]) -> object:
        """What the remote rows are known by, as JSON values."""
        return None

    @property
    def name(self) -> str:
        """The table in a sentence."""
        return ", ".join(map(str, self.files)) or type(self).__name__

    @property
    def here(self) -> bool:
        """Whether the rows lie on this machine."""
        return bool(self.files)

    @property
    def files(self) -> tuple[Path, ...]:
        """The local files; `~` is the home folder."""
        several = self.path if isinstance(self.path, tuple) else () if self.path is None else (self.path,)
        return tuple(file for p in several for file in found(p.expanduser()))

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """By content, wherever the rows lie: a checked digest, else the local files, else what the place is known by."""
        content = self.digest or [digest(file) for file in self.files] or self.remote_key(digest)
        more = self._beside()
        columns = {name: fingerprint(getattr(self, name), digest) for name in CONTENT}
        beside = digest(more) if more else None
        return {
            "_target_": origin(type(self), digest),
            "content": content,
            "beside": beside,
            "limit": self.limit,
            "bad_rows": self.bad_rows,
            **columns,
        }

    def missing(self) -> list[str]:
        """Why the rows cannot be read here, one sentence each; asks the network only for what was not fetched before."""
        return absent(self.files) if self.files else self.remote_missing()

    def known(self) -> int | None:
        """How many problems it gives: what is checked, else counted in local files; None where that needs the network."""
        count = self.rows
        if count is None and self.files and not self.missing():
            try:
                count = sum(1 for _ in self.read())
            except UserError:
                return None  # whoever reads it hears what is wrong
        return count if count is None or self.limit is None else min(count, self.limit)

    def read(self) -> Rows:
        """Each row as it stands, with its place."""
        return (row for file in self.files for row in read(file)) if self.files else self.remote_rows()

    def problems(self) -> list[Problem]:
        """Every row as a problem; one without an answer has an empty one."""
        return [row.problem for row in self.located()]

    def located(self) -> Iterator[Row]:
        """Every row that can be used as a problem, with its place and its extra columns."""
        return (row for row in self.entries() if isinstance(row, Row))

    def entries(self) -> Iterator[Row | Bad]:
        """Every row as a problem, or, with bad_rows=drop, why it is none.

        Raises UserError naming file and line: a column that is not there, an id twice, an empty question, a wrong
        count, a changed row; or the first ALIKE rows, or all of fewer, that cannot be used for one reason.
        """
        alike: list[Bad] | None = []
        for row in self._entries():
            if alike is not None:
                same = isinstance(row, Bad) and (not alike or row.kind == alike[0].kind)
                alike = [*alike, row] if same and isinstance(row, Bad) else None
                if alike and len(alike) == ALIKE:
                    raise _all_alike(alike)
            yield row
        if alike:
            raise _all_alike(alike)

    def _entries(self) -> Iterator[Row | Bad]:
        check = Check(self.rows, self.digest)
        more = self._metadata()
        places: dict[str, str] = {}
        copies: dict[str, int] = {}
        for place, row in bar(self.read(), "reading", "row"):
            enough = self.limit is not None and check.count >= self.limit
            if enough and not check.asked:
                return
            try:
                whole, made = self._made(place, row, places, copies)
            except UserError as fault:
                if self.bad_rows == "stop":
                    raise
                check.add([str(fault) if isinstance(row, UserError) else row])
                if not enough:
                    yield Bad(place, str(fault))
                continue
            check.add(self.content(whole, check.count))
            if not enough:
                both = {**more.get(made.id, {}), **whole}
                yield Row(place, made, {k: both[c] for k, c in self.extra_columns.items() if c in both})
        check.done(self.name)

    def _made(
        self, place: str, row: dict[str, Any] | UserError, places: dict[str, str], copies: dict[str, int]
    ) -> tuple[dict[str, Any], Problem]:
        """The row and its problem, under an id that no row before it has."""
        if isinstance(row, UserError):
            raise row
        made = self.problem(place, row)
        if self.id is None:  # the same question twice is a duplicate and no clash of ids
            copies[made.id] = copy = copies.get(made.id, 0) + 1
            made = made if copy == 1 else dataclasses.replace(made, id=f"{made.id}.{copy}")
        elif made.id in places:
            raise UserError(f"{place}: id {made.id!r} is in {places[made.id]} too; make it unique, or set id=null")
        places[made.id] = place
        return row, made

    def _beside(self) -> Path | None:
        more = self.files[0].parent / self.metadata_file if self.files and self.metadata_file else None
        return more if more and more.is_file() else None

    def _metadata(self) -> dict[str, dict[str, Any]]:
        beside = self._beside()
        rows = [row for _, row in read(beside) if isinstance(row, dict)] if beside and self.id else []
        return {as_text(row[self.id]): row for row in rows if self.id in row}


def _all_alike(bad: list[Bad]) -> UserError:
    many = f"none of the first {len(bad)} rows" if len(bad) == ALIKE else f"none of its {len(bad)} rows"
    return UserError(f"bad_rows=drop leaves nothing: {many} can be used, all for one reason: {bad[0].reason}")
