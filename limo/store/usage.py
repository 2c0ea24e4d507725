"""What a store holds, what of it runs use, and how to remove what none does."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from limo.store.store import DAMAGED, MANIFEST, PARTIAL

GONE = ".gone"
"""Ends the name of what is being removed."""
RESULT = re.compile(rf"[0-9a-f]{{20}}({'|'.join(map(re.escape, (PARTIAL, DAMAGED, GONE)))})?")

KEYED = re.compile(r"[0-9a-f]{20,}(\..+)?")
"""Any name in a folder of a store: of a result, its lock, completions, the digest of a file."""


@dataclass(frozen=True)
class Held:
    """A result of a store, or what is to become one or was."""

    path: Path
    bytes: int
    used: float
    """Unix time when it was last made, found by a run or written to."""
    runs: tuple[Path, ...]
    """Folders of the runs that link to it."""

    @property
    def stage(self) -> str:
        return self.path.parent.name

    @property
    def kind(self) -> str:
        """`""` for a result, else `.partial`, `.damaged` or `.gone`."""
        return self.path.suffix

    @property
    def name(self) -> str:
        return f"{self.stage}/{self.path.name}"


def is_store(folder: Path) -> bool:
    """Whether a folder holds what a store does: results, and what is kept between runs, by stage and key."""
    return any(KEYED.fullmatch(path.name) for path in folder.glob("*/*"))


def held(root: Path, below: Iterable[Path]) -> list[Held]:
    """Every result of a store, by stage and key, with the runs at or below some folders that use it."""
    runs = _links(root.resolve(), below)
    found = []
    for path in sorted(p for p in root.resolve().glob("*/*") if p.is_dir() and RESULT.fullmatch(p.name)):
        size, written = _size(path)
        manifest = path / MANIFEST
        used = manifest.stat().st_mtime if not path.suffix and manifest.is_file() else written
        found.append(Held(path, size, used, tuple(runs.get(path, ()))))
    return found


def beside(root: Path) -> dict[str, int]:
    """What stages keep between runs: name of the folder -> bytes. Results are not counted."""
    folders = [p for p in sorted(root.iterdir()) if p.is_dir()]
    kept = {p.name: [c for c in p.iterdir() if not (c.suffix == ".lock" or RESULT.fullmatch(c.name))] for p in folders}
    return {name: sum(_size(child)[0] for child in children) for name, children in kept.items() if children}


def unused(results: Iterable[Held], before: float, unfinished: bool) -> list[Held]:
    """What no run uses since a time: results, what was set aside, and with `unfinished` what was broken off."""
    return [one for one in results if not one.runs and one.used < before and (unfinished or one.kind != PARTIAL)]


def remove(one: Held) -> str | None:
    """Remove a result unless a run is making it, or used it meanwhile; why it stays, None where it is gone."""
    key = one.path.name.removesuffix(one.kind)
    try:
        with FileLock(one.path.parent / f"{key}.lock", timeout=0):
            if not one.path.is_dir():
                return "it is gone already"
            manifest = one.path / MANIFEST
            if manifest.is_file() and manifest.stat().st_mtime > one.used:
                return "a run has just used it"
            gone = one.path if one.kind == GONE else one.path.with_name(one.path.name + GONE)
            if gone != one.path and gone.is_dir():
                shutil.rmtree(gone)
            shutil.rmtree(one.path.rename(gone))  # under another name first: half removed, it must read as no result
    except Timeout:
        return "a run is making it"
    except OSError as error:
        return f"{error.strerror}"
    return None


def _links(root: Path, below: Iterable[Path]) -> dict[Path, list[Path]]:
    """Result -> the runs whose folders link to it."""
    found: dict[Path, list[Path]] = defaultdict(list)
    for link in (link for top in below for link in _symlinks(top)):
        target = link.resolve()
        run = next((p for p in link.parents if (p / "run.json").is_file()), link.parent)
        if target.parent.parent == root and run not in found[target]:
            found[target].append(run)
    return found


def _symlinks(top: Path) -> Iterator[Path]:
    """Links to folders below one, in order; hidden folders, a store among them, are passed over."""
    for place, names, _ in os.walk(top):
        yield from (Path(place, name) for name in sorted(names) if Path(place, name).is_symlink())
        names[:] = sorted(name for name in names if not name.startswith("."))


def _size(path: Path) -> tuple[int, float]:
    """Bytes of a file or a folder, and when it was last written to."""
    paths = [path, *path.rglob("*")] if path.is_dir() else [path]
    stats = [p.lstat() for p in paths]
    return sum(s.st_size for p, s in zip(paths, stats, strict=True) if not p.is_dir()), max(s.st_mtime for s in stats)
