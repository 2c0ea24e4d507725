"""The recipe's own weights, where they are at hand: two optimizer steps with every micro-batch full, and one start of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limo import hardware
from limo.config import Config
from limo.models import Model
from limo.placement import Machine
from limo.plan.amounts import Amounts
from limo.plan.training import training
from limo.records import Example, write
from limo.rehearse.measured import UNKNOWN, Cost, cost_of
from limo.training import Training, TrainingStage
from limo.training.strategies import Single

STEPS = 2
SMALL = 10_000_000
"""Weights that a processor trains in a moment, so that they are tried without GPUs too."""
CHARACTERS = 8
"""In a token of any text, at most on average."""


def untried(model: Model) -> str | None:
    """Why a model's own weights are not tried here; None where they are."""
    shape = model.shape()
    if model.here is None:
        return "they are not on this machine; `python -m limo fetch` with the same words brings them"
    if hardware.gpus() or (shape is not None and shape.parameters < SMALL):
        return None
    return "this machine has no GPU for them"


def trained(config: Config, examples: Sequence[Example], folder: Path) -> TrainingStage:
    """The recipe's training for STEPS steps of two full micro-batches a process, on this machine alone."""
    asked, single = config.training, isinstance(config.training.strategy, Single)
    here = asked if single else replace(asked, strategy=replace(asked.strategy, nodes=1))
    strategy = here.resolve(config.model.shape())
    strategy = strategy if isinstance(strategy, Single) else replace(strategy, devices=strategy.ranks)
    rows = asked.micro_batch or (asked.max_tokens or asked.max_length) // asked.max_length
    how = replace(
        here,
        strategy=strategy,
        epochs=None,
        steps=STEPS,
        global_batch=2 * rows * strategy.ranks,
        overlong="truncate",
        keep_checkpoints=1,
        keep_after=False,
        validation=None,
        export_from="last",
    )
    return TrainingStage(
        training=how,
        model=config.model,
        optimizer=config.optimizer,
        logger=config.logger,
        examples=_full(examples, how, folder / "full.jsonl"),
        seed=config.seed,
        store=folder / ".store",
    )


def _full(examples: Sequence[Example], how: Training, path: Path) -> Path:
    """As many examples as a step has, each repeated beyond the longest that is trained on."""
    some = (examples[n % len(examples)] for n in range(how.global_batch))
    long = CHARACTERS * how.max_length
    rows = [replace(e, id=f"{n}", solution=f"{e.solution} " * -(-long // len(e.solution))) for n, e in enumerate(some)]
    write(path, rows)
    return path


def planned(config: Config, stage: TrainingStage) -> Cost:
    """What the plan expects of that training."""
    how, shape = stage.training, config.model.shape()
    if shape is None:
        return UNKNOWN
    count, length = how.global_batch, how.max_length
    sizes = Amounts(None, count, float(length), length, None, "", (length,) * count)
    return cost_of(training(replace(config, training=how), shape, Machine.here(), sizes))
