"""Problems from local files: JSONL, JSON, CSV, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limo import UserError, records
from limo.config import component
from limo.data.source import Source, absent, paths

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")


@component
class Files(Source):
    """One local file or several, read one after the other."""

    path: Path | tuple[Path, ...] | None = None
    """JSONL, JSON (a list of objects), CSV, TSV or Parquet, told by the ending."""

    def missing(self) -> list[str]:
        return (
            absent(paths(self.path))
            if self.path
            else ["data.path is not set; give the path of a JSONL, JSON, CSV or Parquet file"]
        )

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if lacks := self.missing():
            raise UserError(lacks[0])
        for file in paths(self.path):
            yield from read(file)


def read(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file with their places. Raises UserError naming file and line of what cannot be read."""
    if file.suffix not in FORMATS:
        raise UserError(f"data.path={file}: the ending {file.suffix!r} is none of {', '.join(FORMATS)}")
    if lacks := absent([file]):
        raise UserError(lacks[0])
    if file.suffix in (".jsonl", ".ndjson"):
        yield from ((f"{file}, line {number}", row) for number, row in records.rows(file))
    elif file.suffix == ".json":
        yield from _json(file)
    elif file.suffix in (".csv", ".tsv"):
        yield from _csv(file, "\t" if file.suffix == ".tsv" else ",")
    else:
        yield from _parquet(file)


def _json(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        table = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file}, line {error.lineno}: not valid JSON ({error.msg}); a file of one object a line ends in .jsonl"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    if not isinstance(table, list):
        raise UserError(f"{file}: expected a list of objects, found {type(table).__name__}")
    for number, row in enumerate(table, 1):
        if not isinstance(row, dict):
            raise UserError(f"{file}, entry {number}: expected an object, found {type(row).__name__}")
        yield f"{file}, entry {number}", row


def _csv(file: Path, delimiter: str) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(1 << 30)  # a long solution is one field
    with file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    columns = len(reader.fieldnames or ())
                    raise UserError(f"{file}, line {reader.line_num}: not the {columns} fields that the header names")
                yield f"{file}, line {reader.line_num}", dict(row)
        except csv.Error as error:
            raise UserError(f"{file}, after line {reader.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise UserError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def _parquet(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        table = pyarrow.parquet.ParquetFile(file)
        number = 0
        for batch in table.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{file}, row {number}", row
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{file}: not a Parquet file ({str(error).splitlines()[0]})") from None
