"""A suite: benchmarks by name, and what is done with all of them alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from limo import UserError
from limo.config import component, runtime
from limo.data import Data, Table, missing
from limo.engine import Forcing
from limo.evaluation.benchmark import Benchmark
from limo.evaluation.judge import Judge
from limo.hub import Remote, origins
from limo.models import Model
from limo.serial import fingerprint


@component
class Evaluation:
    """A suite: benchmarks by name, so that one can be changed or left out from the command line."""

    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    """Name -> benchmark; `~evaluation.benchmarks.<name>` leaves one out."""
    limit: int | None = None
    """Most questions of each benchmark, whatever its own limit; null caps none."""
    max_tokens: int | None = None
    """Longest answer in tokens, whatever a benchmark's own; null caps none."""
    forcing: Forcing | None = None
    """Budget forcing for all benchmarks; null leaves each its own."""
    data_dir: Path | None = runtime(default=None)
    """A local folder with the benchmarks' files; None takes each from its pinned repository."""
    base: bool = runtime(default=True)
    """Whether the model before training is evaluated too, where a run trains one."""
    paper_rules: bool = True
    """Whether answers are graded a second time as LIMO's own code does, for comparison with published numbers."""
    judge: Judge | None = None
    """A second model for the benchmarks that ask for one (`judge: true`); None leaves them to the rules."""

    def __post_init__(self) -> None:
        for name, cap in (("limit", self.limit), ("max_tokens", self.max_tokens)):
            if cap is not None and cap < 1:
                raise ValueError(f"{name}={cap} must be 1 or more, or null")
        for name, one in self.benchmarks.items():
            forcing = self.forcing or one.forcing
            if forcing and (fault := forcing.beyond(self._most(one))):
                raise ValueError(f"benchmark {name}: {fault}")
        if isinstance(self.data_dir, Path) and not self.data_dir.expanduser().is_dir():
            raise ValueError(
                f"data_dir={self.data_dir} is no folder; give the one that holds the benchmarks' JSONL files, or null"
            )

    def sources(self) -> dict[str, Data]:
        """Where each benchmark's questions come from, by name: what training data must not contain."""
        return {name: benchmark.source for name, benchmark in self.placed().items()}

    def placed(self) -> dict[str, Benchmark]:
        """The benchmarks, each under the caps of all and reading from `data_dir` where that is given."""
        return {name: self._capped(benchmark).at(self.data_dir) for name, benchmark in self.benchmarks.items()}

    def longest(self, model: Model) -> int | None:
        """Tokens of the longest prompt and answer that the model is served for."""
        return max((one.sampling.longest(model) for one in self.placed().values()), default=None)

    def _capped(self, one: Benchmark) -> Benchmark:
        limit = min((cap for cap in (one.limit, self.limit) if cap), default=None)
        return replace(one, limit=limit, max_tokens=self._most(one), forcing=self.forcing or one.forcing)

    def _most(self, one: Benchmark) -> int:
        return min(one.max_tokens, self.max_tokens or one.max_tokens)

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """What its results depend on: benchmarks with the content of their files, not where the files lie."""
        judge = fingerprint(self.judge, digest) if self._judged else None
        return {"benchmarks": fingerprint(self.placed(), digest), "paper_rules": self.paper_rules, "judge": judge}

    def origins(self) -> list[Remote]:
        """The repositories of its benchmarks, and of the judge where one is asked."""
        return [*origins(self.placed()), *(origins(self.judge) if self._judged else ())]

    def missing(self) -> list[str]:
        """Which benchmarks, or their judge, cannot be had here, one sentence each."""
        if not self.benchmarks:
            return [
                "evaluation.benchmarks is empty; choose a suite (evaluation=lab) or leave evaluation out of `stages`"
            ]
        lacks = missing(self.sources()) or self.faults(here=True)
        if self.judge and self._judged:
            lacks += self.judge.missing()
        return lacks

    def faults(self, here: bool) -> list[str]:
        """What is wrong with the tables that lie here, or with those to be fetched, one sentence each: not after hours of training."""
        found = []
        for name, benchmark in self.placed().items():
            try:
                if isinstance(benchmark.source, Table) and benchmark.source.here == here:
                    benchmark.load()
            except UserError as fault:
                found.append(f"evaluation.benchmarks.{name}: {fault}")
        return found

    @property
    def _judged(self) -> bool:
        return any(benchmark.judge for benchmark in self.benchmarks.values())
