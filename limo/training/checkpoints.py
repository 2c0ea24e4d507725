"""A training's folder between its processes: checkpoints that are whole or absent, and which weights were the best so far."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

from limo.records import write_json

CHECKPOINTS = "checkpoints"
PREFIX = "step-"
BEST = "best.json"


@dataclasses.dataclass(frozen=True)
class Best:
    """The weights that `export_from=best` exports."""

    step: int
    loss: float
    """Validation loss, the lowest so far."""


def found(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())


def named(folder: Path, step: int) -> Path:
    """Where the checkpoint after so many optimizer steps stands."""
    return folder / f"{PREFIX}{step:08d}"


def step_of(checkpoint: Path) -> int:
    """After how many optimizer steps it was made."""
    return int(checkpoint.name.removeprefix(PREFIX))


def best(folder: Path) -> Best | None:
    """The best weights so far of the training in `folder`."""
    path = folder / BEST
    return Best(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def write_best(folder: Path, now: Best) -> None:
    write_json(folder / BEST, dataclasses.asdict(now))


def remove(path: Path) -> None:
    """Take a file or folder away; a kill in the middle never leaves a folder that looks whole."""
    gone = path.with_name(path.name + ".gone")
    shutil.rmtree(gone, ignore_errors=True)
    if path.is_dir():
        path.rename(gone)
        shutil.rmtree(gone)
    else:
        path.unlink(missing_ok=True)
