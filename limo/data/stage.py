"""The stage that reads the pool, drops duplicates and leaked benchmark questions, and says which."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from limo import UserError, records, serial
from limo.config import component, held_to
from limo.data.contamination import Decontamination
from limo.data.duplicates import LeftOut, clean
from limo.data.mixture import Mixture
from limo.data.source import Bad, Data, Row, blamed, entries, missing
from limo.data.table import Table
from limo.records import Attempt, DataSummary, Problem
from limo.stage import Stage, summarise

FIRST = 20
"""Rows of a pool that are read before any work."""


@component
class DataStage(Stage):
    """Read the pool: `problems.jsonl`, their solutions in the form of attempts, so that they can be graded, in
    `solutions.jsonl`, and the reason of each problem left out in `dropped.jsonl`.
    """

    module: ClassVar[str] = "limo.data"
    version: ClassVar[int] = 2
    products: ClassVar[tuple[str, ...]] = ("problems.jsonl", "solutions.jsonl")

    data: Annotated[Data, held_to(Data)]
    protect: Mapping[str, Data] = field(default_factory=dict)
    """The sources of the run's benchmarks, whose questions may not be in the pool."""
    seed: int = 0

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """The seed makes no difference here, nor do the benchmarks where nobody looks for them."""
        rule = self._rule()
        return {
            "data": serial.fingerprint(self.data, digest),
            "duplicates": self._duplicates(),
            "rule": serial.fingerprint(rule, digest),
            "protect": serial.fingerprint(self.protect, digest) if rule else None,
        }

    def missing(self) -> list[str]:
        name = "data." if isinstance(self.data, Table) else "data: "  # the sentences of a table begin with its key
        lacks = [f"{name}{sentence}" for sentence in self.data.missing()] or self._first_rows()
        return [*lacks, *self._unread()]

    def _first_rows(self) -> list[str]:
        """What is wrong with the first rows of tables that lie here, one sentence each."""
        parts = self.data.parts if isinstance(self.data, Mixture) else {}
        found = []
        for key, source in {"data": self.data, **{f"data.parts.{name}": part for name, part in parts.items()}}.items():
            try:
                if isinstance(source, Table) and source.here:
                    deque(itertools.islice(source.located(), FIRST), maxlen=0)
            except UserError as fault:
                found.append(f"{key}: {fault}")
        return found

    def run(self, folder: Path) -> None:
        rule = self._rule()
        protected = self._protected() if rule else {}
        with blamed("data"):
            read = list(entries(self.data))
        pool = [row.problem for row in read if isinstance(row, Row)]
        bad = [LeftOut(row.place, "", "bad row", why=row.reason) for row in read if isinstance(row, Bad)]
        _refuse_equal_ids(pool)
        kept, dropped = clean(pool, self._duplicates())
        matches = rule.find(kept, protected) if rule else {}
        leaks = [LeftOut(p.id, p.question, "benchmark question", match=matches[p.id]) for p in kept if p.id in matches]
        if rule and rule.action == "drop":
            dropped += leaks
            kept = [p for p in kept if p.id not in matches]
        elif rule:
            records.write(folder / "matches.jsonl", leaks)
        dropped += bad
        reasons = Counter(str(why.reason) for why in dropped)
        if not kept:
            told = ", ".join(f"{reason}: {count}" for reason, count in reasons.items()) or "the source is empty"
            raise UserError(
                f"data: none of {len(read)} problems is left ({told}); check its columns or loosen data.decontamination"
            )
        place = {problem.id: number for number, problem in enumerate(pool)}
        records.write(folder / "dropped.jsonl", sorted(dropped, key=lambda why: place.get(why.id, -1)))
        records.write(folder / "solutions.jsonl", [s for p in kept for s in solutions(p)])
        records.write(folder / "problems.jsonl", kept)
        found = DataSummary(
            read=len(read),
            kept=len(kept),
            solutions=sum(len(p.solutions) for p in kept),
            dropped=dict(reasons),
            leaks=dict(Counter(match.benchmark for match in matches.values())),
            protected={name: len(problems) for name, problems in protected.items()},
            unchecked=tuple(name for name in self.protect if name not in protected),
        )
        summarise(folder, found)

    def _duplicates(self) -> str:
        return str(getattr(self.data, "duplicates", "drop"))

    def _rule(self) -> Decontamination | None:
        rule: Decontamination | None = getattr(self.data, "decontamination", Decontamination())
        return rule if self.protect else None

    def _unread(self) -> list[str]:
        """Sentences for benchmarks that cannot be read here, unless the rule lets them be."""
        rule = self._rule()
        if rule is None or rule.absent == "report":
            return []
        remedy = (
            "data.decontamination: no leak can be found where the questions of a benchmark cannot be read; mend the above, "
            "or set data.decontamination.absent=report"
        )
        return [*lacks, remedy] if (lacks := missing(self.protect)) else []

    def _protected(self) -> dict[str, list[Problem]]:
        """The questions of each benchmark that can be read here."""
        if lacks := self._unread():
            raise UserError("\n".join(lacks))
        readable = {name: source for name, source in self.protect.items() if not source.missing()}
        found = {}
        for name, source in readable.items():
            with blamed(f"evaluation.benchmarks.{name}.source"):
                found[name] = source.problems()
        return found


def solutions(problem: Problem) -> list[Attempt]:
    """The source's solutions in the form that grading takes; they were not sampled, so seed and tokens are 0."""
    return [
        Attempt(problem=problem.id, sample=n, seed=0, text=text, finish="stop", prompt_tokens=0, tokens=0)
        for n, text in enumerate(problem.solutions)
    ]


def _refuse_equal_ids(pool: list[Problem]) -> None:
    twice = [name for name, count in Counter(p.id for p in pool).items() if count > 1]
    if twice:
        raise UserError(
            f"data: {len(twice)} ids stand for several problems ({', '.join(twice[:3])} …); make ids unique"
        )
