"""The stages that gather the candidates of the problems, their attempts and grades, and choose the examples among them."""

from __future__ import annotations

import dataclasses
import logging
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from limo import records
from limo.config import component
from limo.records import (
    Attempt,
    CandidatesSummary,
    Example,
    Grade,
    Limits,
    Problem,
    Scored,
    ScoresSummary,
    SelectionSummary,
    Tally,
    Trait,
)
from limo.selection.candidates import Tried, Verdicts, Which, candidates
from limo.selection.filters import Between, SolveRate
from limo.selection.selection import GIVEN, Selection
from limo.selection.steps import Filter, Score
from limo.stage import Input, Stage, summarise, summary
from limo.statistics import spearman

if TYPE_CHECKING:
    from limo.selection.steps import Vectors

log = logging.getLogger(__name__)

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@component
class CandidatesStage(Stage):
    """Gather: `candidates.jsonl`, every solution that may be learned from, with how it was graded and how often its problem is solved."""

    module: ClassVar[str] = "limo.selection"
    version: ClassVar[int] = 2
    products: ClassVar[tuple[str, ...]] = ("candidates.jsonl",)

    problems: Input
    """Those that the sieves left."""
    sieves: tuple[str, ...] = ()
    """Names, in their order."""
    tallies: dict[str, Input] = field(default_factory=dict)
    """Sieve -> what it counted."""
    attempts: dict[str, Input] = field(default_factory=dict)
    """Sieve -> its tries, of those that have some; and their grades."""
    grades: dict[str, Input] = field(default_factory=dict)
    checked: Input | None = None
    """Grades of the source's own solutions, where they were graded (`sample` is the solution's place)."""
    which: Which
    verdicts: Verdicts = "right"
    teachers: tuple[str, ...] | None = None

    def missing(self) -> list[str]:
        asked = {f"candidates={self.which}": self.which == "source" or bool(self.attempts)}
        asked |= {f"teachers=[{name}]": name in self.attempts for name in self.teachers or ()}
        return [needs_attempts(key, self.sieves) for key, there in asked.items() if not there]

    def run(self, folder: Path) -> None:
        problems = records.read(self.problems, Problem)
        pool = candidates(
            problems,
            {name: self._tried(name) for name in self.sieves},
            records.read(self.checked, Grade) if self.checked else (),
            self.which,
            self.verdicts,
        )
        records.write(folder / "candidates.jsonl", pool)
        found = CandidatesSummary(
            problems=len(problems),
            candidates=len(pool),
            origins=dict(Counter(e.origin for e in pool)),
            unmeasured={"solve_rate": sum("solve_rate" not in e.scores for e in pool)},
        )
        summarise(folder, found)

    def _tried(self, name: str) -> Tried:
        teachers = self.attempts if self.teachers is None else self.teachers
        tallies = records.read(self.tallies[name], Tally)
        if self.which == "source" or name not in self.attempts or name not in teachers:
            return Tried(tallies)
        return Tried(tallies, records.read(self.attempts[name], Attempt), records.read(self.grades[name], Grade))


