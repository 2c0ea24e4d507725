"""The training of a plan: steps, tokens, memory, hours, and what would make it fit where it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from limo.config import Config
from limo.models import Architecture
from limo.plan import cost, memory
from limo.plan.amounts import Amounts
from limo.plan.machine import Machine
from limo.plan.memory import Footprint, Setup
from limo.training import Lora
from limo.training.strategies import Single, Strategy, Zero, title

MOMENTS = {"AdamW8bit": 2.0, "Adafactor": 0.1, "Muon": 5.0}
"""Bytes of optimizer state per weight, by class; AdamW's two float32 moments for any other."""


@dataclass(frozen=True)
class Training:
    """The training of a run."""

    strategy: str
    setup: Setup
    needs: Footprint
    fits: bool
    steps: int | None
    """Optimizer steps; None where the number of examples is not known."""
    tokens: float | None
    """Through the model, over all epochs."""
    hours: float | None
    """GPU hours."""
    instead: str | None
    """Overrides with which it would fit, where it does not."""


def training(config: Config, shape: Architecture, machine: Machine, sizes: Amounts) -> Training:
    """The training of a config on a machine."""
    asked, width = config.training, config.training.trained(shape)
    strategy = asked.resolve(shape, machine.gpus)
    values = setup(config, shape, machine, sizes.longest, strategy)
    needs = memory.footprint(shape, values)
    ok = fits(needs, machine)
    steps, tokens, hours = asked.steps, None, None
    if sizes.examples is not None:
        if steps is None:
            steps = -(-sizes.examples // asked.global_batch) * (asked.epochs or 0)
        seen = sizes.examples * asked.epochs if asked.epochs else steps * min(asked.global_batch, sizes.examples)
        tokens = seen * sizes.length
        work = cost.training_flops(shape, tokens, sizes.length, asked.adapter is None)
        seconds = work / (machine.chip.flops * (1.0 if machine.cpu else cost.USE))
        hours = (seconds + steps * cost.offloading(values, width) * values.ranks) / 3600
    instead = None if ok else remedy(config, shape, machine, sizes.longest)
    return Training(title(strategy), values, needs, ok, steps, tokens, hours, instead)


def setup(
    config: Config, shape: Architecture, machine: Machine, longest: int | None, strategy: Strategy | None = None
) -> Setup:
    """The numbers that decide the memory of this training with a strategy (its own where none is given)."""
    asked, width = config.training, config.training.trained(shape)
    adapter = asked.adapter
    strategy = strategy or asked.resolve(shape, machine.gpus)
    zero = strategy if isinstance(strategy, Zero) else None
    local = 1 if isinstance(strategy, Single) else strategy.devices or machine.count
    length = min(asked.max_length, longest or asked.max_length)
    moments = MOMENTS.get(type(config.optimizer).__name__, 8.0)
    if asked.precision == "bf16-true" and zero is None and moments == 8.0:
        moments = 4.0
    return Setup(
        ranks=local * strategy.nodes,
        local=local,
        stage=zero.stage if zero else 0,
        offload_optimizer=zero.offload_optimizer if zero else False,
        offload_weights=zero.offload_weights if zero else False,
        precision=asked.precision,
        trained=width if adapter else None,
        frozen_bits=4 if adapter and adapter.quantize else 16,
        moments=moments,
        tokens=asked.micro_batch * length if asked.micro_batch else asked.max_tokens or asked.max_length,
        longest=length,
        checkpointing=asked.activation_checkpointing,
        chunks=asked.logit_chunks,
        bucket=zero.bucket if zero else 0,
        eager=config.model.attention == "eager",
    )


def fits(needs: Footprint, machine: Machine) -> bool:
    """Whether the accelerator, and main memory where something is offloaded to it, hold the training."""
    return needs.peak <= machine.room and (not machine.host or needs.host <= machine.host * cost.ROOM)


def remedy(config: Config, shape: Architecture, machine: Machine, longest: int | None) -> str | None:
    """The first overrides with which the training fits, and the main memory they take; None where nothing helps."""
    for words, changed in alternatives(config, machine):
        needs = memory.footprint(shape, setup(changed, shape, machine, longest))
        if fits(needs, machine):
            return words + (f" ({needs.host / 2**30:,.0f} GiB of main memory a machine)" if needs.host else "")
    return None


def alternatives(config: Config, machine: Machine) -> Iterator[tuple[str, Config]]:
    """Ways to make a training smaller, the least intrusive first: recomputation, ZeRO, offloading, adapters, 4-bit."""
    asked = config.training
    here: dict[str, Any] = {"devices": asked.strategy.devices, "nodes": asked.strategy.nodes}
    several = machine.all > 1
    optimizer_only = "training/strategy=zero3 training.strategy.offload_optimizer=true"
    ways: list[tuple[str, dict[str, Any]]] = [("", {})]
    if several:
        ways += [(f"training/strategy=zero{n}", {"strategy": Zero(stage=n, **here)}) for n in (2, 3)]
        ways.append((optimizer_only, {"strategy": Zero(stage=3, offload_optimizer=True, **here)}))
    everything = Zero(stage=3, offload_optimizer=True, offload_weights=True, **here)
    ways.append(("training/strategy=zero3_offload", {"strategy": everything}))
    recompute = ("training.activation_checkpointing=true", {"activation_checkpointing": True})
    both = [
        way for words, change in ways for way in ((words, change), (f"{words} {recompute[0]}", change | recompute[1]))
    ]
    if asked.adapter is None:
        for kind, adapter, stage in (("lora", Lora(), 3), ("qlora", Lora(quantize="nf4"), 2)):
            strategy = Zero(stage=stage, **here) if several else Single()
            words = f"training={kind} training/strategy={f'zero{stage}' if several else 'single'} {recompute[0]}"
            both.append((words, {"adapter": adapter, "strategy": strategy} | recompute[1]))
    for words, change in both:
        changed = dataclasses.replace(asked, **change)
        if changed != asked:
            yield words.strip(), dataclasses.replace(config, training=changed)
