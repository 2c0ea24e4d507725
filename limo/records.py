"""The nouns that stages exchange on disk: problems, attempts, grades, examples; one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from limo import Mistake


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with a checkable answer."""

    id: str
    question: str
    answer: str
    solutions: tuple[str, ...] = ()
    """Solutions that came with the source, best known first; each may become training text."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the source says beside it (level, subject, options …); never shown to a model."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One answer of a model to one problem."""

    problem: str
    sample: int
    """0-based index among the samples of this problem."""
    seed: int
    text: str
    finish: str
    """`stop` (end token), `length` (cut at max_tokens or by the context), `prompt_too_long` (nothing generated)."""
    prompt_tokens: int
    tokens: int
    """Generated tokens, the end token included."""


RIGHT = ("correct", "judge_correct")
"""Verdicts that count as a right answer."""


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict on one attempt, with the reason."""

    problem: str
    sample: int
    verdict: str
    """correct, wrong, no_answer, truncated, timeout, gold_unparsed, judge_correct, judge_wrong."""
    answer: str | None
    """The extracted answer, as written; None when there was none."""
    rule: str
    """Which rule decided."""

    @property
    def correct(self) -> bool:
        return self.verdict in RIGHT


@dataclass(frozen=True, slots=True)
class Example:
    """A solved problem: a candidate for training, and what was measured on it."""

    id: str
    """`<problem id>` plus `#<n>` for the n-th candidate solution of a problem."""
    problem: str
    question: str
    answer: str
    solution: str
    scores: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


Record = TypeVar("Record", Problem, Attempt, Grade, Example)


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (1-based) and object of each non-empty line of a JSONL file.

    Raises Mistake naming file and line where a line is no JSON object.
    """
    try:
        handle = path.open(encoding="utf-8")
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}; give the path of a readable JSONL file") from None
    with handle:
        try:
            for number, line in enumerate(handle, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except json.JSONDecodeError as error:
                    what = error.msg.removesuffix(" at")
                    raise Mistake(f"{path}, line {number}: not valid JSON ({what} at column {error.colno})") from None
                if not isinstance(row, dict):
                    raise Mistake(f"{path}, line {number}: expected a JSON object, found {type(row).__name__}")
                yield number, row
        except UnicodeDecodeError as error:
            raise Mistake(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def read(path: Path, kind: type[Record]) -> list[Record]:
    """The records of a JSONL file, in order; unknown keys are refused."""
    names = {f.name for f in dataclasses.fields(kind)}
    required = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    records = []
    for number, row in rows(path):
        if missing := sorted(required - row.keys()):
            raise Mistake(f"{path}, line {number}: {kind.__name__} lacks {', '.join(missing)}")
        if unknown := sorted(row.keys() - names):
            raise Mistake(f"{path}, line {number}: {kind.__name__} has no field {', '.join(unknown)}")
        if "solutions" in row:
            row["solutions"] = tuple(row["solutions"])
        records.append(kind(**row))
    return records


def write(path: Path, records: Iterable[Any]) -> None:
    """Write records (dataclasses or plain dicts) as JSONL, whole or not at all; a device, a pipe or a link is written through."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        with path.open("w", encoding="utf-8") as handle:
            handle.writelines(line(record) for record in records)
        return
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as handle:
        handle.writelines(line(record) for record in records)
        handle.flush()
        os.fsync(handle.fileno())
    partial.replace(path)


def write_json(path: Path, facts: Any) -> None:
    """Write facts as JSON, whole or not at all: others may read them at any moment."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    fresh.replace(path)


def line(record: Any) -> str:
    """A record as one line of JSON, newline included."""
    row = dataclasses.asdict(record) if dataclasses.is_dataclass(record) and not isinstance(record, type) else record
    return json.dumps(row, ensure_ascii=False) + "\n"
