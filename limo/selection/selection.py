"""A selection strategy: steps in order, then a ranking of which the first `size` stay."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from limo import UserError
from limo.config import component, held_to
from limo.grading.rules import Rules
from limo.records import Example
from limo.selection.candidates import Verdicts, Which
from limo.selection.filters import Correct
from limo.selection.steps import Dropped, Filter, Score, seeded_uniform


@dataclass(frozen=True)
class Outcome:
    """What a selection came to. Every candidate stands in `kept` or in `dropped`, once."""

    kept: list[Example]
    """Best first."""
    dropped: list[tuple[Example, str, Dropped]]
    """Candidate, step, reason."""
    scored: list[Example]
    """The candidates that came through the steps, with all scores, before the ranking."""


@component
class Selection:
    """Which examples to keep, and in which order."""

    size: int | None = None
    """How many examples stay; null keeps all."""
    candidates: Which = "source"
    """Solutions that came with the source, attempts, or both."""
    verdicts: Verdicts = "right"
    """Which attempts: right ones, those with another answer, or all, cut ones among them."""
    teachers: tuple[str, ...] | None = None
    """Names of the sieves whose attempts may be candidates; null takes all."""
    steps: dict[str, Annotated[Filter | Score, held_to(Filter, Score)]] = field(default_factory=dict)
    """Filters and scores by name, in order. A score goes by the name of its step."""
    rank: str | None = None
    """The score by which candidates are ranked; null goes by id."""
    lowest: bool = False
    """Rank the lowest first."""
    per_problem: int | None = 1
    """How many solutions of one problem may stay, the best ones; null keeps all."""
    level: int | None = None
    """Keep one of the equal bands of the ranking's score only, 1 the lowest; its members are then drawn by the seed."""
    bands: int = 5
    """Number of such bands (the paper speaks of five levels, L1 to L5; quantiles as their edges are our choice)."""
    spread: str | None = None
    """A key of `meta` (subject, level …) whose values take turns in the ranking; null ranks without regard to it."""
    seed: int | None = None
    """Null takes the seed of the run."""

    def __post_init__(self) -> None:
        for name in ("size", "per_problem"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name}={value} must be 1 or more, or null for all")
        if self.level is not None and not 1 <= self.level <= self.bands:
            raise ValueError(f"level={self.level} must be one of 1 to {self.bands} (bands), or null")
        if self.level is not None and self.rank is None:
            raise ValueError("level needs a score to divide into bands: set rank")
        if len({repr(step.rules) for step in self.steps.values() if isinstance(step, Correct)}) > 1:
            names = [name for name, step in self.steps.items() if isinstance(step, Correct)]
            raise ValueError(
                f"steps {' and '.join(names)} ask for solutions that are right by different rules, and each solution is "
                "graded once; give them the same rules, or leave one out"
            )
        scores = {"solve_rate", *(name for name, step in self.steps.items() if isinstance(step, Score))}
        if self.rank is not None and self.rank.partition(".")[0] not in scores:
            raise ValueError(
                f"rank={self.rank} is no score of this selection; choose one of {', '.join(sorted(scores))}"
            )

    @property
    def rules(self) -> Rules | None:
        """Rules by which the source's solutions are to be graded first; None where no step asks if they are right."""
        asks = [step.rules for step in self.steps.values() if isinstance(step, Correct)]
        return asks[0] if asks and self.candidates != "attempts" else None

    def choose(self, pool: Sequence[Example], seed: int) -> Outcome:
        """Apply the steps, rank, cut. The same seed keeps the same examples, whatever the order of the pool.

        Raises UserError when nothing is left or fewer than `size`, with the numbers and the remedy.
        """
        seed = seed if self.seed is None else self.seed
        left = sorted(pool, key=lambda e: e.id)
        dropped: list[tuple[Example, str, Dropped]] = []

        def leave(name: str, faults: dict[str, Dropped]) -> None:
            nonlocal left
            dropped.extend((e, name, faults[e.id]) for e in left if e.id in faults)
            left = [e for e in left if e.id not in faults]

        for name, step in self.steps.items():
            if isinstance(step, Score):
                left = [_scored(e, name, found) for found in [step.score(left, seed)] for e in left]
            else:
                leave(name, step.drop(left, seed))
        scored = left
        if self.rank is not None and left and not any(self.rank in e.scores for e in left):
            raise UserError(f"selection.rank={self.rank}: no candidate has this score; {_remedy(self.rank)}")
        if self.level is not None and self.rank is not None:
            leave("level", self._other_bands(left, self.rank))
        left = self._ranked(left, seed)
        if self.per_problem is not None:
            leave("per_problem", _surplus(left, self.per_problem))
        left = self._spread(left)
        self._refuse_shortage(len(pool), len(left), dropped)
        if self.size is not None:
            leave("size", {e.id: Dropped("ranked below", rank) for rank, e in enumerate(left, 1) if rank > self.size})
        return Outcome(left, dropped, scored)

    def _ranked(self, pool: Sequence[Example], seed: int) -> list[Example]:
        """Best first; candidates without the score last, ties by id."""
        if self.level is not None:
            return sorted(pool, key=lambda e: (seeded_uniform(seed, "level", e.id), e.id))
        if self.rank is None:
            return sorted(pool, key=lambda e: e.id)
        rank, sign = self.rank, 1 if self.lowest else -1
        return sorted(pool, key=lambda e: (rank not in e.scores, sign * e.scores.get(rank, 0.0), e.id))

    def _other_bands(self, pool: Sequence[Example], rank: str) -> dict[str, Dropped]:
        order = sorted((e for e in pool if rank in e.scores), key=lambda e: (e.scores[rank], e.id))
        if 0 < len(order) < self.bands:
            raise UserError(
                f"selection.level={self.level}: {len(order)} candidates with a score do not make {self.bands} levels; "
                f"set selection.bands={len(order)} or less, or loosen a step"
            )
        band = {e.id: 1 + place * self.bands // len(order) for place, e in enumerate(order)}
        return {e.id: Dropped("another level", band.get(e.id)) for e in pool if band.get(e.id) != self.level}

    def _spread(self, ranked: Sequence[Example]) -> list[Example]:
        if self.spread is None:
            return list(ranked)
        turns: Counter[str] = Counter()
        order = []
        for place, example in enumerate(ranked):
            value = str(example.meta.get(self.spread))
            order.append((turns[value], place, example))
            turns[value] += 1
        return [example for _, _, example in sorted(order, key=lambda entry: entry[:2])]

    def _refuse_shortage(self, pool: int, left: int, dropped: list[tuple[Example, str, Dropped]]) -> None:
        if left >= (self.size or 1):
            return
        counts = Counter(name for _, name, _ in dropped)
        told = ", ".join(f"{name} dropped {count}" for name, count in counts.most_common())
        if left and self.size is not None:
            raise UserError(
                f"selection.size={self.size}: only {left} of {pool} candidates are left{f' ({told})' if told else ''}; "
                f"set selection.size={left} or less, or loosen a step"
            )
        if not pool:
            raise UserError(
                f"selection.candidates={self.candidates}: there is no candidate; choose data with solutions, or "
                "attempts of a model that solves some problems and selection.candidates=attempts"
            )
        worst = counts.most_common(1)[0][0]
        key = f"selection.steps.{worst}" if worst in self.steps else f"selection.{worst}"
        raise UserError(f"selection: none of {pool} candidates is left ({told}); loosen {key}")


def _scored(example: Example, step: str, found: dict[str, dict[str, float]]) -> Example:
    added = {f"{step}.{name}" if name else step: float(value) for name, value in found.get(example.id, {}).items()}
    return dataclasses.replace(example, scores=example.scores | added)


def _surplus(ranked: Sequence[Example], most: int) -> dict[str, Dropped]:
    better: dict[str, list[str]] = defaultdict(list)
    surplus = {}
    for example in ranked:
        if len(better[example.problem]) >= most:
            surplus[example.id] = Dropped("a better solution of its problem stays", better[example.problem][0])
        else:
            better[example.problem].append(example.id)
    return surplus


def _remedy(rank: str) -> str:
    return (
        "it needs attempts at the problems: choose a member of attempts" if rank == "solve_rate" else "choose another"
    )
