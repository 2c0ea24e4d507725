"""What two runs of one config must share: the products of their stages, byte for byte, times and places aside."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from pathlib import Path

from limo.store import OF_THE_MAKING
from limo.store.digests import read_digest
from limo.tasks import made

OF_THE_TRACKERS = ("tensorboard", "wandb", "mlruns", "mlflow.db")
"""What loggers keep in a result, with times and names of their own."""
OF_THE_STEPS = ("step", "epoch", "loss", "lr", "grad_norm", "tokens", "supervised_tokens", "validation_loss")
"""Columns of `metrics.csv` without times."""

Products = dict[str, str]
"""Task -> the key of its result; file of a task -> digest."""


def products(run: Path) -> Products:
    """What the tasks in the folder of a run lead to, and every file there."""
    found = {}
    for task in made(run):
        result = (run / task).resolve()
        if (run / task).is_symlink():
            found[task] = f"{result.parent.name}/{result.name}"
        for file in result.rglob("*"):
            below = file.relative_to(result)
            if file.is_file() and file.name not in OF_THE_MAKING and below.parts[0] not in OF_THE_TRACKERS:
                found[f"{task}/{below.as_posix()}"] = digest(file)
    return found


def digest(file: Path) -> str:
    """SHA-256 of a product without what differs between two runs of one config: places and times."""
    if file.name == "metrics.csv":
        rows = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))
        content = repr([[row.get(name) for name in OF_THE_STEPS] for row in rows]).encode()
    elif file.name == "results.json":
        content = re.sub(rb'"[^"]*/(?=training/[0-9a-f]{20}/)', b'"', file.read_bytes())
    else:
        return read_digest(file)
    return hashlib.sha256(content).hexdigest()


def differences(found: Products, wanted: Products) -> list[str]:
    """Names of what is absent or other than it must be."""
    return sorted(name for name, value in wanted.items() if found.get(name) != value)
