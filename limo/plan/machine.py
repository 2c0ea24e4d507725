"""What a run is planned for: the GPUs that are seen, those it is told of, or this machine's processor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from limo.config import Config
from limo.hardware import Gpu, cores
from limo.models import Architecture
from limo.plan import cost
from limo.plan.cost import Chip

SMALL = 1_000_000_000
"""Weights up to which a machine without GPU is planned to do the work itself."""
REFERENCE = Gpu("H100", 80 * 2**30)
"""Planned for where no GPU is seen: the paper's."""
TOGETHER = 8
"""How many of them."""


@dataclass(frozen=True)
class Machine:
    """One kind of machine, once or several times."""

    chip: Chip
    count: int
    """Accelerators of one machine; its processes where it has none."""
    nodes: int
    seen: bool
    """Whether they are here."""
    cpu: bool = False
    host: int = 0
    """Bytes of main memory of one machine; 0 where it is not known."""

    @property
    def all(self) -> int:
        """Accelerators of all machines."""
        return self.count * self.nodes

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Of one machine."""
        return () if self.cpu else (Gpu(self.chip.name, self.chip.memory),) * self.count

    @property
    def room(self) -> float:
        """Bytes of one accelerator that may be filled."""
        return self.chip.memory / self.count if self.cpu else self.chip.memory * cost.ROOM


def choose(config: Config, shape: Architecture | None, gpus: Sequence[Gpu], host: int) -> Machine:
    """The machine for a run: as many of its GPUs as the strategy asks for; without any, its processor for a small model
    and the reference for a large one.
    """
    strategy = config.training.strategy if config.training else None
    asked, nodes = getattr(strategy, "devices", 0), getattr(strategy, "nodes", 1)
    reference = cost.chip(REFERENCE)
    assert reference is not None
    if gpus:
        smallest = min(gpus, key=lambda gpu: gpu.memory)
        chip = cost.chip(smallest) or dataclasses.replace(reference, name=smallest.name, memory=smallest.memory)
        return Machine(chip, min(asked or len(gpus), len(gpus)), nodes, seen=True, host=host)
    if shape is None or shape.parameters < SMALL:
        here = Chip("CPU", host, cost.CORE * cores(), cost.HOST / 4)
        return Machine(here, asked or 1, nodes, seen=True, cpu=True, host=host)
    return Machine(reference, asked or TOGETHER, nodes, seen=False)