@component
class SelectionStage(Stage):
    """Select: `examples.jsonl`, best first with all scores, and `dropped.jsonl` with step and reason of the others."""

    module: ClassVar[str] = "limo.selection"
    version: ClassVar[int] = 7
    products: ClassVar[tuple[str, ...]] = ("examples.jsonl", "dropped.jsonl")

    candidates: Input
    """Result of a `CandidatesStage`."""
    scores: Mapping[str, Input] = field(default_factory=dict)
    """Results of scores stages, by the names of their members."""
    sieves: tuple[str, ...] = ()
    """Names of those that tried the problems."""
    selection: Selection
    seed: int

    def missing(self) -> list[str]:
        rank, _, sieve = (self.selection.rank or "").partition(".")
        if rank in GIVEN and not (sieve in self.sieves if sieve else self.sieves):
            return [needs_attempts(f"rank={self.selection.rank}", self.sieves)]
        return self.selection.faults(self.scores)

    def run(self, folder: Path) -> None:
        pool = records.read(self.candidates / "candidates.jsonl", Example)
        found: dict[str, Vectors] = {}
        for name, table in self.scores.items():
            rows = records.read(table / "scores.jsonl", Scored)
            pool = with_columns(pool, name, rows)
            found |= {name: held} if (held := vectors(table, rows)) else {}
        outcome = self.selection.choose(pool, self.seed, found)
        kept = [self.selection.rewritten(e, self.seed) for e in outcome.kept]
        reasons = [
            {"id": e.id, "step": step, "reason": why.reason, "value": why.value, "scores": e.scores}
            for e, step, why in outcome.dropped
        ]
        records.write(folder / "dropped.jsonl", reasons)
        records.write(folder / "examples.jsonl", kept)
        self._summarise(folder, outcome.scored, kept, reasons)

    def _summarise(
        self, folder: Path, scored: list[Example], kept: list[Example], reasons: list[dict[str, Any]]
    ) -> None:
        before = summary(self.candidates, CandidatesSummary)
        unmeasured = {name: summary(table, ScoresSummary).unmeasured for name, table in self.scores.items()}
        names = [name for name, step in self.selection.steps.items() if isinstance(step, Filter)]
        scores = [name for name, step in self.selection.steps.items() if isinstance(step, Score)]
        found = SelectionSummary(
            problems=before.problems,
            candidates=before.candidates,
            origins=before.origins,
            kept=len(kept),
            dropped={name: _reasons(reasons, name) for name in [*names, "unscored", "per_problem", "size", "budget"]},
            unmeasured=before.unmeasured | {name: sum(why.values()) for name, why in unmeasured.items()},
            scores={"pool": quantiles(scored), "kept": quantiles(kept)},
            traits={name: parts for name in scores if (parts := traits(scored, name))},
            limits={column: of for step in self.selection.steps.values() for column, of in limits(step).items()},
            transformed=dict(Counter(name for e in kept for name in e.transforms)),
        )
        summarise(folder, found)
        if found.warning:
            log.info(f"! selection: {found.warning}")


def needs_attempts(key: str, sieves: tuple[str, ...]) -> str:
    known = f"those of this run are {', '.join(sieves)}" if sieves else "choose a member of attempts"
    return f"selection.{key} needs attempts at the problems; {known}"


def with_columns(pool: list[Example], name: str, rows: list[Scored]) -> list[Example]:
    """Candidates with the columns of a table of scores, as `<name>.<column>`."""
    held = {row.id: row.columns for row in rows}
    return [
        dataclasses.replace(e, scores=e.scores | {f"{name}.{column}": v for column, v in held.get(e.id, {}).items()})
        for e in pool
    ]


def vectors(table: Path, rows: list[Scored]) -> Vectors:
    """The vectors of a table of scores by the ids of its rows; none where it has none."""
    import numpy as np

    path = table / "vectors.npy"
    if not path.is_file():
        return {}
    return dict(zip((row.id for row in rows), np.load(path, mmap_mode="r"), strict=True))


def traits(pool: list[Example], step: str) -> dict[str, Trait]:
    """Of a score with parts: how often each part is zero, and how it goes along with the whole."""
    parts = sorted({name for e in pool for name in e.scores if name.startswith(f"{step}.")})
    held = [e.scores for e in pool if step in e.scores]
    whole = [scores[step] for scores in held]
    found = {}
    for name in parts:
        values = [scores.get(name, 0.0) for scores in held]
        zeros = sum(value == 0 for value in values) / len(values)
        found[name.removeprefix(f"{step}.")] = Trait(round(zeros, 4), spearman(values, whole))
    return found


def limits(step: Filter | Score) -> dict[str, Limits]:
    """Of a filter that goes by a number: its column, and between which values that must lie."""
    return step.limits() if isinstance(step, SolveRate | Between) else {}


def _reasons(rows: list[dict[str, Any]], step: str) -> dict[str, int]:
    return dict(Counter(row["reason"] for row in rows if row["step"] == step))


def quantiles(examples: list[Example]) -> dict[str, dict[str, float]]:
    """Quantiles of every score: its name, then quantile -> value."""
    found: dict[str, dict[str, float]] = {}
    for name in sorted({name for e in examples for name in e.scores}):
        values = sorted(e.scores[name] for e in examples if name in e.scores)
        found[name] = {f"{q:g}": round(values[round(q * (len(values) - 1))], 6) for q in QUANTILES}
        found[name]["mean"] = round(statistics.fmean(values), 6)
    return found
