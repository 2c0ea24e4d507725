"""SHA-256 of files and folders. Large files are read once: a memory on disk keeps what their inode, size and times stood for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from limo.records import replacing

SMALL = 1 << 24
"""Bytes of a file that is read anew by every process rather than remembered on disk."""


@dataclass(frozen=True)
class Digests:
    """The digests of files, remembered in a folder that may be lost, damaged or read-only; without one, all are read."""

    memory: Path | None = None

    def of(self, path: Path) -> str:
        """Of a file, or of a folder by the names and contents of its files."""
        if not path.is_dir():
            return self._file(path)
        return folder_digest({file.relative_to(path).as_posix(): self._file(file) for file in files(path)})

    def _file(self, path: Path) -> str:
        known = path.stat()
        # a change that keeps size and time of a file still moves its ctime; a copy has an inode of its own
        stamp = (known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns)
        if known.st_size <= SMALL or self.memory is None:
            return _read_once(path.resolve(), stamp)
        place = self.memory / _sha(" ".join(map(str, stamp)))[:32]
        with suppress(OSError, ValueError):
            digest, check = place.read_text(encoding="ascii").split()
            if check == _sha(digest):
                return digest
        digest = read_digest(path)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            with replacing(place) as fresh:
                fresh.write_text(f"{digest} {_sha(digest)}", encoding="ascii")
        return digest


@lru_cache(maxsize=4096)
def _read_once(path: Path, stamp: tuple[int, ...]) -> str:
    return read_digest(path)


def read_digest(path: Path) -> str:
    """SHA-256 of a file as it is now."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def content_digest(path: Path) -> str:
    """SHA-256 of a file or folder as it is now, whatever is remembered of it."""
    if not path.is_dir():
        return read_digest(path)
    return folder_digest({file.relative_to(path).as_posix(): read_digest(file) for file in files(path)})


def folder_digest(parts: Mapping[str, str]) -> str:
    """The digest of a folder from those of its files, by path below it."""
    return _sha("".join(f"{name}\0{parts[name]}\n" for name in sorted(parts)))


def files(path: Path) -> list[Path]:
    """Every file below a folder; what begins with a dot (times of a download, `.git`) is no content."""
    below = ((p, p.relative_to(path).parts) for p in path.rglob("*") if p.is_file())
    return sorted(p for p, parts in below if not any(part.startswith(".") for part in parts))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
