"""The training of a plan: steps, tokens, memory, hours, and what would make it fit where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from limo.config import Config
from limo.models import Architecture
from limo.placement import Footprint, Machine, Setup, checkpoint
from limo.plan import cost
from limo.plan.amounts import Amounts
from limo.training import title
from limo.training.batches import Layout, plan_batches, uneven
from limo.training.needs import Needs


@dataclass(frozen=True)
class TrainingPlan:
    """The training of a run."""

    strategy: str
    setup: Setup
    needs: Footprint
    room: float
    """Bytes that each process may fill."""
    fits: bool
    steps: int | None
    """Optimizer steps; None where the number of examples is not known."""
    tokens: float | None
    """Through the model, over all epochs."""
    efficiency: float | None
    """Share of the processes' time that is for examples, where each waits for the slowest; None where it is not known."""
    hours: float | None
    """GPU hours; None also where the GPU has no data sheet."""
    checkpoint: int
    """Bytes of one checkpoint."""
    every: str
    """How often one is made."""
    grace: float
    """Seconds that one has when the training is told to end."""
    instead: str | None
    """Overrides with which it would fit, where it does not."""


def training(config: Config, shape: Architecture, machine: Machine, sizes: Amounts) -> TrainingPlan:
    """The training of a config on a machine."""
    asked = config.training
    needs = Needs(asked, config.optimizer, shape, config.model.attention == "eager", machine)
    steps, tokens, hours = asked.steps, asked.tokens, None
    efficiency = _efficiency(needs, sizes, config.seed)
    if sizes.examples is not None:
        steps = asked.updates(sizes.examples, sizes.examples * sizes.length)
        seen = sizes.examples * asked.epochs if asked.epochs else steps * min(asked.global_batch, sizes.examples)
        tokens = seen * sizes.length
        hours = _hours(needs, steps, tokens, sizes.length, efficiency or 1.0)
    instead = None if needs.fits else needs.remedy()
    return TrainingPlan(
        strategy=title(needs.strategy),
        setup=needs.setup,
        needs=needs.memory,
        room=needs.room,
        fits=needs.fits,
        steps=steps,
        tokens=tokens,
        efficiency=efficiency,
        hours=hours,
        checkpoint=checkpoint(needs.setup, asked.trained(shape)),
        every=f"{asked.checkpoint_every} steps" if isinstance(asked.checkpoint_every, int) else asked.checkpoint_every,
        grace=asked.grace,
        instead=instead,
    )


def _efficiency(needs: Needs, sizes: Amounts, seed: int) -> float | None:
    """As the run lays out such examples over its processes."""
    asked, ranks = needs.training, needs.setup.ranks
    if not sizes.lengths or uneven(asked.global_batch, ranks, asked.micro_batch):
        return None
    layout = Layout(asked.global_batch, ranks, asked.micro_batch, asked.max_tokens or asked.max_length, asked.packing)
    return plan_batches(sizes.lengths, layout, seed, epochs=1, steps=None).efficiency


def _hours(needs: Needs, steps: int, tokens: float, length: float, efficiency: float) -> float | None:
    sheet = needs.machine.chip if needs.machine.gpus else cost.processor(needs.machine)
    if sheet is None:
        return None
    work = cost.training_flops(needs.shape, tokens, length, needs.training.adapter is None)
    moving = cost.offloading(needs.setup, needs.training.trained(needs.shape))
    return (work / (sheet.flops * cost.USE * efficiency) + steps * moving * needs.setup.ranks) / 3600
