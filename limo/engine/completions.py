"""The log of everything a model has answered: one append-only file per weights and engine, one line per answer."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

from filelock import FileLock, Timeout

from limo import UserError
from limo.engine.protocol import Completion, Request

SYNC_SECONDS = 2.0
HEAD = b'{"key": "'


Key = tuple[str, int]
"""A hash of what decides an answer, and how many tokens it may have at most."""


def key_of(request: Request) -> Key:
    """The key of an answer. A greedy one does not depend on its seed, and none on its limit but where it is cut."""
    drawn = [request.seed, request.temperature, request.top_p, request.top_k] if request.temperature > 0 else None
    return hashlib.sha256(json.dumps([request.prompt, drawn]).encode()).hexdigest()[:32], request.max_tokens


class Completions:
    """The log at `path`: lines `{"key", "limit", "text", "finish", "tokens", "check"}` and, where a run began to write, `{"about"}`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        """Answers that `find` looked for and saw only damaged."""

    def find(self, keys: set[Key]) -> dict[Key, Completion]:
        """The answers that are there, as they were written: a line whose check does not fit it is no answer.

        One that ended by itself is an answer under every limit that has room for it, one that was cut under its own alone.
        A last line without its newline (a run was killed) counts as not there.
        """
        limits: dict[str, list[int]] = {}
        for code, limit in keys:
            limits.setdefault(code, []).append(limit)
        found: dict[Key, Completion] = {}
        damaged: set[str] = set()
        for line in self._lines():
            code = line[len(HEAD) : len(HEAD) + 32].decode(errors="replace")
            if line.startswith(HEAD) and code in limits and line.endswith(b"\n"):
                if (kept := _checked(line)) is None:
                    damaged.add(code)
                    continue
                completion, made = kept
                whole = completion.tokens if completion.finish == "stop" else math.inf
                found |= {(code, n): completion for n in limits[code] if n == made or n >= whole}
        self.damaged = len({key for key in keys if key[0] in damaged} - found.keys())
        return found

    @contextmanager
    def writing(self, about: dict[str, object], waiting: str) -> Iterator[Writer]:
        """Hold the log for appending: one run at a time, others wait here after saying `waiting`."""
        with reported(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path.with_suffix(".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                print(waiting, flush=True)
                lock.acquire()
        try:
            with reported(self.path):
                handle = self.path.open("ab", buffering=0)
            with handle:
                with reported(self.path):
                    self._drop_torn_line()
                try:
                    yield Writer(self.path, handle, about)
                finally:
                    with reported(self.path):
                        os.fsync(handle.fileno())
        finally:
            lock.release()

    def _lines(self) -> Iterator[bytes]:
        try:
            handle = self.path.open("rb")
        except FileNotFoundError:
            return
        with handle:
            yield from handle

    def _drop_torn_line(self) -> None:
        size = self.path.stat().st_size
        with self.path.open("r+b") as handle:
            end = size
            while end > 0:
                start = max(0, end - 65536)
                handle.seek(start)
                place = handle.read(end - start).rfind(b"\n")
                if place >= 0:
                    end = start + place + 1
                    break
                end = start
            if end < size:
                handle.truncate(end)


class Writer:
    """Appends answers to a log that is held."""

    def __init__(self, path: Path, handle: RawIOBase, about: dict[str, object]) -> None:
        self.path, self.handle = path, handle
        self.about: dict[str, object] | None = about
        """Said before the first answer."""
        self.synced = 0.0

    def append(self, key: Key, completion: Completion) -> None:
        """Add an answer; it is on disk, whatever happens to this process."""
        if self.about is not None:
            self._write({"about": self.about})
            self.about = None
        text = completion.text.encode(errors="replace").decode()  # half a pair of surrogates cannot be written
        code, limit = key
        row = {"key": code, "limit": limit, "text": text, "finish": completion.finish, "tokens": completion.tokens}
        self._write(row | {"check": check_of(row)})

    def _write(self, row: dict[str, object]) -> None:
        line = memoryview((json.dumps(row, ensure_ascii=False) + "\n").encode(errors="replace"))
        with reported(self.path):
            while line:  # a raw write may take a part only
                line = line[self.handle.write(line) or 0 :]
            if time.monotonic() - self.synced > SYNC_SECONDS:
                os.fsync(self.handle.fileno())
                self.synced = time.monotonic()


def check_of(row: dict[str, object]) -> str:
    """A short hash of an answer's line, by which damage and edits are seen."""
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()[:16]


def _checked(line: bytes) -> tuple[Completion, int] | None:
    """The answer of a line and the limit that it was made under, or None where it is not what was written."""
    try:
        row = json.loads(line)
        check = row.pop("check")
        completion = Completion(text=row["text"], finish=row["finish"], tokens=row["tokens"])
        limit = int(row["limit"])
    except (ValueError, KeyError):
        return None
    return (completion, limit) if check == check_of(row) else None


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn a failure of the disk into one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror or error}; what was answered is kept; make room and run again"
        ) from None
