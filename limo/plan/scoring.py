"""The tokens that members of `scores` have to read, and the GPU hours they take; one process on one device reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from limo.config import Config
from limo.models import Model
from limo.placement import Machine
from limo.plan import cost
from limo.plan.amounts import Amounts
from limo.records import CandidatesSummary
from limo.stage import summary


@dataclass(frozen=True)
class Scoring:
    """A table of scores that costs a model's pass."""

    task: str
    tokens: float | None
    """None where the number of candidates is not known yet."""
    hours: float | None
    """GPU hours."""
    note: str


def scorings(config: Config, machine: Machine, sizes: Amounts, found: Mapping[str, Path | None]) -> Iterator[Scoring]:
    """Tables that are still to be made, and cost a pass; candidates are counted where they are in the store, else one a problem."""
    gathered = found.get("candidates")
    count = summary(gathered, CandidatesSummary).candidates if gathered else sizes.problems
    where = "counted" if gathered else "one a problem"
    for name, scorer in config.scores.items():
        passes = getattr(scorer, "passes", 0)
        if passes and found.get(f"scores/{name}", Path()) is None:
            tokens = None if count is None else count * sizes.length * passes
            hours = (
                None
                if tokens is None
                else _hours(getattr(scorer, "model", None) or config.model, machine, tokens, sizes)
            )
            told = "candidates not known yet" if count is None else f"{count:,} candidates, {where}"
            yield Scoring(f"scores/{name}", tokens, hours, f"{told}, {passes:g} times their tokens")


def _hours(model: Model, machine: Machine, tokens: float, sizes: Amounts) -> float | None:
    """Of a forward pass."""
    shape, sheet = model.shape(), machine.chip if machine.gpus else cost.processor(machine)
    if shape is None or sheet is None:
        return None
    return cost.reading(shape, sheet, tokens, sizes.length) / 3600
