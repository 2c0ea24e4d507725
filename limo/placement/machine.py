"""What a stage is placed on: the GPUs, main memory and cores of one kind of machine, once or several times."""

from __future__ import annotations

from dataclasses import dataclass

from limo import hardware
from limo.hardware import Gpu
from limo.placement.chips import Chip, chip

ROOM = 0.92
"""Share of a GPU's memory that may be filled; the rest is for the driver, messages and fragmentation (vLLM's own default)."""


@dataclass(frozen=True)
class Machine:
    """One kind of machine."""

    gpus: tuple[Gpu, ...] = ()
    memory: int = 0
    """Bytes of main memory; 0 where it is not known."""
    cores: int = 1
    nodes: int = 1
    """How many of them."""

    @staticmethod
    def here(nodes: int = 1) -> Machine:
        """This machine, as many times as the stage asks for."""
        return Machine(hardware.gpus(), hardware.memory(), hardware.cores(), nodes)

    @property
    def smallest(self) -> Gpu | None:
        """Of its GPUs the one with the least memory, which all must do with."""
        return min(self.gpus, key=lambda gpu: gpu.memory, default=None)

    @property
    def chip(self) -> Chip | None:
        """The data sheet of its GPUs; None without any, or where one is not in the table."""
        sheets = [chip(gpu.name) for gpu in self.gpus]
        return (
            min((sheet for sheet in sheets if sheet), key=lambda sheet: sheet.flops) if sheets and all(sheets) else None
        )

    def room(self, processes: int = 1) -> float:
        """Bytes that each of so many processes on one machine may fill, one GPU each; without GPUs their part of main memory."""
        return self.smallest.memory * ROOM if self.smallest else self.memory / processes


def ranks(devices: int, gpus: int) -> int:
    """Processes of a training on one machine: as many as asked for, or one for each GPU."""
    return devices or gpus or 1


def fed(gpus: int, nodes: int, global_batch: int, micro_batch: int | None) -> int:
    """The most GPUs of one machine whose processes share a batch without one that has nothing to do."""
    each = micro_batch or 1
    shares = (n for n in range(gpus, 1, -1) if n * nodes * each <= global_batch)
    return next((n for n in shares if micro_batch is None or global_batch % (n * nodes * each) == 0), min(gpus, 1))
