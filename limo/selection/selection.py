"""A selection strategy: steps in order, a ranking or another order of which the first `size` stay, and what becomes of their texts."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from limo import UserError
from limo.config import component, held_to
from limo.grading.rules import Rules
from limo.records import Example
from limo.selection.candidates import Verdicts, Which
from limo.selection.filters import Correct, Where
from limo.selection.scores import Column
from limo.selection.steps import OWN, Budget, Dropped, Filter, Order, Score, Transform

if TYPE_CHECKING:
    from limo.selection.steps import Vectors


GIVEN = ("solve_rate", "right", "tried", "response")
"""Scores that candidates bring along, where their problems were tried."""


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
    budget: Budget | None = None
    """How long the chosen solutions may be together; null does not limit that."""
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
    unscored: Literal["last", "drop", "stop"] = "last"
    """What happens to candidates that have not the score they are ranked by; they are counted in any case."""
    order: Annotated[Order, held_to(Order)] | None = None
    """Puts the ranking in another order: values that take turns, quotas, candidates far from each other; null leaves it."""
    transforms: dict[str, Annotated[Transform, held_to(Transform)]] = field(default_factory=dict)
    """What becomes of the chosen solutions' texts, one after the other, by name; each example says which changed it."""
    seed: int | None = None
    """Null takes the seed of the run."""

    def __post_init__(self) -> None:
        for name in ("size", "per_problem"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name}={value} must be 1 or more, or null for all")
        if len({repr(step.rules) for step in self.steps.values() if isinstance(step, Correct)}) > 1:
            names = [name for name, step in self.steps.items() if isinstance(step, Correct)]
            raise ValueError(
                f"steps {' and '.join(names)} ask for solutions that are right by different rules, and each solution is "
                "graded once; give them the same rules, or leave one out"
            )

    def faults(self, tables: Iterable[str] = ()) -> list[str]:
        """What of it fits neither its steps nor the tables of scores that a run has, one sentence each."""
        known = self._scores(tables)
        if self.rank is None or self.rank.partition(".")[0] in known:
            return []
        return [f"selection.rank={self.rank} is no score of this run; choose one of {', '.join(known)}"]

    def unknown(self, tables: Iterable[str], meta: Iterable[str]) -> list[str]:
        """Columns that steps or the order ask for, and neither a score of the run nor what the data carry along has; one sentence each."""
        known, carried = self._scores(tables), tuple(meta)
        asked = [
            (f"selection.steps.{name}.of", step.of) for name, step in self.steps.items() if isinstance(step, Column)
        ]
        asked += [
            (f"selection.steps.{name}.key", step.key) for name, step in self.steps.items() if isinstance(step, Where)
        ]
        named = ("by", "source") if self.order is not None else ()
        asked += [(f"selection.order.{name}", getattr(self.order, name)) for name in named if hasattr(self.order, name)]
        return [
            f"{key}={column}: the data carry no such column along; name it in data.meta ({', '.join(carried) or 'empty now'})"
            for key, column in asked
            if column not in (*carried, *OWN) and column.partition(".")[0] not in known
        ]

    def _scores(self, tables: Iterable[str]) -> list[str]:
        return sorted({*GIVEN, *tables, *(name for name, step in self.steps.items() if isinstance(step, Score))})

    @property
    def rules(self) -> Rules | None:
        """Rules by which the source's solutions are to be graded first; None where no step asks if they are right."""
        asks = [step.rules for step in self.steps.values() if isinstance(step, Correct)]
        asks += [core] if (core := getattr(self.order, "rules", None)) else []
        return asks[0] if asks and self.candidates != "attempts" else None

    def choose(self, pool: Sequence[Example], seed: int, vectors: Mapping[str, Vectors] | None = None) -> Outcome:
        """Apply the steps, rank, order, cut. The same seed keeps the same examples, whatever the order of the pool.

        `vectors`: name of a table -> id of a candidate -> vector of length 1, for orders that compare them.

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
        if (rank := self.rank) is not None and (without := {e.id for e in left if rank not in e.scores}):
            if len(without) == len(left):
                raise UserError(f"selection.rank={rank}: no candidate has this score; {_remedy(rank)}")
            if self.unscored == "stop":
                raise UserError(
                    f"selection.rank={rank}: {len(without)} of {len(left)} candidates have no such score ({min(without)} …); "
                    "choose selection.unscored=last or drop"
                )
            if self.unscored == "drop":
                leave("unscored", dict.fromkeys(without, Dropped(f"no {rank}")))
        left = self._ranked(left)
        if self.per_problem is not None:
            leave("per_problem", _surplus(left, self.per_problem))
        left = self._ordered(left, vectors or {}, seed)
        self._refuse_shortage(len(pool), len(left), dropped)
        if self.size is not None:
            leave("size", _below(left, self.size, "ranked below"))
        if self.budget is not None:
            if not (many := self.budget.holds(left)):
                raise UserError(f"selection.budget.most={self.budget.most}: the first solution is longer; raise it")
            leave("budget", _below(left, many, "beyond the budget"))
        return Outcome(left, dropped, scored)

    def _ranked(self, pool: Sequence[Example]) -> list[Example]:
        """Best first; candidates without the score last, ties by id."""
        if self.rank is None:
            return sorted(pool, key=lambda e: e.id)
        rank, sign = self.rank, 1 if self.lowest else -1
        return sorted(pool, key=lambda e: (rank not in e.scores, sign * e.scores.get(rank, 0.0), e.id))

    def _ordered(self, ranked: list[Example], vectors: Mapping[str, Vectors], seed: int) -> list[Example]:
        if self.order is None:
            return ranked
        by_id = {e.id: e for e in ranked}
        found = self.order.order(ranked, vectors, seed)
        if sorted(found) != sorted(by_id):
            raise UserError(
                f"selection.order: {type(self.order).__name__} gave {len(found)} ids for {len(by_id)} candidates; it must give each once"
            )
        return [by_id[name] for name in found]

    def rewritten(self, example: Example, seed: int) -> Example:
        """A chosen example as it will be learned."""
        seed = seed if self.seed is None else self.seed
        for name, transform in self.transforms.items():
            text = transform.rewrite(example, seed)
            if text != example.solution:
                version = getattr(transform, "version", None)
                done = name if version is None else f"{name}@{version}"
                example = dataclasses.replace(example, solution=text, transforms=(*example.transforms, done))
        return example

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


def _below(ranked: Sequence[Example], most: int, reason: str) -> dict[str, Dropped]:
    return {e.id: Dropped(reason, rank) for rank, e in enumerate(ranked, 1) if rank > most}


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
