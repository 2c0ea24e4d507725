"""Bytes on disk that a training needs: its checkpoints while it runs, and the weights it exports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from limo.placement.memory import Setup, widths


@dataclass(frozen=True)
class Disk:
    """Bytes."""

    checkpoints: int
    """Those that are kept and the one that is written before the oldest goes."""
    exported: int

    @property
    def bytes(self) -> int:
        return self.checkpoints + self.exported

    def lack(self, folder: Path, free: int) -> str | None:
        """One sentence where the `free` bytes that can be had on the disk of `folder` are too few; None where they do."""
        if free >= self.bytes:
            return None
        return (
            f"training needs about {size(self.bytes)} of disk in {folder} (checkpoints and exported weights) and "
            f"{size(free)} can be had; free some, or set store=<folder on a larger disk>, training.keep_checkpoints=1, "
            "or training=lora"
        )


def checkpoint(setup: Setup, trained: int) -> int:
    """Bytes of one checkpoint: the trained weights as they are kept (under ZeRO-3 in the optimizer's float32 copy alone),
    that copy where there is one, and the moments.
    """
    kept, _, master = widths(setup)
    return int(trained * ((0 if setup.stage == 3 else kept) + master + setup.moments))


def disk(setup: Setup, weights: int, trained: int, keep: int, export: str) -> Disk:
    """What a training leaves on disk at its fullest, with `keep` checkpoints and `weights` exported as float32 or bfloat16."""
    return Disk(checkpoint(setup, trained) * (keep + 1), weights * (2 if export == "bfloat16" else 4))


def size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
