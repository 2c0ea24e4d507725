"""Rows of local files, each with its place: JSON lines, JSON, CSV, TSV, Parquet, told apart by the ending."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from limo import UserError, records

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""Endings, in any case; all but the last may be packed: `.jsonl.gz`, `.jsonl.zst`."""
LIST = 1 << 29
"""Characters of a JSON list, which is read at once."""
BATCH = 1 << 28
"""Bytes that the rows of a Parquet file which are in memory at once may take."""
WANTED = "a JSONL, JSON, CSV, TSV or Parquet file"

Rows = Iterator[tuple[str, dict[str, Any] | UserError]]
"""Place, such as `train.jsonl, line 3`, and row, or what is wrong with it."""


def read(file: Path) -> Rows:
    """The rows of a file with their places. Raises UserError naming what keeps it from being read any further."""
    kind = ending(file)
    if kind not in FORMATS:
        raise UserError(
            f"{file}: the ending {kind!r} is none of {', '.join(FORMATS)}, or one of them and .gz or .zst; convert the file"
        )
    if lacks := absent([file]):
        raise UserError(lacks[0])
    try:
        if kind in (".jsonl", ".ndjson"):
            yield from _lines(file)
        elif kind == ".json":
            yield from _json(file)
        elif kind in (".csv", ".tsv"):
            yield from _csv(file, "\t" if kind == ".tsv" else ",")
        else:
            yield from _parquet(file)
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); convert the file") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error}); give a readable file") from None


def ending(file: Path) -> str:
    """What a file's name says it is, whatever the case; of a packed text, what is packed."""
    name = file.name.lower()
    inner = Path(name.removesuffix(".gz").removesuffix(".zst")).suffix
    return Path(name).suffix if inner in ("", ".parquet") else inner


def found(path: Path) -> tuple[Path, ...]:
    """The files that a path means: itself, those of a folder and of all folders in it, or those of a pattern; sorted."""
    if path.is_dir():
        inside: Iterable[Path] = path.rglob("*")
    elif path.exists() or not set("*?[") & set(str(path)):
        return (path,)
    else:
        inside = (path.anchor and Path(path.anchor).glob(str(path.relative_to(path.anchor)))) or Path().glob(str(path))
    return tuple(sorted(f for f in inside if f.is_file() and ending(f) in FORMATS)) or (path,)


def absent(files: Iterable[Path]) -> list[str]:
    """One sentence for each file that is not there."""
    return [
        f"path={file}: {'no such file in that folder' if file.is_dir() else 'no such file'}; put it there, or give the path of {WANTED}"
        for file in files
        if not file.is_file()
    ]


def _lines(file: Path) -> Rows:
    for number, text in enumerate(records.lines(file), 1):
        if text.strip():
            yield f"{file}, line {number}", _object(text, file, number)


def _object(text: str, file: Path, number: int) -> dict[str, Any] | UserError:
    try:
        row = records.parsed(text, file, number)
    except UserError as fault:
        return fault
    return row if isinstance(row, dict) else _no_object(f"{file}, line {number}", row, "a JSON object")


def _no_object(place: str, row: object, wanted: str) -> UserError:
    return UserError(f"{place}: expected {wanted}, found {type(row).__name__}")


def _json(file: Path) -> Rows:
    parts = records.lines(file)
    first = next((line for line in parts if line.strip()), "")
    if first.lstrip().startswith("{"):  # some repositories name a file of JSON lines `.json`
        yield from _lines(file)
        return
    text, length = [first], len(first)
    for line in parts:
        text.append(line)
        if (length := length + len(line)) > LIST:
            raise UserError(
                f"{file}: a list of more than {LIST >> 20} million characters; write one object a line, as .jsonl"
            )
    table = records.parsed("".join(text), file)
    if not isinstance(table, list):
        raise UserError(f"{file}: expected a list of objects, found {type(table).__name__}")
    for number, row in enumerate(table, 1):
        place = f"{file}, entry {number}"
        yield place, row if isinstance(row, dict) else _no_object(place, row, "an object")


def _csv(file: Path, delimiter: str) -> Rows:
    csv.field_size_limit(records.LONGEST)  # a long solution is one field
    reader = csv.DictReader(records.lines(file, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            place, columns = f"{file}, line {reader.line_num}", len(reader.fieldnames or ())
            whole = None not in row and None not in row.values()
            yield place, dict(row) if whole else UserError(f"{place}: not the {columns} fields that the header names")
    except csv.Error as error:
        raise UserError(f"{file}, after line {reader.line_num}: {error}; mend the file") from None


def _parquet(file: Path) -> Rows:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    number, left = 0, records.allowance(file)
    try:
        table = pyarrow.parquet.ParquetFile(file, pre_buffer=False)
        for batch in table.iter_batches(batch_size=_batch(table.metadata), use_threads=False):
            for row in batch.to_pylist():
                if (left := left - records.EACH - records.weight(row)) < 0:
                    raise records.overfull(file)
                number += 1
                yield f"{file}, row {number}", row
    except pyarrow.ArrowException as error:
        raise UserError(f"{file}: not a Parquet file ({str(error).splitlines()[0]})") from None


def _batch(metadata: Any) -> int:
    """So many rows that they fit whatever they hold: no value is longer than its column of a row group, unpacked."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    longest = max((g.column(i).total_uncompressed_size for g in groups for i in range(g.num_columns)), default=1)
    return max(1, min(1024, BATCH // max(1, longest)))
