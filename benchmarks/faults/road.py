"""The reference: a small run of the lab that nothing disturbs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from limo.products import Products, products

WORDS = (
    *("data.size=60", "selection.size=16", "attempts.lab.sampling.samples=2", "engine=transformers"),
    *("training.steps=12", "training.checkpoint_every=3", "evaluation.benchmarks.lab_main.limit=12"),
    *(f"~evaluation.benchmarks.lab_{name}" for name in ("easy", "hard", "long", "surface")),
    "hydra.run.dir=outputs/run",
)
EARLY = ("stages=[data,attempts,selection,training]",)
ZERO = (*EARLY, "training/strategy=zero2", "training.strategy.devices=2", "training.micro_batch=8")
RUN, STORE = Path("outputs/run"), Path("outputs/.store")


@dataclass(frozen=True)
class Road:
    """A command, and what it makes when nothing disturbs it."""

    words: tuple[str, ...]
    folder: Path
    """Where it ran."""
    products: Products


def command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "limo", *words]


def lay(words: tuple[str, ...], folder: Path, after: Road | None = None) -> Road:
    """Run a command where nothing disturbs it, beginning with the store of another where one is given."""
    if after:
        shutil.copytree(after.folder, folder, symlinks=True)
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command(words), cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        sys.exit(f"the run that nothing disturbs failed:\n{done.stdout.decode(errors='replace')}")
    return Road(words, folder, products(folder / RUN))


def environment(**extra: str) -> dict[str, str]:
    """One thread a process, as two faults are tried at a time."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "0"} | extra
