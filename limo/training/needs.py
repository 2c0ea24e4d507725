"""Whether a training fits a machine, and what would make it fit: asked by the plan, by what refuses, and by the run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from limo.hardware import free_disk
from limo.models import Architecture, Model
from limo.optimizers import Optimizer
from limo.placement import ROOM, Disk, Footprint, Machine, Setup, disk, footprint, ranks
from limo.training.adapter import Lora
from limo.training.batches import uneven
from limo.training.recipe import Training
from limo.training.strategies import Single, Strategy, Zero, title

RECOMPUTE = "training.activation_checkpointing=true"
GIB = 2**30


@dataclass(frozen=True)
class Needs:
    """What a training of a model of this shape needs on a machine."""

    training: Training
    optimizer: Optimizer
    shape: Architecture
    eager: bool
    """Attention that writes its whole matrix down."""
    machine: Machine

    @cached_property
    def strategy(self) -> Strategy:
        """The one that runs there."""
        return self.training.resolve(self.shape, self.machine.gpus)

    @cached_property
    def setup(self) -> Setup:
        """The numbers that decide the memory."""
        asked, strategy, adapter = self.training, self.strategy, self.training.adapter
        zero = strategy if isinstance(strategy, Zero) else None
        local = 1 if isinstance(strategy, Single) else ranks(strategy.devices, len(self.machine.gpus))
        moments = self.optimizer.moments
        if asked.precision == "bf16-true" and zero is None and moments == 8.0:
            moments = 4.0  # they are of the weights' own type there
        return Setup(
            ranks=local * strategy.nodes,
            local=local,
            stage=zero.stage if zero else 0,
            offload_optimizer=zero is not None and zero.offload_optimizer,
            offload_weights=zero is not None and zero.offload_weights,
            precision=asked.precision,
            trained=asked.trained(self.shape) if adapter else None,
            frozen_bits=4 if adapter and adapter.quantize else 16,
            moments=moments,
            tokens=(asked.micro_batch or 1) * asked.max_length
            if asked.micro_batch
            else asked.max_tokens or asked.max_length,
            longest=asked.max_length,
            checkpointing=asked.activation_checkpointing,
            chunks=asked.logit_chunks,
            bucket=zero.bucket if zero else 0,
            wide=zero is not None and zero.gradients == "fp32",
            eager=self.eager,
        )

    @cached_property
    def memory(self) -> Footprint:
        """Bytes on each GPU, and in main memory."""
        return footprint(self.shape, self.setup)

    @property
    def disk(self) -> Disk:
        """Bytes of checkpoints and exported weights."""
        asked = self.training
        return disk(self.setup, self.shape.parameters, asked.trained(self.shape), asked.keep_checkpoints, asked.export)

    @property
    def room(self) -> float:
        """Bytes that one process may fill."""
        return self.machine.room(self.setup.local)

    @property
    def fits(self) -> bool:
        """Whether GPUs hold it, and main memory what is offloaded; without GPUs main memory holds all."""
        host = self.machine.memory * ROOM
        return (not self.room or self.memory.peak <= self.room) and (not host or self.memory.host <= host)

    def remedy(self) -> str | None:
        """The first overrides with which it fits, and the main memory they take; None where nothing helps."""
        for words, changed in _smaller(self.training, self.setup.ranks > 1):
            needs = replace(self, training=changed)
            if needs.fits:
                taken = needs.memory.host / GIB
                return words + (f" ({taken:,.0f} GiB of main memory a machine)" if taken else "")
        return None

    def lack(self) -> str | None:
        """One sentence where it does not fit, with what would make it fit; None where it does."""
        if self.fits:
            return None
        gpus, several, host = bool(self.machine.gpus), self.setup.local > 1, self.machine.memory * ROOM
        kind = ("GPU" if gpus else "process") + ("s" if gpus else "es") * several
        taken = f"{self.memory.peak / GIB:.1f} GiB on each of {self.setup.local} {kind} (of {self.room / GIB:.1f} that can be filled)"
        if self.memory.host:
            taken += f" and {self.memory.host / GIB:.1f} GiB of main memory" + (
                f" (of {host / GIB:.1f})" if host else ""
            )
        way, larger = self.remedy(), "take more or larger GPUs" if gpus else "run it where nvidia-smi shows GPUs"
        return (
            f"training needs about {taken} with training/strategy={title(self.strategy)}; "
            + (f"it fits with {way}" if way else f"{larger}, or take a smaller model")
            + "; training.check_memory=false tries it all the same"
        )


def lacks(
    training: Training, optimizer: Optimizer, model: Model, machine: Machine, folder: Path, free: int
) -> list[str]:
    """What a machine with `free` bytes of disk at `folder` lacks for a training, one sentence each."""
    shape = model.shape()
    found = model.outgrows("optimizer", optimizer.largest, "optimizer=adamw")
    found += model.outgrows("training", training.largest, "training=full or training=lora")
    strategy, gpus = training.resolve(shape, machine.gpus), len(machine.gpus)
    if gpus and strategy.devices > gpus:
        found.append(
            f"training.strategy.devices={strategy.devices}: this machine has {gpus} GPU(s); set it to that, or to 0 for all"
        )
    local = 1 if isinstance(strategy, Single) else ranks(strategy.devices, gpus)
    if lack := uneven(training.global_batch, local * strategy.nodes, training.micro_batch):
        found.append(lack)
    if training.adapter is not None and training.adapter.quantize and not gpus:
        found.append("training=qlora: 4-bit weights need a CUDA GPU; choose training=lora")
    if shape is not None:
        needs = Needs(training, optimizer, shape, model.attention == "eager", machine)
        every = [needs.disk.lack(folder, free), needs.lack() if training.check_memory else None]
        found += [lack for lack in every if lack]
    return found


def disk_lack(training: Training, optimizer: Optimizer, model: Model, folder: Path, weights: int) -> str | None:
    """One sentence where the disk of `folder` cannot hold what this machine's training writes there; None where it can.
    `weights` are counted where the architecture is not known.
    """
    if shape := model.shape():
        needed = Needs(training, optimizer, shape, False, Machine.here()).disk
    else:
        kept = Setup(precision=training.precision, moments=optimizer.moments)
        needed = disk(kept, weights, 0 if training.adapter else weights, training.keep_checkpoints, training.export)
    return needed.lack(folder, free_disk(folder))


def _smaller(asked: Training, several: bool) -> Iterator[tuple[str, Training]]:
    """Ways to make a training smaller, the least intrusive first: recomputation, ZeRO, offloading, adapters, 4-bit."""
    devices, nodes = asked.strategy.devices, asked.strategy.nodes

    def zero(stage: int, optimizer: bool = False, weights: bool = False) -> Zero:
        return Zero(stage=stage, offload_optimizer=optimizer, offload_weights=weights, devices=devices, nodes=nodes)

    ways: list[tuple[str, Training]] = [("", asked)]
    if several:
        ways += [(f"training/strategy=zero{n}", replace(asked, strategy=zero(n))) for n in (2, 3)]
    ways.append(("training/strategy=zero3_offload", replace(asked, strategy=zero(3, optimizer=True, weights=True))))
    if several:
        words = "training/strategy=zero3 training.strategy.offload_optimizer=true"
        ways.append((words, replace(asked, strategy=zero(3, optimizer=True))))
    ways = [
        one
        for words, way in ways
        for one in ((words, way), (f"{words} {RECOMPUTE}", replace(way, activation_checkpointing=True)))
    ]
    if asked.adapter is None:
        for kind, adapter, stage in (("lora", Lora(), 3), ("qlora", Lora(quantize="nf4"), 2)):
            strategy = zero(stage) if several else Single()
            words = f"training={kind} training/strategy={title(strategy)} {RECOMPUTE}"
            ways.append((words, replace(asked, adapter=adapter, strategy=strategy, activation_checkpointing=True)))
    yield from ((words.strip(), way) for words, way in ways if way != asked)
