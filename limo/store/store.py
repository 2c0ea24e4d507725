"""Content-addressed results of stages: a key, a lock, write-then-rename, a manifest. The same key is never computed twice."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from limo import UserError
from limo.records import Manifest, Part, read_record, remove, write_record
from limo.store.digests import Digests, files, folder_digest

MANIFEST = "manifest.json"
DAMAGED = ".damaged"
PARTIAL = ".partial"
OF_THE_MAKING = {MANIFEST, "log.txt", "stage.json", "summary.json"}
"""Files of a result that hold times, versions and paths: how it was made, and not what it is."""


@dataclass(frozen=True)
class Store:
    """A folder of results: `<root>/<stage>/<key>/`, each complete and never changed once its manifest stands."""

    root: Path

    @property
    def digests(self) -> Digests:
        return Digests(self.root / "digests")

    def missing(self) -> list[str]:
        """One sentence where nothing can be added to the store."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            return [str(self._unwritable(error))]
        return []

    def find(self, stage: str, key: str) -> Path | None:
        """The finished result, or None; one that is not what was stored counts as unfinished. The time of its manifest says
        when it was last found, by which `prune` goes.
        """
        folder = self.root / stage / key
        if not folder.is_dir() or self.fault(folder) is not None:
            return None
        with suppress(OSError):  # a store that can only be read
            os.utime(folder / MANIFEST)
        return folder

    def fault(self, folder: Path) -> str | None:
        return fault(folder, self.digests)

    @contextmanager
    def building(self, stage: str, key: str) -> Iterator[tuple[Path, bool]]:
        """Hold the lock of a key: yields its folder and whether the result is there already.

        When it is not, the folder yielded is `<key>.partial`, with whatever an interrupted run left in it; call `finish`
        when the result is whole. A second run that asks for the same key waits here until the first is done. A result that
        is there needs no lock, so that a store that can only be read serves what it has.
        """
        if (done := self.find(stage, key)) is not None:
            yield done, True
            return
        parent = self.root / stage
        partial = parent / f"{key}{PARTIAL}"
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
            if (done := self.find(stage, key)) is None:
                try:
                    if (parent / key).exists():
                        set_aside(parent / key, self.fault(parent / key) or "")
                    partial.mkdir(exist_ok=True)
                except OSError as error:
                    raise self._unwritable(error) from None
            yield (done or partial), done is not None
        finally:
            lock.release()

    def finish(self, partial: Path, manifest: Manifest) -> Path:
        """Turn a partial folder into the result: all of it on the disk, the manifest last, then the rename."""
        for hidden in list(partial.rglob(".*")):  # half written by a process that was killed, on whichever machine
            remove(hidden)
        (partial / MANIFEST).unlink(missing_ok=True)
        parts = {}
        for file in files(partial):
            _sync(file)
            parts[file.relative_to(partial).as_posix()] = Part(file.stat().st_size, self.digests.of(file))
        write_record(partial / MANIFEST, replace(manifest, files=parts))
        for folder in [*(p for p in partial.rglob("*") if p.is_dir()), partial]:
            _sync(folder)
        result = partial.rename(partial.with_name(partial.name.removesuffix(PARTIAL)))
        _sync(result.parent)
        return result

    def digest(self, path: Path) -> str:
        """SHA-256 of a file's or folder's content: for a result or a part of one as its manifest says, which `find` has checked.

        A whole result is its products: the same, made at another time or place, has the same digest.
        """
        if (parts := self._parts(path)) is not None:
            return folder_digest({name: part.sha256 for name, part in parts.items() if name not in OF_THE_MAKING})
        if (parts := self._parts(path.parent)) is not None:
            below = f"{path.name}/"
            if path.name in parts:
                return parts[path.name].sha256
            if inside := {
                name.removeprefix(below): part.sha256 for name, part in parts.items() if name.startswith(below)
            }:
                return folder_digest(inside)
        if not path.exists():
            raise UserError(f"{path} does not exist; check the path, or run the stage that makes it")
        return self.digests.of(path)

    def _parts(self, result: Path) -> dict[str, Part] | None:
        """What the manifest of a result says was stored; None for other folders."""
        manifest = result / MANIFEST
        if manifest.is_file() and self.root.resolve() in manifest.resolve().parents:
            return read_record(manifest, Manifest).files
        return None

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"store={self.root}: {error.strerror or error}; choose a writable folder with store=…")


def fault(folder: Path, digests: Digests, largest: int | None = None) -> str | None:
    """What of a result is not what its manifest says was stored, None where all is; files of more than `largest` bytes
    count by name and size alone.
    """
    try:
        parts = read_record(folder / MANIFEST, Manifest).files
        for name, part in parts.items():
            if not (file := folder / name).is_file():
                return f"{name} is gone"
            if (size := file.stat().st_size) != part.bytes:
                return f"{name} has {size} bytes, {part.bytes} were stored"
            if (largest is None or part.bytes <= largest) and digests.of(file) != part.sha256:
                return f"{name} is not what was stored"
    except UserError:
        return f"its {MANIFEST} cannot be read"
    except OSError as error:
        return f"{Path(error.filename or folder).name}: {error.strerror}"
    return None


def set_aside(result: Path, why: str) -> Path:
    """Make room for a result that is not whole, and say so; what it was is kept."""
    aside = result.with_name(result.name + DAMAGED)
    shutil.rmtree(aside, ignore_errors=True)
    result.rename(aside)
    print(f"{result.parent.name}: {result} is damaged ({why}); it is now {aside.name}, to be made again", flush=True)
    return aside


def _sync(path: Path) -> None:
    """Have a file or folder on the disk, whatever happens to the power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def key_of(value: Any) -> str:
    """The key of a result: a hash of everything it depends on, as plain JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:20]
