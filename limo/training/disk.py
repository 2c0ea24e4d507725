"""Room on the disk for checkpoints and exported weights, asked before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from limo.hardware import free_disk

if TYPE_CHECKING:
    from limo.training.recipe import Training

ADAPTED = 50
"""One weight in so many is trained, at most, under an adapter."""


def need(training: Training, weights: int) -> int:
    """Bytes: the checkpoints kept and one being written (weights, float32 copy, two moments), and the exported weights."""
    trained = weights if training.adapter is None else weights // ADAPTED
    state = 12 if training.precision == "32-true" else 14
    return trained * state * (training.keep_checkpoints + 1) + weights * (2 if training.export == "bfloat16" else 4)


def lacking(folder: Path, training: Training, weights: int) -> str | None:
    """One sentence where the disk of `folder` cannot hold what the training writes; None where it can."""
    wanted, free = need(training, weights), free_disk(folder)
    if free >= wanted:
        return None
    return (
        f"training needs about {wanted / 2**30:.1f} GiB of disk in {folder} (checkpoints and exported weights) and {free / 2**30:.1f} GiB "
        "are free; free some, or set store=<folder on a larger disk>, training.keep_checkpoints=1, or training=lora"
    )
