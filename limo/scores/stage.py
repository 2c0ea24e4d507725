"""The scores stage: one member of `scores` measures the candidates of a run, for every selection that reads its table."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from limo import records, serial
from limo.config import component, held_to
from limo.data import Data
from limo.data.source import blamed
from limo.models import Model
from limo.records import Example, Scored, ScoresSummary
from limo.scores.likeness import Likeness
from limo.scores.table import Scorer, Table
from limo.stage import Input, Stage, summarise

log = logging.getLogger(__name__)

VECTORS = "vectors.npy"


@component
class ScoresStage(Stage):
    """Measure candidates: `scores.jsonl`, a line each with its columns, and `vectors.npy` [lines, width] where it makes vectors."""

    module: ClassVar[str] = "limo.scores"
    version: ClassVar[int] = 1
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ("scores.jsonl",)

    candidates: Input
    scorer: Annotated[Scorer, held_to(Scorer)]
    model: Model
    """Its own, else the run's."""
    protect: Mapping[str, Data] = field(default_factory=dict)
    """The sources of the run's benchmarks, by which nothing may be chosen."""

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """The model counts for members that measure by one, the benchmarks nowhere."""
        asks = hasattr(self.scorer, "model")
        return {
            "candidates": serial.fingerprint(self.candidates, digest),
            "scorer": serial.fingerprint(self.scorer, digest),
            "model": serial.fingerprint(self.model, digest) if asks else None,
        }

    def missing(self) -> list[str]:
        return self.scorer.missing(self.model)

    def run(self, folder: Path) -> None:
        pool = sorted(records.read(self.candidates, Example), key=lambda e: e.id)
        if isinstance(self.scorer, Likeness):
            self.scorer.refuse_test({name: source.problems() for name, source in self.protect.items()})
        with blamed("scores"):
            table = self.scorer.measure(pool, self.model, self.store)
        _write(folder, pool, table)
        names = sorted({name for held in table.columns.values() for name in held})
        width = len(next(iter(table.vectors.values()))) if table.vectors else 0
        if width:
            log.info(f"{len(pool):,} vectors of {width} numbers: {4 * width * len(pool) / 2**20:,.1f} MiB")
        found = ScoresSummary(
            candidates=len(pool),
            columns=tuple(names),
            width=width,
            tokens=table.tokens,
            unmeasured=dict(table.unmeasured),
            relative=table.relative,
        )
        summarise(folder, found)
        for reason, count in table.unmeasured.items():
            log.info(f"! scores: {count} of {len(pool)} candidates have no value ({reason})")


def _write(folder: Path, pool: list[Example], table: Table) -> None:
    records.write(folder / "scores.jsonl", [Scored(e.id, dict(table.columns.get(e.id, {}))) for e in pool])
    if table.vectors:
        np.save(folder / VECTORS, np.stack([table.vectors[e.id] for e in pool]))
