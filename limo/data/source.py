"""What a source of problems is, and how a row of one becomes a problem."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from limo import UserError
from limo.config import component
from limo.data.bar import bar
from limo.data.contamination import Decontamination
from limo.data.text import boxed
from limo.records import Gold, Problem

ANNOTATION = re.compile(r"<<[^<>]*>>")


@runtime_checkable
class Data(Protocol):
    """A source of problems. It may have `duplicates` and `decontamination` as `Source` does, else their defaults."""

    def missing(self) -> list[str]:
        """What this machine lacks to read it, one sentence each."""
        ...

    def problems(self) -> list[Problem]:
        """All problems, ids unique. Raises UserError naming file and line, or row, of the first that cannot be read."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A row of a source as a problem, with what else is known of it while it is read."""

    place: str
    """Such as `train.jsonl, line 3`."""
    problem: Problem
    columns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Further columns as they stand in the source: what repairs of gold answers read."""


@component
class Source:
    """A table of problems: which column holds what."""

    question: str = "question"
    """Column of the question."""
    answer: str | None = "answer"
    """Column of the answer; not needed where `answer_from` is box."""
    solution: str | None = "solution"
    """Column of the worked solution, or of a list of them; null when there is none."""
    id: str | None = None
    """Column of a unique id; null makes one from the question's text, the same wherever the row stands."""
    meta: tuple[str, ...] = ()
    """Columns to carry along (level, subject …)."""
    answer_from: Literal["column", "hashes", "box"] = "column"
    """`column` is the answer as it stands; `hashes` takes what follows `####` in it (GSM8K), the text before being a
    solution without its <<…>> annotations; `box` takes the last box of the solution."""
    box: bool = False
    """Close solutions that have no box with one that holds the answer, as the system prompt asks of a model."""
    limit: int | None = None
    """Only the first so many rows."""
    duplicates: Literal["drop", "merge", "keep"] = "drop"
    """What happens to a question that stands in the pool already, up to typesetting; `merge` drops it too and gives its
    solutions to the first when the answers agree."""
    decontamination: Decontamination | None = Decontamination()
    """How questions that stand in a benchmark of the run are found; null does not look."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} must be 1 or more, or null for all rows")
        if self.answer_from == "box" and self.solution is None:
            raise ValueError("answer_from=box reads the answer from the solution: name its column with solution=…")
        if self.answer_from != "box" and self.answer is None:
            raise ValueError(f"answer_from={self.answer_from} needs the column of the answer: name it with answer=…")

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each row with its place, such as `train.jsonl, line 3`."""
        raise NotImplementedError

    def problems(self) -> list[Problem]:
        """Every row as a problem; one without an answer has an empty one, which the stage drops and counts."""
        found: list[Problem] = []
        places: dict[str, str] = {}
        copies: dict[str, int] = {}
        for place, row in bar(self.rows(), "reading", "row"):
            if self.limit is not None and len(found) == self.limit:
                break
            problem = self._problem(place, row)
            if self.id is None:  # the same question twice is a duplicate and no clash of ids
                copies[problem.id] = copy = copies.get(problem.id, 0) + 1
                problem = problem if copy == 1 else dataclasses.replace(problem, id=f"{problem.id}.{copy}")
            elif problem.id in places:
                raise UserError(
                    f"{place}: id {problem.id!r} is in {places[problem.id]} too; make it unique or set data.id=null"
                )
            places[problem.id] = place
            found.append(problem)
        return found

    def _problem(self, place: str, row: dict[str, Any]) -> Problem:
        question = _text(self._cell(place, row, "question", self.question))
        if not question:
            raise UserError(f"{place}: column {self.question!r} holds no question; fill it or remove the row")
        answer = (
            ""
            if self.answer is None or self.answer_from == "box"
            else _text(self._cell(place, row, "answer", self.answer))
        )
        solutions = self._solutions(place, row)
        if self.answer_from == "hashes":
            worked, mark, answer = answer.rpartition("####")
            if not mark:
                raise UserError(
                    f"{place}: column {self.answer!r} has no #### in it; set data.answer_from=column if it is plain"
                )
            answer = answer.strip().replace(",", "")
            solutions = (ANNOTATION.sub("", worked).strip(), *solutions)
        elif self.answer_from == "box":
            answer = next((held for s in solutions if (held := boxed(s))), "")
        solutions = tuple(filter(None, solutions))
        if self.box:
            solutions = tuple(s if boxed(s) is not None else f"{s}\n\\boxed{{{answer}}}" for s in solutions)
        name = (
            _text(self._cell(place, row, "id", self.id))
            if self.id
            else hashlib.sha256(question.encode()).hexdigest()[:12]
        )
        if not name:
            raise UserError(f"{place}: column {self.id!r} holds no id; fill it, or set data.id=null")
        meta = {column: self._cell(place, row, "meta", column) for column in self.meta}
        return Problem(id=name, question=question, gold=Gold(answer), solutions=solutions, meta=meta)

    def _solutions(self, place: str, row: dict[str, Any]) -> tuple[str, ...]:
        if self.solution is None or (self.answer_from == "hashes" and self.solution == self.answer):
            return ()
        held = self._cell(place, row, "solution", self.solution)
        return tuple(map(_text, held if isinstance(held, list | tuple) else [held]))

    def _cell(self, place: str, row: dict[str, Any], key: str, column: str) -> Any:
        if column not in row:
            raise UserError(
                f"{place}: no column {column!r} among {', '.join(map(str, row))}; name the right one with data.{key}=…"
            )
        return row[column]


def _text(value: Any) -> str:
    """A cell as text: 27.0 is 27, a list or an object is JSON, nothing is empty."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)).strip()


def paths(path: Path | tuple[Path, ...] | None) -> tuple[Path, ...]:
    """One path, several or none as a tuple; `~` is the home folder."""
    return tuple(p.expanduser() for p in (() if path is None else path if isinstance(path, tuple) else (path,)))


def absent(files: Iterable[Path]) -> list[str]:
    """One sentence for each file that is not there."""
    remedy = "give the path of a JSONL, JSON, CSV or Parquet file"
    return [
        f"data.path={file}: {'that is a folder' if file.is_dir() else 'no such file'}; {remedy}"
        for file in files
        if not file.is_file()
    ]
