"""Where the rows of a benchmark come from: a pinned file of a public repository, or the same file on this machine;
checked when read."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import field
from pathlib import Path
from typing import Any

from limo import UserError
from limo.config import component, runtime
from limo.data.files import FORMATS, read
from limo.data.source import Row
from limo.evaluation.hub import Remote
from limo.records import Gold, Problem, rows

log = logging.getLogger(__name__)


@component
class Source:
    """A JSONL file of questions with answers. A local file comes before the hub; either way its rows are checked by
    count and digest."""

    hub: str | None = None
    """`github:<owner>/<name>`, or `<owner>/<name>` for a data set of the Hugging Face hub."""
    revision: str | None = None
    """Commit of the repository; a hub needs one, so that the benchmark cannot change silently."""
    remote: str | None = None
    """Path of the file in the repository: JSONL, JSON, CSV or Parquet."""
    file: str | None = None
    """Name of the file in a local folder of benchmarks (`evaluation.data_dir`)."""
    path: Path | None = runtime(default=None)
    """A local file, before any other place; set by `path` of the benchmark."""
    folder: Path | None = runtime(default=None)
    """A local folder of benchmarks that holds `file`; set by `evaluation.data_dir`."""
    beside: str | None = None
    """A second JSONL file, used where it lies beside the first: more columns, joined by id."""
    id: str | None = None
    """Column of the question's id; None numbers the rows from 0."""
    question: str = "question"
    """Column of the question."""
    answer: str = "answer"
    """Column of the right answer."""
    after: str | None = None
    """The answer is what follows the last of these marks (GSM8K: `####`); None takes the whole column."""
    extra: dict[str, str] = field(default_factory=dict)
    """Further columns that a repair of the gold answer reads: the name it goes by there -> column."""
    rows: int | None = None
    """How many rows there must be."""
    digest: str | None = None
    """What `limo.evaluation.source.rows_digest` must give for the rows; None checks nothing."""

    def __post_init__(self) -> None:
        if self.hub and not (self.revision and self.remote):
            raise ValueError(f"hub={self.hub} needs a revision (commit) and remote (path in the repository)")

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """By content, wherever the rows lie: a checked digest, else the local file, else the commit of the hub."""
        local = self._local()
        content = self.digest or (digest(local) if local else f"{self.hub}@{self.revision}/{self.remote}")
        more = self._beside(local)
        names = {
            "id": self.id,
            "question": self.question,
            "answer": self.answer,
            "after": self.after,
            "extra": self.extra,
        }
        return {"content": content, "beside": digest(more) if more else None, **names}

    def missing(self) -> list[str]:
        """Why the rows cannot be read here, in one sentence; asks the network only for files not fetched before."""
        local = self._local()
        if local is not None:
            if local.is_file():
                return []
            if self.path is None:
                return [f"{self.folder} holds no {self.file}; put it there, or set this benchmark's path to the file"]
            return [f"{local} does not exist; set this benchmark's path to its JSONL file"]
        if not self.hub:
            by_name = f"evaluation.data_dir to the folder of {self.file}, or " if self.file else ""
            return [f"its rows are in a local file; set {by_name}this benchmark's path to the file"]
        if self._remote().cached() or self._remote().reachable():
            return []
        remote, commit = Path(str(self.remote)), str(self.revision)[:12]
        folder = (
            remote.parents[1]
            if self.file and remote.parts[-2:] == (Path(self.file).stem, "test.jsonl")
            else remote.parent
        )
        return [
            f"{self.hub} cannot be reached; fetch its commit {commit} where there is network, and set evaluation.data_dir to "
            f"its folder {folder}, or this benchmark's path to the file"
        ]

    def problems(self) -> list[Problem]:
        """The rows as problems, in order, with the answers as the file has them."""
        return [row.problem for row in self.located()]

    def located(self) -> list[Row]:
        """The rows in order, each with its problem, file and line, and the columns of `extra`.

        Raises UserError naming file and line: a column that is not there, an id twice, an empty question or answer, a
        wrong count, a changed row.
        """
        path = self._local() or self._remote().fetch()
        if not path.is_file():
            raise UserError(self.missing()[0])
        beside = self._beside(path)
        more = {str(row[self.id]): row for _, row in _rows(beside) if self.id in row} if beside and self.id else {}
        found: list[Row] = []
        contents: list[Any] = []
        seen: dict[str, str] = {}
        for where, row in _rows(path):
            read_, content = self._row(row, len(found), where, more)
            if (id_ := read_.problem.id) in seen:
                raise UserError(f"{where}: id {id_} stands in {seen[id_]} too; ids must differ")
            seen[id_] = where.removeprefix(f"{path}, ")
            found.append(read_)
            contents.append(content)
        self._check(path, contents)
        return found

    def _row(
        self, row: dict[str, Any], index: int, where: str, more: dict[str, dict[str, Any]]
    ) -> tuple[Row, list[Any]]:
        for name in ("id", "question", "answer"):
            if (column := getattr(self, name)) is not None and column not in row:
                raise UserError(
                    f"{where}: no column {column!r}; set this benchmark's source.{name} to the one that holds it"
                )
        id_ = str(index if self.id is None else row[self.id])
        question, right = row[self.question], row[self.answer]
        if not isinstance(question, str) or not question.strip():
            raise UserError(f"{where}: column {self.question!r} holds no question; mend or remove the row")
        content = [id_, question, right, {k: row[c] for k, c in sorted(self.extra.items()) if c in row}]
        if self.after is not None:
            if not isinstance(right, str) or self.after not in right:
                raise UserError(
                    f"{where}: column {self.answer!r} has no {self.after!r} before its answer; set source.after to the mark"
                )
            right = right.rpartition(self.after)[2].strip()
        if (
            right is None
            or isinstance(right, bool)
            or right in ("", [], {})
            or (isinstance(right, str) and not right.strip())
        ):
            raise UserError(f"{where}: column {self.answer!r} holds no answer ({right!r}); mend or remove the row")
        both = {**more.get(id_, {}), **row}
        columns = {k: both[c] for k, c in self.extra.items() if c in both}
        return Row(where, Problem(id_, question, gold(right)), columns), content

    def _check(self, path: Path, contents: list[Any]) -> None:
        if self.rows is not None and len(contents) != self.rows:
            raise UserError(
                f"{path}: {len(contents)} rows, not {self.rows}; take the original file, or change source.rows"
            )
        found = rows_digest(contents)
        if self.digest is None:
            log.info(f"{path}: not checked; source.digest={found} would refuse a changed row")
        elif found != self.digest:
            raise UserError(
                f"{path}: {_changed(contents, self.digest)} (digest {found}, not {self.digest}); take the original "
                "file, or set this benchmark's source.digest to the new digest (null checks nothing)"
            )

    def _local(self) -> Path | None:
        """The local file that would be read, there or not; None where only a hub is given."""
        if self.path is not None:
            return self.path.expanduser()
        if self.folder is None or self.file is None:
            return None
        folder, name = self.folder.expanduser(), Path(self.file)
        nested = folder / name.stem / "test.jsonl"  # as in the evaluation folder of LIMO's repository
        return nested if nested.is_file() and not (folder / name).is_file() else folder / name

    def _beside(self, path: Path | None) -> Path | None:
        more = path.parent / self.beside if path and self.beside else None
        return more if more and more.is_file() else None

    def _remote(self) -> Remote:
        if not (self.hub and self.revision and self.remote):
            raise UserError(self.missing()[0])
        return Remote(self.hub, self.revision, self.remote)


