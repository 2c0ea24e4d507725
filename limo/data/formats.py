"""Rows of local files, each with its place: JSON lines, JSON, CSV, TSV, Parquet, told apart by the ending."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from limo import UserError, records

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
WANTED = "a JSONL, JSON, CSV, TSV or Parquet file"

Rows = Iterator[tuple[str, dict[str, Any]]]
"""Place, such as `train.jsonl, line 3`, and row."""


def read(file: Path) -> Rows:
    """The rows of a file with their places. Raises UserError naming file and line of what cannot be read."""
    if file.suffix not in FORMATS:
        raise UserError(f"{file}: the ending {file.suffix!r} is none of {', '.join(FORMATS)}; convert the file")
    if lacks := absent([file]):
        raise UserError(lacks[0])
    try:
        if file.suffix in (".jsonl", ".ndjson"):
            yield from _lines(file)
        elif file.suffix == ".json":
            yield from _json(file)
        elif file.suffix in (".csv", ".tsv"):
            yield from _csv(file, "\t" if file.suffix == ".tsv" else ",")
        else:
            yield from _parquet(file)
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); convert the file") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error}); give a readable file") from None


def absent(files: Iterable[Path]) -> list[str]:
    """One sentence for each file that is not there."""
    return [
        f"path={file}: {'that is a folder' if file.is_dir() else 'no such file'}; put it there, or give the path of {WANTED}"
        for file in files
        if not file.is_file()
    ]


def _lines(file: Path) -> Rows:
    return ((f"{file}, line {number}", row) for number, row in records.rows(file))


def _json(file: Path) -> Rows:
    text = file.read_text(encoding="utf-8")
    if text.lstrip().startswith("{"):  # some repositories name a file of JSON lines `.json`
        yield from _lines(file)
        return
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{file}, line {error.lineno}: not valid JSON ({error.msg}); a file of one object a line ends in .jsonl"
        ) from None
    if not isinstance(table, list):
        raise UserError(f"{file}: expected a list of objects, found {type(table).__name__}")
    for number, row in enumerate(table, 1):
        if not isinstance(row, dict):
            raise UserError(f"{file}, entry {number}: expected an object, found {type(row).__name__}")
        yield f"{file}, entry {number}", row


def _csv(file: Path, delimiter: str) -> Rows:
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
            raise UserError(f"{file}, after line {reader.line_num}: {error}; mend the file") from None


def _parquet(file: Path) -> Rows:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield f"{file}, row {number}", row
    except pyarrow.ArrowException as error:
        raise UserError(f"{file}: not a Parquet file ({str(error).splitlines()[0]})") from None
