"""The stage that reads the pool, drops duplicates and leaked benchmark questions, and says which."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from limo import UserError, cluster, records, serial
from limo.config import component, held_to
from limo.data.contamination import Decontamination, Search
from limo.data.duplicates import LeftOut, clean
from limo.data.mixture import Mixture
from limo.data.protect import guarded, protected, unread
from limo.data.sift import Look, Seen
from limo.data.source import Data, Row, blamed, entries
from limo.data.spread import Engine, spread
from limo.data.table import ALIKE, Table
from limo.records import DataSummary, Gold, Problem, replacing
from limo.stage import Stage, summarise


@component
class DataStage(Stage):
    """Read the pool: `problems.jsonl`, their solutions in the form of attempts, so that they can be graded, in
    `solutions.jsonl`, and the reason of each problem left out in `dropped.jsonl`.
    """

    module: ClassVar[str] = "limo.data"
    version: ClassVar[int] = 5
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
            "near": getattr(self.data, "near", None),
            "rule": serial.fingerprint(rule, digest),
            "protect": serial.fingerprint(guarded(rule, self.protect), digest) if rule else None,
        }

    def missing(self) -> list[str]:
        name = "data." if isinstance(self.data, Table) else "data: "  # the sentences of a table begin with its key
        lacks = [f"{name}{sentence}" for sentence in self.data.missing()] or self._first_rows()
        engine = cluster.missing("data.engine=ray") if self._engine() == "ray" else []
        return [*lacks, *unread(self._rule(), self.protect), *engine]

    def _first_rows(self) -> list[str]:
        """What is wrong with the first rows of tables that lie here, one sentence each."""
        parts = self.data.parts if isinstance(self.data, Mixture) else {}
        found = []
        for key, source in {"data": self.data, **{f"data.parts.{name}": part for name, part in parts.items()}}.items():
            try:
                if isinstance(source, Table) and source.here:
                    deque(itertools.islice(source.entries(), ALIKE), maxlen=0)
            except UserError as fault:
                found.append(f"{key}: {fault}")
        return found

    def run(self, folder: Path) -> None:
        rule = self._rule()
        questions = protected(rule, self.protect) if rule else {}
        search = Search(rule, questions) if rule else None
        spool, near = folder / "pool.jsonl", getattr(self.data, "near", None)
        bad: list[LeftOut] = []
        marred: list[str] = []
        pool = list(spread(Look(search, near is not None).at, self._spooled(spool, bad, marred), self._engine()))
        _refuse_equal_ids(pool)
        done = clean(pool, self._duplicates(), near)
        leaks = _leaks(search, done.kept.values()) if search else []
        if rule and leaks:
            _obey(rule, leaks, folder)
        dropped = [*bad, *done.dropped, *(leaks if rule and rule.action == "drop" else ())]
        kept = done.kept.keys() - {why.id for why in dropped}
        reasons = Counter(str(why.reason) for why in dropped)
        read = len(pool) + len(bad)
        if not kept:
            told = ", ".join(f"{reason}: {n}" for reason, n in reasons.items()) or "the source is empty"
            raise UserError(
                f"data: none of {read} problems is left ({told}); check its columns or loosen data.decontamination"
            )
        place = {problem.id: number for number, problem in enumerate(pool)}
        records.write(folder / "dropped.jsonl", sorted(dropped, key=lambda why: place.get(why.id, -1)))
        written = _write(folder, spool, kept, done.same if self._duplicates() == "merge" else {})
        spool.unlink()
        found = DataSummary(
            read=read,
            kept=len(kept),
            solutions=written,
            dropped=dict(reasons),
            leaks=dict(Counter(why.match.benchmark for why in leaks if why.match)),
            protected={name: len(problems) for name, problems in questions.items()},
            unchecked=tuple(name for name in guarded(rule, self.protect) if name not in questions) if rule else (),
            unreadable=len(marred),
        )
        summarise(folder, found)

    def _spooled(self, spool: Path, bad: list[LeftOut], marred: list[str]) -> Iterator[str]:
        """The problems of the source as lines, each written as it comes; those that cannot be used go to `bad`, and the ids of
        those in which a character is lost to `marred`."""
        with blamed("data"), spool.open("w", encoding="utf-8") as handle:
            for row in entries(self.data):
                if isinstance(row, Row):
                    line = records.line(row.problem)
                    handle.write(line)
                    if "\ufffd" in line:
                        marred.append(row.problem.id)
                    yield line
                else:
                    bad.append(LeftOut(row.place, "", "bad row", why=row.reason))

    def _engine(self) -> Engine:
        engine: Engine = getattr(self.data, "engine", "local")
        return engine

    def _duplicates(self) -> str:
        return str(getattr(self.data, "duplicates", "drop"))

    def _rule(self) -> Decontamination | None:
        rule: Decontamination | None = getattr(self.data, "decontamination", Decontamination())
        return rule if guarded(rule, self.protect) else None


def _write(folder: Path, spool: Path, kept: Set[str], merged: Mapping[str, str]) -> int:
    """The problems that are kept, those of `merged` with the solutions of their duplicates; how many solutions."""
    more: dict[str, list[str]] = defaultdict(list)
    for problem in map(_problem, spool.open(encoding="utf-8") if merged else ()):
        if (of := merged.get(problem.id)) is not None:
            more[of] += problem.solutions
    count = 0
    with (
        replacing(folder / "problems.jsonl") as one,
        replacing(folder / "solutions.jsonl") as other,
        one.open("w", encoding="utf-8") as problems,
        other.open("w", encoding="utf-8") as solved,
    ):
        for line in spool.open(encoding="utf-8"):
            problem = _problem(line)
            if problem.id not in kept:
                continue
            if problem.id in more:
                every = tuple(dict.fromkeys((*problem.solutions, *more[problem.id])))
                problem = dataclasses.replace(problem, solutions=every)
                line = records.line(problem)
            problems.write(line)
            solved.writelines(records.line(s) for s in records.unsampled(problem.id, problem.solutions))
            count += len(problem.solutions)
    return count


def _problem(line: str) -> Problem:
    row = json.loads(line)
    return Problem(**{**row, "gold": Gold(**row["gold"]), "solutions": tuple(row["solutions"])})


def _leaks(search: Search, kept: Iterable[Seen]) -> list[LeftOut]:
    seen = [p for p in kept if p.trace]
    matches = search.leaks((p.id, p.mark, p.trace) for p in seen if p.trace)
    return [LeftOut(p.id, p.question, "benchmark question", match=matches[p.id]) for p in seen if p.id in matches]


def _obey(rule: Decontamination, leaks: list[LeftOut], folder: Path) -> None:
    """Report the leaks or stop where the rule says so."""
    first, match = leaks[0], leaks[0].match
    if rule.action == "fail" and match:
        raise UserError(
            f"data.decontamination.action=fail: {len(leaks)} problems leak, {first.id} is {match.benchmark} {match.problem} "
            f"({match.method}: {match.text[:80]}); remove them, or set action=drop"
        )
    if rule.action == "report":
        records.write(folder / "matches.jsonl", leaks)


def _refuse_equal_ids(pool: list[Seen]) -> None:
    twice = [name for name, count in Counter(p.id for p in pool).items() if count > 1]
    if twice:
        raise UserError(
            f"data: {len(twice)} ids stand for several problems ({', '.join(twice[:3])} …); make ids unique"
        )