def gold(value: Any) -> Gold:
    """The answer as a file has it: a text, a number, several of them, or parts by name."""
    if isinstance(value, list):
        return Gold([str(part) for part in value], published=str(value))
    if isinstance(value, dict):
        return Gold({str(name): str(part) for name, part in value.items()}, published=str(value))
    return Gold(str(value))


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a file, each with its place; some repositories name a file of JSON lines `.json`."""
    if path.suffix not in FORMATS:
        raise UserError(f"{path}: the ending {path.suffix!r} is none of {', '.join(FORMATS)}; convert the file")
    if path.suffix == ".json" and path.open(encoding="utf-8").read(100).lstrip().startswith("{"):
        return ((f"{path}, line {number}", row) for number, row in rows(path))
    return read(path)


def rows_digest(contents: list[Any]) -> str:
    """Digest of rows `[id, question, answer, extra columns]` in their order: 32 hexadecimal digits of a SHA-256."""
    total = hashlib.sha256()
    for line in _lines(contents):
        total.update(line)
    return total.hexdigest()[:32]


def _lines(contents: list[Any]) -> Iterator[bytes]:
    for content in contents:
        yield (json.dumps(content, ensure_ascii=False, sort_keys=True, default=str) + "\n").encode()


def _changed(contents: list[Any], digest: str) -> str:
    """Which rows differ from the known ones, where their single digests ship with the package."""
    known = json.loads(Path(__file__).with_name("rows.json").read_text(encoding="utf-8")).get(digest)
    if known is None:
        return "a row was changed"
    width = len(known) // len(contents) if len(known) % len(contents) == 0 else 0
    marks = [hashlib.sha256(line).hexdigest()[:width] for line in _lines(contents)]
    changed = [i + 1 for i, mark in enumerate(marks) if mark != known[i * width : (i + 1) * width]]
    if not changed or len(changed) > 5:
        return f"{len(changed) or 'some'} rows were changed"
    return f"line {', '.join(map(str, changed))} was changed"
