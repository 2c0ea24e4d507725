"""Content-addressed results of stages: a key, a lock, write-then-rename, a manifest. The same key is never computed twice."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from limo import UserError
from limo.records import Manifest, read_record, replacing, write_record

MANIFEST = "manifest.json"
BLOCK = 1 << 20
DIGEST = 64
"""Characters of a SHA-256."""


@dataclass(frozen=True)
class Store:
    """A folder of results: `<root>/<stage>/<key>/`, each complete and never changed once its manifest stands."""

    root: Path

    def prepare(self) -> None:
        """Make the folder. Raises UserError where it cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise self._unwritable(error) from None

    def find(self, stage: str, key: str) -> Path | None:
        """The finished result, or None; one that has lost a part, or its manifest's text, is not finished."""
        folder = self.root / stage / key
        try:
            parts = read_record(folder / MANIFEST, Manifest).digests
        except UserError:
            return None
        return folder if all((folder / name).exists() for name in parts) else None

    @contextmanager
    def building(self, stage: str, key: str) -> Iterator[tuple[Path, bool]]:
        """Hold the lock of a key: yields its folder and whether the result is there already.

        When it is not, the folder yielded is `<key>.partial`, with whatever an interrupted run left in it; call `finish`
        when the result is whole. A second run that asks for the same key waits here until the first is done.
        """
        parent = self.root / stage
        try:
            parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(parent / f"{key}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                print(f"{stage}: another run is making this result ({key}); waiting for it", flush=True)
                lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            done = self.find(stage, key)
            partial = parent / f"{key}.partial"
            if done is None:
                self._set_aside(parent / key)
                partial.mkdir(exist_ok=True)
            yield (done or partial), done is not None
        finally:
            lock.release()

    def finish(self, partial: Path, manifest: Manifest) -> Path:
        """Turn a partial folder into the result: digests, manifest, rename."""
        entries = sorted(p for p in partial.iterdir() if p.name != MANIFEST)
        whole = replace(manifest, digests={p.name: content_digest(p) for p in entries})
        write_record(partial / MANIFEST, whole)
        return partial.rename(partial.with_name(partial.name.removesuffix(".partial")))

    def _set_aside(self, damaged: Path) -> None:
        """Make room for a result whose folder is there and not whole."""
        if damaged.exists():
            aside = damaged.with_name(f"{damaged.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            damaged.rename(aside)
            print(f"{damaged.parent.name}: {damaged} is damaged; it is now {aside.name}, and is made again", flush=True)

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's or folder's content: from the manifest for a result, else computed once per (size, time)."""
        manifest = path.parent / MANIFEST
        if manifest.is_file() and self.root.resolve() in manifest.resolve().parents:
            digests = read_record(manifest, Manifest).digests
            if path.name in digests:
                return digests[path.name]
        if not path.exists():
            raise UserError(f"{path} does not exist; check the path, or run the stage that makes it")
        stamp = _stamp(path)
        cache = self.root / "digests" / f"{hashlib.sha256(f'{path.resolve()}{stamp}'.encode()).hexdigest()[:32]}"
        if cache.is_file() and len(known := cache.read_text()) == DIGEST:
            return known
        value = content_digest(path)
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            with replacing(cache) as fresh:  # never half of it, which would enter a key
                fresh.write_text(value)
        except OSError as error:
            raise self._unwritable(error) from None
        return value

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"store={self.root}: {error.strerror or error}; choose a writable folder with store=…")


def key_of(value: Any) -> str:
    """The key of a result: a hash of everything it depends on, as plain JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:20]


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files below a folder."""
    total = hashlib.sha256()
    for file in _files(path):
        if path.is_dir():
            total.update(f"{file.relative_to(path).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as handle:
            while block := handle.read(BLOCK):
                total.update(block)
    return total.hexdigest()


def _files(path: Path) -> list[Path]:
    """The file, or every file below a folder; what begins with a dot (times of a download, `.git`) is no content."""
    if not path.is_dir():
        return [path]
    below = ((p, p.relative_to(path).parts) for p in path.rglob("*") if p.is_file())
    return sorted(p for p, parts in below if not any(part.startswith(".") for part in parts))


def _stamp(path: Path) -> str:
    return "".join(f"{f}{s.st_size}{s.st_mtime_ns}" for f in _files(path) for s in [f.stat()])
