"""What a run is planned for: the GPUs that are seen, those it is told of, or this machine's processor."""

from __future__ import annotations

from collections.abc import Sequence

from limo import hardware
from limo.config import Config
from limo.hardware import Gpu
from limo.models import Architecture
from limo.placement import Machine, chip

SMALL = 1_000_000_000
"""Weights up to which a machine without GPU is planned to do the work itself."""
REFERENCE = "NVIDIA H100 80GB HBM3"
"""Planned for where no GPU is seen: the paper's."""
TOGETHER = 8
"""How many of them."""


def machine(config: Config, gpus: Sequence[Gpu], host: int) -> Machine:
    """The machine that a run was given: its GPUs, its main memory (bytes; 0 where not known), its processor."""
    nodes = config.training.strategy.nodes if config.training else 1
    return Machine(tuple(gpus), host, hardware.cores(), nodes)


def planned(given: Machine, shape: Architecture | None) -> Machine:
    """The machine whose hours and memory are told: the given one, but the reference for a large model where no GPU is seen."""
    sheet = chip(REFERENCE)
    if given.gpus or sheet is None or shape is None or shape.parameters < SMALL:
        return given
    return Machine((Gpu(sheet.name, sheet.memory),) * TOGETHER, nodes=given.nodes)
