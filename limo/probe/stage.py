"""The stage that probes a base: what it takes and what this machine lacks for it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from limo.config import component
from limo.engine import Engine, Sampling
from limo.grading import Rules
from limo.models import Model
from limo.stage import Input, Stage


@component
class ProbeStage(Stage):
    """Measure a base on selected examples; writes `summary.json`, and its own answers as `attempts.jsonl` and `grades.jsonl`."""

    module: ClassVar[str] = "limo.probe.measure"
    version: ClassVar[int] = 3
    products: ClassVar[tuple[str, ...]] = ("attempts.jsonl", "grades.jsonl")

    examples: Input
    """The whole selection; `count` of them are looked at, the others only fill contexts."""
    count: int = 32
    model: Model
    engine: Engine
    sampling: Sampling
    """How it answers the questions of those examples itself."""
    rules: Rules = Rules()
    max_length: int
    """Longest example in training, in tokens, prompt included."""
    overlong: Literal["error", "drop", "truncate"]
    """As in training; what training would refuse is cut here."""
    seed: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"examples={self.count} must be 1 or more")

    def missing(self) -> list[str]:
        return [*self.model.missing(), *self.engine.missing(self.model, self.sampling.longest(self.model))]

    def notes(self) -> list[str]:
        return [f"probe: {note}" for note in self.sampling.beyond(self.model)]

    def run(self, folder: Path) -> None:
        from limo.probe.measure import probe

        probe(self, folder)
