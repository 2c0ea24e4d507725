"""A training's folder between its processes: checkpoints that are whole, or seen not to be, and which weights were the best so far."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from limo import UserError
from limo.hardware import cores
from limo.records import read_record, write_record
from limo.training.ranks import Ranks

log = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
PREFIX = "step-"
STATE = "state"
"""Weights and optimizer in a checkpoint: a file, or under DeepSpeed a folder with files of every rank."""
METRICS = "metrics.csv"
"""The rows of the steps before it, in a checkpoint; of all, in a result."""
BEST = "best.json"
PIECE = 1 << 26
"""Bytes of a file that one thread digests; digests depend on it."""


@dataclasses.dataclass(frozen=True)
class Best:
    """The weights that `export_from=best` exports."""

    step: int
    loss: float
    """Validation loss, the lowest so far."""


@dataclasses.dataclass(frozen=True)
class Cut:
    """For which processes a checkpoint is cut: no others can go on from it."""

    strategy: str
    ranks: int


@dataclasses.dataclass(frozen=True)
class Share:
    """What one rank wrote of a checkpoint, `<rank>.json` in it: its manifest."""

    cut: Cut
    best: int | None
    """The step of the best weights when it was made."""
    files: dict[str, tuple[int, str]]
    """Path in the checkpoint -> bytes, digest."""


def found(folder: Path) -> list[Path]:
    """Checkpoints that were written to their end, oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())


def named(folder: Path, step: int) -> Path:
    """Where the checkpoint after so many optimizer steps stands."""
    return folder / f"{PREFIX}{step:08d}"


def step_of(checkpoint: Path) -> int:
    """After how many optimizer steps it was made."""
    return int(checkpoint.name.removeprefix(PREFIX))


def usable(folder: Path, cut: Cut, rank: Ranks) -> Path | None:
    """The newest checkpoint of a training that is whole; damaged ones are named and removed. All ranks must call it.

    Each rank looks at its own share. Raises UserError where one is cut for other processes.
    """
    now = best(folder)
    for checkpoint in reversed(found(folder / CHECKPOINTS)):
        flaws = rank.together(checkpoint.name, _flaw(checkpoint, cut, now, rank.number))
        if not (flaw := next(filter(None, flaws), "")):
            return checkpoint
        if rank.first:
            log.warning(f"checkpoint {checkpoint.name} is not used: {flaw}")
            remove(checkpoint)
    return None


def seal(checkpoint: Path, cut: Cut, now: Best | None, rank: Ranks) -> None:
    """Bring this rank's share of a checkpoint to the disk, and put down what it is. Each rank reads what it has just written."""
    written = [checkpoint / METRICS, checkpoint / STATE, *(checkpoint / STATE).rglob("*")]
    paths = [p for p in written if p.is_file() and _owner(p.name, cut.ranks) == rank.number]
    for path in paths:
        sync(path)
    files = {p.relative_to(checkpoint).as_posix(): (p.stat().st_size, digest(p)) for p in paths}
    write_record(_manifest(checkpoint, rank.number), Share(cut, now.step if now else None, files))
    for place in {checkpoint, *(p.parent for p in paths)}:
        sync(place)


def best(folder: Path) -> Best | None:
    """The best weights so far of the training in `folder`; None also where they, or what was said of them, are lost."""
    if not any((folder / name).is_dir() for name in ("best", "model")):
        return None
    try:
        return read_record(folder / BEST, Best)
    except UserError:
        return None


def write_best(folder: Path, now: Best) -> None:
    write_record(folder / BEST, now)


def remove(path: Path) -> None:
    """Take a file or folder away; a kill in the middle never leaves a folder that looks whole."""
    gone = path.with_name(path.name + ".gone")
    shutil.rmtree(gone, ignore_errors=True)
    if path.is_dir():
        path.rename(gone)
        shutil.rmtree(gone)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """SHA-256 over those of a file's pieces, which threads take together: checkpoints are hundreds of gigabytes."""

    def piece(start: int) -> bytes:
        total = hashlib.sha256()
        with path.open("rb", buffering=0) as handle:
            handle.seek(start)
            left = PIECE
            while left and (block := handle.read(min(left, 1 << 20))):
                total.update(block)
                left -= len(block)
        return total.digest()

    with ThreadPoolExecutor(min(8, cores())) as threads:
        return hashlib.sha256(b"".join(threads.map(piece, range(0, path.stat().st_size, PIECE)))).hexdigest()


def _flaw(checkpoint: Path, cut: Cut, now: Best | None, number: int) -> str:
    """What is wrong with a rank's share of a checkpoint; empty where nothing is."""
    try:
        first = read_record(_manifest(checkpoint, 0), Share)
    except UserError:
        return "its manifest cannot be read"
    if first.cut != cut:
        before, after = (dataclasses.asdict(c) for c in (first.cut, cut))
        raise UserError(
            f"{checkpoint.parents[1]}: this run was begun with {before} and would go on with {after}; "
            f"use the same, or delete its {CHECKPOINTS}/ to start over"
        )
    if first.best is not None and now is None:
        return f"the best weights, of step {first.best}, are gone"
    try:
        share = read_record(_manifest(checkpoint, number), Share)
        for name, (size, content) in share.files.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is gone"
            if path.stat().st_size != size:
                return f"{name} has {path.stat().st_size} of {size} bytes"
            if digest(path) != content:
                return f"{name} is not as it was written"
    except UserError:
        return "its manifest cannot be read"
    except OSError as error:
        return f"{error.filename or checkpoint}: {error.strerror}"
    return ""


def _manifest(checkpoint: Path, number: int) -> Path:
    return checkpoint / f"rank-{number:05d}.json"


def _owner(name: str, ranks: int) -> int:
    """Which rank digests a file: the one in whose name DeepSpeed wrote it, so that it reads what it has in memory."""
    told = re.search(r"pp_rank_(\d+)_", name)
    return int(told[1]) % ranks if told else 0
