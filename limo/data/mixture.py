"""Several sources as one pool, by limits and weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import field, replace
from math import isclose
from typing import Annotated, Any, Literal

from limo import UserError, serial
from limo.config import component, held_to, runtime
from limo.data.contamination import Decontamination
from limo.data.near import refuse_near
from limo.data.source import Bad, Data, Row, blamed, entries, known
from limo.data.spread import Engine
from limo.records import Problem
from limo.serial import origin


@component
class Mixture:
    """Problems of several sources, each under `<part>/<its id>`; what the parts say of duplicates and leaks is not heard.

    Which problems of a part are taken is drawn by seed, part and id, so that the order of rows makes no difference and a
    smaller pool lies in a larger one. Parts are read twice where not all of them is taken; their texts are not held.
    """

    parts: dict[str, Annotated[Data, held_to(Data)]] = field(default_factory=dict)
    """The sources by name."""
    limits: dict[str, int] = field(default_factory=dict)
    """At most so many problems of a part."""
    weights: dict[str, float] = field(default_factory=dict)
    """Share of each part in the pool, together 1; empty takes all there is."""
    size: int | None = None
    """Problems in all; null takes as many as the weights allow."""
    seed: int = 0
    duplicates: Literal["drop", "merge", "keep"] = "drop"
    """What happens to a question that stands in the pool already, whatever its part."""
    near: float | None = None
    """Of a pool: questions with the same answer that share so much of their runs of three tokens (Jaccard) are duplicates
    too, and the smallest id stays; null does not look."""
    engine: Engine = runtime(default="local")
    """What looks at its rows, `local` processes of this machine, or Ray Data."""
    decontamination: Decontamination | None = Decontamination()
    """How questions that stand in a benchmark of the run are found; null does not look."""

    def __post_init__(self) -> None:
        for key, named in (("limits", self.limits), ("weights", self.weights)):
            if unknown := named.keys() - self.parts.keys():
                raise ValueError(
                    f"{key}: there is no part {', '.join(sorted(unknown))}; name one of {sorted(self.parts)}"
                )
        if few := [f"limits.{name}={n}" for name, n in self.limits.items() if n < 1]:
            raise ValueError(f"{few[0]} must be 1 or more; leave the part out to take none")
        if self.weights and (
            min(self.weights.values()) <= 0 or not isclose(sum(self.weights.values()), 1, abs_tol=1e-6)
        ):
            raise ValueError(f"weights={self.weights} must be above 0 and sum to 1, not {sum(self.weights.values()):g}")
        if self.weights and (bare := self.parts.keys() - self.weights.keys()):
            raise ValueError(f"weights: {', '.join(sorted(bare))} has none; give each part one")
        refuse_near(self.near)
        if self.size is not None and self.size < 1:
            raise ValueError(f"size={self.size} must be 1 or more, or null")

    def fingerprint(self, digest: Callable[[Any], str]) -> dict[str, Any]:
        """The parts by content, and how they are mixed."""
        return {
            "_target_": origin(type(self), digest),
            "parts": {name: serial.fingerprint(part, digest) for name, part in sorted(self.parts.items())},
            "mixed": [sorted(self.limits.items()), sorted(self.weights.items()), self.size, self.seed],
        }

    def missing(self) -> list[str]:
        """What each part lacks."""
        if not self.parts:
            return ["parts is empty; add a source: +data@data.parts.<name>=gsm8k"]
        return [f"parts.{name}: {lack}" for name, part in self.parts.items() for lack in part.missing()]

    def known(self) -> int | None:
        """How many problems it gives at most, where every part knows."""
        counts = {name: known(part) for name, part in self.parts.items()}
        held = [min(n, self.limits.get(name, n)) for name, n in counts.items() if n is not None]
        whole = sum(held) if len(held) == len(counts) else None
        return whole if whole is None or self.size is None else min(whole, self.size)

    def problems(self) -> list[Problem]:
        return [row.problem for row in self.entries() if isinstance(row, Row)]

    def located(self) -> Iterator[Row]:
        return (row for row in self.entries() if isinstance(row, Row))

    def entries(self) -> Iterator[Row | Bad]:
        """The rows of the parts, one part after the other, those not drawn left out."""
        taken = self._taken() if self.limits or self.weights or self.size else None
        for name in sorted(self.parts):
            for row in self._rows(name):
                if taken is None or isinstance(row, Bad) or row.problem.id in taken:
                    yield row

    def _rows(self, name: str) -> Iterator[Row | Bad]:
        with blamed(f"parts.{name}"):
            for row in entries(self.parts[name]):
                if isinstance(row, Row):
                    row = replace(row, problem=replace(row.problem, id=f"{name}/{row.problem.id}"))
                yield row

    def _taken(self) -> set[str]:
        """Ids of the problems drawn. Raises UserError where a part has too few for its weight."""
        drawn = {name: self._drawn(name) for name in sorted(self.parts)}
        every = sum(map(len, drawn.values()))
        share = self.weights or {name: len(ids) / max(1, every) for name, ids in drawn.items()}
        whole = min((int(len(ids) / share[name] + 1e-6) for name, ids in drawn.items() if share[name]), default=0)
        size = self.size or whole
        if size > whole:
            short = min(drawn, key=lambda name: len(drawn[name]) / (share[name] or 1))
            raise UserError(
                f"size={size}: {short} gives {len(drawn[short])} problems, so {whole} is the most; lower size, or mind limits"
                + (" and weights" if self.weights else "")
            )
        queue = sorted(((n + 0.5) / share[name], id) for name, ids in drawn.items() for n, id in enumerate(ids))
        return {id for _, id in queue[:size]}

    def _drawn(self, name: str) -> list[str]:
        """Ids of a part in the order of their draw, as many as its limit allows."""
        ids = [row.problem.id for row in self._rows(name) if isinstance(row, Row)]
        ids.sort(key=lambda id: hashlib.sha256(f"{self.seed}\0{id}".encode()).digest())
        return ids[: self.limits.get(name)]
