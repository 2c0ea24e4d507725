"""A run as plain objects, for notebooks and scripts: `limo.load("outputs/lab/default")`."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml  # type: ignore[import-untyped]

from limo import UserError
from limo.folders import small
from limo.records import ANSWERS, Answer, Dropped, Example, Manifest, Record, Results, read
from limo.report.replies import answers_in, files_of
from limo.report.runs import Run, find, one
from limo.report.settings import MEAN, change
from limo.spelling import meant
from limo.statistics import Difference

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")
WHICH = ("tuned", "base")
"""Models that a run evaluates, the one it is about first."""


class Rows(list[T]):
    """Records in order; `frame` gives them as a table."""

    def frame(self) -> pandas.DataFrame:
        """A row for each record; what lies within one has a column of its own, such as `scores.quality`."""
        import pandas

        plain = [dataclasses.asdict(row) if dataclasses.is_dataclass(row) else row for row in self]  # type: ignore[arg-type]
        return pandas.json_normalize(plain)


@dataclass(frozen=True)
class Measured:
    """One model on one benchmark; accuracies and shares from 0 to 1."""

    which: str
    """`tuned` or `base`."""
    benchmark: str
    accuracy: float
    low: float
    """Ends of the 95 % interval."""
    high: float
    questions: int
    samples: int
    no_answer: float
    cut: float
    repetition: float
    tokens: float
    """Mean of an answer."""
    model: str


@dataclass(frozen=True)
class Loaded:
    """What a run left; its files are read when they are asked for, and once."""

    run: Run

    @property
    def folder(self) -> Path:
        return self.run.folder

    @cached_property
    def config(self) -> dict[str, Any]:
        """The whole config as it was run. Raises UserError where it is not there or not one."""
        return config_of(self.folder)

    @property
    def summaries(self) -> dict[str, object]:
        """Task -> what its stage said of itself."""
        return self.run.summaries

    @property
    def manifests(self) -> dict[str, Manifest]:
        """Task -> from what its result was made, by what, where and when."""
        return self.run.manifests

    @property
    def evaluations(self) -> dict[str, Results]:
        """`tuned` and `base`, those that there are -> all that was measured."""
        found = {"tuned": self.run.tuned, "base": self.run.base}
        return {which: results for which, results in found.items() if results}

    @cached_property
    def results(self) -> Rows[Measured]:
        """A row for each model and benchmark."""
        return Rows(_measured(self.evaluations))

    @cached_property
    def examples(self) -> Rows[Example]:
        """The chosen ones, best first; empty where none were chosen."""
        return self._rows("examples.jsonl", Example)

    @cached_property
    def dropped(self) -> Rows[Dropped]:
        """The candidates that were left out, with step and reason."""
        return self._rows("dropped.jsonl", Dropped)

    @cached_property
    def steps(self) -> Rows[dict[str, float]]:
        """What training logged, a row a time: step, loss, lr and so on; empty where nothing was trained."""
        path = self.folder / "training" / "metrics.csv"
        if not path.is_file():
            return Rows()
        with path.open(encoding="utf-8", newline="") as handle:
            return Rows({k: float(v) for k, v in row.items() if v} for row in csv.DictReader(handle))

    def answers(self, benchmark: str | None = None, which: str | None = None) -> Rows[Answer]:
        """The answers to a benchmark, or all; of the tuned model where there is one, or of `which`. Raises UserError."""
        return Rows(answers_in(files_of(evaluation(self.folder, which), benchmark).values()))

    def against(self, other: Loaded, benchmark: str, which: str = "tuned") -> Difference | None:
        """How much better this run's model is than that of another, on the questions of both; None where they share none.

        `benchmark` may be `mean`. Raises UserError where one of the runs has no such benchmark or model.
        """
        if not isinstance(other, Loaded):
            raise UserError(f"against: {other!r} is no run; give what limo.load(folder) returns")
        return change([other._with(benchmark, which)], [self._with(benchmark, which)], benchmark)

    def _with(self, benchmark: str, which: str) -> Results:
        """The evaluation of a model that has a benchmark. Raises UserError."""
        found = self.evaluations.get(which)
        if found is None:
            there = ", ".join(self.evaluations) or "none"
            raise UserError(f"model {which}: not measured in {self.folder}{meant(which, WHICH)}; it has {there}")
        if benchmark not in (names := [*found.benchmarks, MEAN]):
            near = meant(benchmark, names)
            raise UserError(f"benchmark {benchmark}: not in {self.folder}{near}; it has {', '.join(names)}")
        return found

    def _rows(self, file: str, kind: type[Record]) -> Rows[Record]:
        path = self.folder / "selection" / file
        return Rows(read(path, kind)) if path.is_file() else Rows()


def load(run: str | Path) -> Loaded:
    """The only run at or below a folder. Raises UserError where there is none or several, or a result is damaged."""
    return Loaded(one(Path(run)))


def load_all(folder: str | Path) -> list[Loaded]:
    """Every run at or below a folder, such as those of a sweep. Raises UserError where there is none, or a result is damaged."""
    return [Loaded(run) for run in find([Path(folder)])]


def config_of(folder: Path) -> dict[str, Any]:
    """The composed config of a run, `config.yaml`. Raises UserError where it cannot be read."""
    path = folder / "config.yaml"
    try:
        found = yaml.safe_load(small(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; run the same command again to write it anew") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: not a config; run the same command again to write it anew")
    return found


def evaluation(run: Path, which: str | None = None) -> Path:
    """The folder of a run's evaluation, by default of the tuned model where there is one; or the folder itself, such as a result
    of the store. Raises UserError.
    """
    if run.is_dir() and next(run.glob(f"*/{ANSWERS}"), None):
        return run
    place = one(run).folder / "evaluation"
    for kind in [which] if which else WHICH:
        if next((place / kind).glob(f"*/{ANSWERS}"), None):
            return place / kind
    there = [kind for kind in WHICH if (place / kind).is_dir()]
    raise UserError(f"{place.parent}: no answers of {which or 'a model'} in it; it has {', '.join(there) or 'none'}")


def _measured(evaluations: dict[str, Results]) -> Iterator[Measured]:
    for which, results in evaluations.items():
        for name, found in results.benchmarks.items():
            yield Measured(
                which=which,
                benchmark=name,
                accuracy=found.accuracy,
                low=found.interval.low,
                high=found.interval.high,
                questions=found.n,
                samples=found.samples,
                no_answer=found.no_answer,
                cut=found.cut,
                repetition=found.repetition,
                tokens=found.tokens,
                model=results.model,
            )
