"""How one model is spread over processes: one device, data parallel, or DeepSpeed ZeRO; each a member of `training/strategy`."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from limo import hardware
from limo.config import component
from limo.hardware import Gpu
from limo.optimizers import AdamW, Optimizer
from limo.placement import ranks, simplest
from limo.process import environment


@component
class Strategy:
    """What every way has in common."""

    name: ClassVar[str] = ""

    devices: int = 0
    """Processes on this machine, one GPU each; 0 takes every GPU, or one process where there is none."""
    nodes: int = 1
    """Machines, each with `devices` processes."""

    def __post_init__(self) -> None:
        if self.devices < 0 or self.nodes < 1:
            raise ValueError(f"devices={self.devices} must be 0 (all) or more and nodes={self.nodes} 1 or more")

    @property
    def ranks(self) -> int:
        """Processes on this machine."""
        return ranks(self.devices, len(hardware.gpus()))

    def missing(self) -> list[str]:
        """What this machine lacks for it, whatever the model, one sentence each."""
        given = os.environ.get("SLURM_JOB_NUM_NODES")
        if not given or self.nodes <= int(given):
            return []
        return [
            f"training.strategy.nodes={self.nodes}: this SLURM job has {given} node(s); "
            f"submit it with hydra.launcher.nodes={self.nodes}, or set it to {given}"
        ]

    def resolve(self, trained: int, frozen: int, devices: Sequence[Gpu] | None = None) -> Strategy:
        """The strategy that runs, for so many trained weights beside so many bytes of frozen ones, on this machine's GPUs or others."""
        return self

    def settings(self) -> dict[str, Any]:
        """DeepSpeed's `zero_optimization` block; empty without it."""
        return {}


@component
class Single(Strategy):
    """One process on one device."""

    name: ClassVar[str] = "single"

    def __post_init__(self) -> None:
        if self.devices > 1 or self.nodes > 1:
            raise ValueError(
                f"devices={self.devices}, nodes={self.nodes}: training/strategy=single is one process; choose ddp or zero2"
            )

    @property
    def ranks(self) -> int:
        return 1


@component
class Ddp(Strategy):
    """Every process holds the whole model; gradients are averaged (torch DistributedDataParallel)."""

    name: ClassVar[str] = "ddp"


@component
class Zero(Strategy):
    """DeepSpeed ZeRO: optimizer states (1), gradients (2) and weights (3) split over the processes."""

    stage: int
    offload_optimizer: bool = False
    """Optimizer states and update in main memory."""
    offload_weights: bool = False
    """Weights in main memory between uses; stage 3 only."""
    pin_memory: bool | None = None
    """Page-locked buffers for offloading, which copy several times faster; null has them where there are GPUs."""
    overlap_comm: bool | None = None
    """Messages while the backward pass goes on; null has it where there are GPUs."""
    gradients: Literal["bf16", "fp32"] = "bf16"
    """In which gradients are added over micro-batches and processes in mixed precision; fp32 is more exact (0.2 % of a gradient over a few
    micro-batches) and takes 2 bytes more a weight, split over the processes."""
    bucket: int = 200_000_000
    """Elements sent in one message."""
    persistence: int = 100_000
    """Stage 3 keeps weights smaller than this whole on every process."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage not in (1, 2, 3):
            raise ValueError(f"stage={self.stage} must be 1, 2 or 3")
        if self.offload_weights and self.stage != 3:
            raise ValueError(f"offload_weights=true needs stage=3, not {self.stage}")

        if self.gradients == "fp32" and self.stage == 1:
            raise ValueError("gradients=fp32 needs stage=2 or 3")

    def missing(self) -> list[str]:
        lacks = super().missing()
        if importlib.util.find_spec("deepspeed") is None:
            lacks.append(
                "training/strategy: DeepSpeed is not installed (it runs on Linux only); choose training/strategy=single or ddp"
            )
        return lacks

    def settings(self) -> dict[str, Any]:
        block: dict[str, Any] = {
            "stage": self.stage,
            "contiguous_gradients": True,
            "overlap_comm": _on_gpus(self.overlap_comm),
            "reduce_bucket_size": self.bucket,
        }
        away = {"device": "cpu", "pin_memory": _on_gpus(self.pin_memory)}
        block |= {"offload_optimizer": away} if self.offload_optimizer else {}
        block |= {"offload_param": away} if self.offload_weights else {}
        if self.stage == 3:
            few = self.persistence == 0
            block |= {
                "stage3_param_persistence_threshold": self.persistence,
                "stage3_gather_16bit_weights_on_model_save": False,
            }
            # with 0 nothing is kept or fetched ahead: tiny models then go through the same paths as large ones
            block |= (
                {"stage3_max_live_parameters": 0, "stage3_max_reuse_distance": 0, "stage3_prefetch_bucket_size": 0}
                if few
                else {}
            )
        else:
            block |= {"allgather_bucket_size": self.bucket}
        return block


def _on_gpus(asked: bool | None) -> bool:
    return bool(hardware.gpus()) if asked is None else asked


@component
class AutoStrategy(Strategy):
    """One device: single. Several: the simplest of ddp, ZeRO-2, ZeRO-3, ZeRO-3 with offload whose states fit the smallest GPU."""

    name: ClassVar[str] = "auto"

    def resolve(self, trained: int, frozen: int, devices: Sequence[Gpu] | None = None) -> Strategy:
        devices = hardware.gpus() if devices is None else devices
        processes = ranks(self.devices, len(devices)) * self.nodes
        if processes == 1:
            return Single()
        smallest = min((gpu.memory for gpu in devices), default=0)
        stage, offload = simplest(trained, frozen, processes, smallest)
        if not stage:
            return Ddp(devices=self.devices, nodes=self.nodes)
        return Zero(stage=stage, offload_optimizer=offload, devices=self.devices, nodes=self.nodes)


PLAIN = "optimizer={}: its states are in main memory and torch updates them there, more slowly than DeepSpeed's CPU Adam would"


def plain_update(optimizer: Optimizer) -> str | None:
    """Why states in main memory are updated by torch itself, one sentence; None where DeepSpeed's vectorised AdamW does it."""
    plain = PLAIN.format(optimizer.title)
    if not isinstance(optimizer, AdamW):
        return f"{plain}, which knows AdamW alone; optimizer=adamw takes it"
    path = environment()["PATH"]
    absent = [program for program in ("g++", "ninja") if shutil.which(program, path=path) is None]
    return f"{plain}; install {' and '.join(absent)}, which build it" if absent else None


def title(strategy: Strategy) -> str:
    """As the summary and the report call it."""
    if isinstance(strategy, Zero):
        return f"zero{strategy.stage}" + ("_offload" if strategy.offload_optimizer or strategy.offload_weights else "")
    return strategy.name
