"""What a piece took, and what the plan expects of it: seconds, and bytes of its fullest process or GPU."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limo import hardware
from limo.config import Config
from limo.placement import Machine
from limo.plan.amounts import amounts
from limo.plan.generation import generations
from limo.plan.training import TrainingPlan, training
from limo.tasks import TASKS

TICK = 0.5
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Cost:
    """Of a piece; None where it is not known."""

    seconds: float | None = None
    bytes: float | None = None


UNKNOWN = Cost()


class Gauge:
    """Inside it, how long something takes and how much memory the processes below this one, or the GPUs that it uses, hold meanwhile."""

    cost = UNKNOWN

    def __init__(self, accelerated: bool) -> None:
        self._on_gpus = accelerated and bool(hardware.gpus())

    def __enter__(self) -> Gauge:
        self._begun, self._bytes, self._over = time.monotonic(), 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.cost = Cost(time.monotonic() - self._begun, self._bytes or None)

    def _look(self) -> None:
        while not self._over.wait(TICK):
            now = hardware.used() if self._on_gpus else max(_resident(os.getpid()), default=0)
            self._bytes = max(self._bytes, now)


def _resident(process: int) -> Iterator[int]:
    """The most bytes that each process below one has had resident; none where /proc does not say."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            below = children.read_text().split()
        except OSError:  # it has just ended
            continue
        for child in map(int, below):
            try:
                status = Path(f"/proc/{child}/status").read_text()
            except OSError:
                continue
            yield from (int(most) * 1024 for most in re.findall(r"VmHWM:\s*(\d+) kB", status))
            yield from _resident(child)


def planned(config: Config, folder: Path) -> dict[str, Cost]:
    """What the plan expects of the tasks of a config, on this machine; `folder` has those that are made."""
    machine, shape = Machine.here(), config.model.shape()
    found: dict[str, Path | None] = dict.fromkeys([*TASKS, *(f"attempts/{name}" for name in config.attempts)])
    found |= {name: place for name in ("data", "selection") if (place := folder / name).exists()}
    sizes = amounts(config, found)
    told = {}
    for one in generations(config, machine, sizes, found):
        busy = one.placed.tensor_parallel * one.placed.replicas if machine.gpus else 1
        needs = one.placed.needs if machine.gpus and one.placed.weights else None  # it counts what lies on GPUs
        told[one.task] = Cost(None if one.hours is None else one.hours * 3600 / busy, needs)
    if shape:
        told["training"] = cost_of(training(config, shape, machine, sizes))
    return told


def cost_of(plan: TrainingPlan) -> Cost:
    """Of a training, without its start and its export."""
    seconds = None if plan.hours is None else plan.hours * 3600 / plan.setup.ranks
    return Cost(seconds, float(plan.needs.peak))
