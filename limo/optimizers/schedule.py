"""The learning rate as a function of the optimizer step."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from limo.config import component

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@component
class Schedule:
    """The learning rate over the run, as a share of its peak."""

    shape: Literal["constant", "linear", "cosine", "wsd"] = "cosine"
    """`wsd`: warm up, stay, decay linearly over the last `decay` of the steps."""
    warmup: NotNegative = 0.0
    """Steps of linear warm-up when 1 or more (a whole number), share of all steps below 1."""
    final: float = 0.0
    """Share of the peak that is left at the end."""
    decay: float = 0.2
    """Share of all steps that `wsd` decays over."""

    def __post_init__(self) -> None:
        if self.warmup >= 1 and self.warmup != int(self.warmup):
            raise ValueError(f"warmup={self.warmup} must be a whole number of steps, or a share of them below 1")
        if not 0 <= self.final <= 1:
            raise ValueError(f"final={self.final} must be between 0 and 1: the share of the peak left at the end")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay={self.decay} must be above 0 and at most 1: a share of all steps")

    def warming(self, steps: int) -> int:
        """Steps of warm-up in a run of so many."""
        return int(self.warmup) if self.warmup >= 1 else round(self.warmup * steps)

    def at(self, step: int, steps: int) -> float:
        """Share of the peak for optimizer step `step` (0-based) of `steps`: the first is never 0, the last is `final`'s neighbour."""
        warmup = self.warming(steps)
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, steps - warmup)
        match self.shape:
            case "constant":
                return 1.0
            case "linear":
                share = 1 - done
            case "cosine":
                share = (1 + math.cos(math.pi * done)) / 2
            case "wsd":
                share = min(1.0, (steps - step) / max(1.0, self.decay * steps))
        return self.final + (1 - self.final) * share
