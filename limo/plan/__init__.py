"""What a run would take: stages and which are in the store, tokens and steps, memory per GPU, disk, GPU hours; nothing
is started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limo.config import Config
from limo.hardware import Gpu
from limo.models import Architecture
from limo.plan.amounts import Amounts, amounts
from limo.plan.generation import Generation, generations
from limo.plan.machine import Machine, choose
from limo.plan.training import Training, training

STATE = 14
"""Bytes a trained weight takes in a checkpoint: bf16, its float32 copy, two moments."""
TEXT = 2 * 3.5
"""Bytes a generated token takes: once in the log of completions, once in the result."""


@dataclass(frozen=True)
class Plan:
    """What a run would take."""

    name: str
    shape: Architecture | None
    steps: tuple[tuple[str, bool], ...]
    """Name of each step, and whether the store has its result."""
    machine: Machine
    amounts: Amounts
    training: Training | None
    generations: tuple[Generation, ...]
    disk: dict[str, float]
    """What for -> bytes."""


def plan(config: Config, found: Mapping[str, Path | None], gpus: Sequence[Gpu], host: int = 0) -> Plan:
    """The plan of a run from its config, the steps with the results that the store has, the GPUs and the main memory
    (bytes; 0 where not known) of each machine. Starts and writes nothing.
    """
    shape = config.model.shape() if config.model else None
    machine = choose(config, shape, gpus, host)
    sizes = amounts(config, found)
    trains = "training" in config.stages and config.training and shape
    fit = training(config, shape, machine, sizes) if trains and shape else None
    answers = tuple(generations(config, machine, sizes, found))
    steps = tuple((name, place is not None) for name, place in found.items())
    needs = disk(config, shape, answers, found)
    return Plan(config.name, shape, steps, machine, sizes, fit, answers, needs)


def disk(
    config: Config, shape: Architecture | None, answers: Sequence[Generation], found: Mapping[str, Path | None]
) -> dict[str, float]:
    """Bytes: weights to download, checkpoints while training, exported weights, texts of answers."""
    needs: dict[str, float] = {}
    if shape and config.model.local is None:
        needs["weights from the hub"] = 2.0 * shape.parameters
    if shape and config.training and found.get("training", Path()) is None:
        kept = config.training.keep_checkpoints + 1  # one more is written before the oldest goes
        needs["checkpoints while training"] = float(config.training.trained(shape) * STATE * kept)
        needs["exported weights"] = shape.parameters * (2.0 if config.training.export == "bfloat16" else 4.0)
    if texts := sum(one.tokens or 0 for one in answers):
        needs["answers"] = TEXT * texts
    return needs


__all__ = ["Machine", "Plan", "Training", "plan"]
