"""This process among those of a training: its number, its threads, what its libraries may say."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass

import torch
import transformers
from torch.distributed.rendezvous import rendezvous

from limo.hardware import cores
from limo.process import die_with_parent

SMALL = 5_000_000
"""Weights below which threads cost more than they give: measured on the lab's base of 0.4 million."""
LOUD = ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "deepspeed", "DeepSpeed", "huggingface_hub")
KNOWN = (
    ".*does not have many workers.*",
    ".*dataloader is not resumable.*",
    ".*LeafSpec.*",
    ".*torch.distributed.*is deprecated.*",
    ".*Checkpoint directory .* exists.*",
    ".*no validation.*|.*val_dataloader.*",
)
"""Warnings that say nothing of a run."""


@dataclass(frozen=True)
class Ranks:
    """Which process this is, as torchrun numbers them; alone without it."""

    number: int
    count: int
    """Over all machines."""
    local: int
    """On this machine."""

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.number == 0

    @property
    def nodes(self) -> int:
        return max(1, self.count // self.local)

    def together(self, name: str, said: str) -> list[str]:
        """What each rank says under a name, by number, before they have a process group; all ranks must call it."""
        if self.count == 1:
            return [said]
        store, *_ = next(rendezvous("env://"))
        store.set(f"limo/{name}/{self.number}", f"={said}")
        return [store.get(f"limo/{name}/{number}").decode()[1:] for number in range(self.count)]


def enter() -> Ranks:
    """Which rank this process is, made quiet and mortal."""
    # torchrun gives its workers sessions of their own: killed hard, it would leave them writing into this folder
    if "TORCHELASTIC_RUN_ID" in os.environ:
        die_with_parent()
    _quiet()
    number, count, local = (os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    return Ranks(int(number or 0), int(count or 1), int(local or 1))


def share_threads(weights: int, local: int) -> None:
    """On a CPU: one thread for a model too small to share out, which also makes its result the same on any number of cores."""
    if torch.cuda.is_available():
        return
    if weights < SMALL:
        torch.set_num_threads(1)
    elif local > 1 or "OMP_NUM_THREADS" not in os.environ:  # torchrun sets it to 1 for its workers
        torch.set_num_threads(max(1, cores() // local))


def _quiet() -> None:
    """Keep the libraries' hints out of the log; what matters is said once, by us."""
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for message in KNOWN:
        warnings.filterwarnings("ignore", message=message)
