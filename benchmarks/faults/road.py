"""The reference: a small run of the lab that nothing disturbs, and what makes two runs the same."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS = (
    *("data.size=60", "selection.size=16", "attempts.lab.sampling.samples=2", "engine=transformers"),
    *("training.steps=12", "training.checkpoint_every=3", "evaluation.benchmarks.lab_main.limit=12"),
    *(f"~evaluation.benchmarks.lab_{name}" for name in ("easy", "hard", "long", "surface")),
    "hydra.run.dir=outputs/run",
)
EARLY = ("stages=[data,attempts,selection,training]",)
ZERO = (*EARLY, "training/strategy=zero2", "training.strategy.devices=2", "training.micro_batch=8")
RUN, STORE = Path("outputs/run"), Path("outputs/.store")
OF_THE_MAKING = {"log.txt", "manifest.json", "stage.json", "summary.json"}
"""Files of a result that hold times, versions and paths."""
OF_THE_STEPS = ("step", "epoch", "loss", "lr", "grad_norm", "tokens", "supervised_tokens", "validation_loss")
"""Columns of `metrics.csv` without times."""

Products = dict[str, str]
"""Task -> the key of its result; file of a task -> digest."""


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
    return Road(words, folder, products(folder))


def environment(**extra: str) -> dict[str, str]:
    """One thread a process, as two faults are tried at a time."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "0"} | extra


def products(folder: Path, run: Path = RUN) -> Products:
    """What the links of a run folder lead to, and every file there."""
    found = {}
    for link in (link for link in (folder / run).rglob("*") if link.is_symlink()):
        task, result = link.relative_to(folder / run).as_posix(), link.resolve()
        found[task] = f"{result.parent.name}/{result.name}"
        for file in result.rglob("*"):
            if file.is_file() and file.name not in OF_THE_MAKING:
                found[f"{task}/{file.relative_to(result).as_posix()}"] = digest(file)
    return found


def digest(file: Path) -> str:
    """SHA-256 of a product without what differs between two runs of one command: places and times."""
    content = file.read_bytes()
    if file.name == "metrics.csv":
        rows = csv.DictReader(io.StringIO(content.decode()))
        content = repr([[row[name] for name in OF_THE_STEPS] for row in rows]).encode()
    elif file.name == "results.json":
        content = re.sub(rb'"[^"]*/\.store/', b'"', content)
    return hashlib.sha256(content).hexdigest()


def differences(found: Products, wanted: Products) -> list[str]:
    """Names of what is absent or other than it must be."""
    return sorted(name for name, value in wanted.items() if found.get(name) != value)
