"""Records on disk: one JSON object a line, written whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from limo import UserError
from limo.records.answers import Answer, Attempt, Grade
from limo.records.examples import Dropped, Example, Scored
from limo.records.lines import lines, parsed
from limo.records.problems import Problem
from limo.records.tallies import Disputed, Tally

T = TypeVar("T")
Record = TypeVar("Record", Problem, Attempt, Grade, Example, Answer, Dropped, Tally, Disputed, Scored)


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
"""Kind of record -> what reads it, which takes milliseconds to make."""


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (1-based) and object of each non-empty line of a JSONL file.

    Raises UserError naming file and line where a line is no JSON object.
    """
    try:
        for number, text in enumerate(lines(path), 1):
            if not text.strip():
                continue
            row = parsed(text, path, number)
            if not isinstance(row, dict):
                raise UserError(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}")
            yield number, row
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give the path of a readable JSONL file") from None


def read(path: Path, kind: type[Record]) -> list[Record]:
    """The records of a JSONL file, in order; unknown keys are refused."""
    return list(stream(path, kind))


def stream(path: Path, kind: type[Record]) -> Iterator[Record]:
    """As `read`, one after the other: a file may be larger than memory."""
    adapter = _adapter(kind)
    for number, row in rows(path):
        try:
            yield adapter.validate_python(row)
        except ValidationError as error:
            raise UserError(f"{path}, line {number}: {_fault(kind.__name__, error)}") from None


def _fault(kind: str, error: ValidationError) -> str:
    """What is wrong with a row, its first fault in one sentence."""
    found = error.errors()
    for type_, words in (("missing", "lacks"), ("unexpected_keyword_argument", "has no field")):
        if names := [".".join(map(str, item["loc"])) for item in found if item["type"] == type_]:
            return f"{kind} {words} {', '.join(names)}"
    place = ".".join(map(str, found[0]["loc"]))
    return f"{kind}.{place} is {found[0]['input']!r}: {found[0]['msg']}"


def write(path: Path, records: Iterable[Any]) -> None:
    """Write records (dataclasses or plain dicts) as JSONL, whole or not at all; a device, a pipe or a link is written through."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        with path.open("w", encoding="utf-8") as handle:
            handle.writelines(line(record) for record in records)
        return
    with replacing(path) as fresh, fresh.open("w", encoding="utf-8") as handle:
        handle.writelines(line(record) for record in records)


def write_json(path: Path, facts: Any) -> None:
    """Write facts as JSON, whole or not at all: others may read them at any moment."""
    with replacing(path) as fresh:
        fresh.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside this one to write to, a file or a folder; on a good end it is on the disk, and in this one's place."""
    fresh = beside(path)
    try:
        yield fresh
    except BaseException:
        remove(fresh)
        raise
    if fresh.is_file() and not fresh.is_symlink():
        with fresh.open("rb+") as handle:
            os.fsync(handle.fileno())
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif fresh.is_dir() and not fresh.is_symlink():
        path.unlink(missing_ok=True)
    fresh.replace(path)


def beside(path: Path) -> Path:
    """A hidden name beside a path that is this process's own; what processes of this machine that are dead left there goes."""
    ours = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(f"{glob.escape(ours)}*"):
        number = left.name.removeprefix(ours)
        if number.isdigit() and not _lives(int(number)):
            with contextlib.suppress(OSError):  # of another user, or gone already
                remove(left)
    return path.with_name(f"{ours}{os.getpid()}")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _lives(number: int) -> bool:
    """Whether another process has this number; one before this that had its own is dead."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return number != os.getpid()


def write_record(path: Path, record: object) -> None:
    """Write one record as JSON, whole or not at all."""
    write_json(path, _adapter(type(record)).dump_python(record, mode="json"))


def read_record(path: Path, kind: type[T]) -> T:
    """Read one record from JSON, types checked. Raises UserError naming the file where it is none."""
    try:
        return _adapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run the same command again to write it anew") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path}: no {kind.__name__} of this version ({place + ': ' if place else ''}{first['msg']}); "
            "run the same command again to write it anew"
        ) from None


def line(record: Any) -> str:
    """A record as one line of JSON, newline included."""
    return _ENCODER.encode(record) + "\n"


def _fields(value: Any) -> dict[str, Any]:
    """A record as what JSON knows: one level at a time, without the deep copies of `dataclasses.asdict`."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_fields)
