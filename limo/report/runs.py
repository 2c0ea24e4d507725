"""What a run left on disk, read back: who it was, how it ended, what each stage said of itself, what its models scored."""

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from limo import UserError
from limo.records import (
    RESULTS,
    SUMMARIES,
    Asked,
    DataSummary,
    Expectation,
    Manifest,
    Results,
    SieveSummary,
    Status,
    TrainingSummary,
    read_record,
)
from limo.store import MANIFEST, Digests, fault
from limo.tasks import TASKS, made, stage_name

T = TypeVar("T")

READ = 1 << 20
"""Bytes of a result's file that a report reads whole, such as `results.json`; larger ones it takes by name and size."""


@dataclass(frozen=True, eq=False)
class Run:
    """One run, or what there is of it."""

    folder: Path
    name: str
    overrides: tuple[str, ...] = ()
    question: str | None = None
    expect: dict[str, Expectation] = field(default_factory=dict)
    seed: int | None = None
    strategy: str = ""
    size: int | None = None
    """Examples that were trained on; what the config asked for where none were selected yet."""
    state: str = "unfinished"
    """`done`, `failed`, or `unfinished` where it was killed or still runs."""
    error: str | None = None
    seconds: float | None = None
    summaries: dict[str, object] = field(default_factory=dict)
    """Task -> what its stage said of itself, a record."""
    manifests: dict[str, Manifest] = field(default_factory=dict)
    base: Results | None = None
    tuned: Results | None = None
    again: tuple[Path, ...] = ()
    """Folders of further runs with the very same results."""

    @property
    def final(self) -> Results | None:
        """The evaluation that the run is about: of the tuned model, else of the model as it came."""
        return self.tuned or self.base

    @property
    def data(self) -> DataSummary | None:
        found = self.summaries.get("data")
        return found if isinstance(found, DataSummary) else None

    @property
    def training(self) -> TrainingSummary | None:
        found = self.summaries.get("training")
        return found if isinstance(found, TrainingSummary) else None

    @cached_property
    def log(self) -> dict[str, tuple[Sequence[float], Sequence[float]]]:
        """Column of the training log (`training/metrics.csv`) -> the steps that have a value, and these."""
        path = self.folder / "training" / "metrics.csv"
        found: dict[str, tuple[array[float], array[float]]] = {}
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as handle:
                for row in csv.DictReader(handle):
                    step = row.pop("step", "")
                    for column, value in row.items() if step else ():
                        if value:
                            steps, values = found.setdefault(column, (array("d"), array("d")))
                            steps.append(float(step))
                            values.append(float(value))
        return dict(found)

    @property
    def sieves(self) -> dict[str, SieveSummary]:
        """What each sieve left, in their order: none has more problems than the one before it."""
        found = {
            task.partition("/")[2]: said for task, said in self.summaries.items() if isinstance(said, SieveSummary)
        }
        return dict(sorted(found.items(), key=lambda item: (-item[1].problems, -item[1].left)))

    @property
    def given(self) -> dict[str, str]:
        """Key -> value of its overrides, numbers in one spelling, so that 2e-3 and 0.002 are the same setting."""
        return given(self.overrides)

    @property
    def command(self) -> str:
        """What to type to get this run (again)."""
        return " ".join(["python -m limo", *(_quoted(o) for o in self.overrides)])


def given(overrides: Iterable[str]) -> dict[str, str]:
    """Key -> value of overrides, numbers in one spelling."""
    pairs = (override.partition("=")[::2] for override in overrides)
    return {key: _plain(value) for key, value in pairs}


def find(folders: Iterable[Path]) -> list[Run]:
    """Every run at or below the folders, in order; those with the very same results are one. Raises UserError where there is none."""
    found: dict[Path, Run] = {}
    for top in folders:
        if not top.is_dir():
            raise UserError(f"{top}: no such folder; give the folder of a run or of a sweep, such as outputs/lab")
        for place, below, files in os.walk(top):
            below[:] = sorted(d for d in below if not d.startswith("."))
            folder = Path(place)
            known = {"run.json", "status.json"} & set(files)
            if known or any((folder / "evaluation" / kind / RESULTS).is_file() for kind in ("base", "tuned")):
                found.setdefault(folder.resolve(), read(folder))
                below[:] = [d for d in below if d not in ("evaluation", *TASKS)]
    if not found:
        raise UserError(
            f"{', '.join(map(str, folders))}: no run in it (no run.json); give the folder of a run or of a sweep"
        )
    return _once(found.values())


def one(folder: Path) -> Run:
    """The only run at or below a folder. Raises UserError where there is none, or several."""
    found = find([folder])
    if len(found) > 1:
        names = ", ".join(str(run.folder) for run in found[:3])
        raise UserError(f"{folder}: {len(found)} runs are in it; give the folder of one, such as {names}")
    return found[0]


def _once(runs: Iterable[Run]) -> list[Run]:
    """One run for all whose results have the same keys in the store: side by side they would look like two seeds."""
    kept: dict[object, Run] = {}
    for run in runs:
        keys = tuple((task, manifest.key) for task, manifest in run.manifests.items())
        same = keys if keys and run.state == "done" else run.folder
        first = kept.setdefault(same, run)
        if first is not run:
            kept[same] = replace(first, again=(*first.again, run.folder))
    return list(kept.values())


def read(folder: Path) -> Run:
    """One run; whatever is missing stays empty. Raises UserError naming a result that is damaged, gone or of another version."""
    _sound(folder)
    asked, status = _record(folder / "run.json", Asked), _record(folder / "status.json", Status) or Status()
    summaries: dict[str, object] = {}
    tasks = made(folder)
    for task in tasks:
        kind = SUMMARIES.get(task) or SUMMARIES[stage_name(task)]
        if (found := _record(folder / task / "summary.json", kind)) is not None:
            summaries[task] = found
    manifests = {t: found for t in tasks if (found := _record(folder / t / "manifest.json", Manifest)) is not None}
    examples = folder / "selection" / "examples.jsonl"
    base, tuned = (_record(folder / "evaluation" / kind / RESULTS, Results) for kind in ("base", "tuned"))
    if asked and base and not tuned and "selection" not in summaries:
        asked = replace(asked, strategy=None, size=None)  # only evaluated: what would have been chosen says nothing
    return Run(
        folder=folder,
        name=asked.name if asked else folder.parent.name,
        overrides=asked.overrides if asked else status.overrides,
        question=asked.question if asked else None,
        expect=asked.expect if asked else {},
        seed=asked.seed if asked else None,
        strategy=(asked.strategy if asked else None) or "",
        size=_lines(examples) if examples.is_file() else asked.size if asked else None,
        state=status.state,
        error=status.error,
        seconds=status.seconds,
        summaries=summaries,
        manifests=manifests,
        base=base,
        tuned=tuned,
    )


def _sound(folder: Path) -> None:
    """Refuse a run whose results are not there any more, or are not what was stored: neither is the absence of a result."""
    for task in made(folder):
        result = folder / task
        if result.is_symlink() and not result.exists():
            raise UserError(
                f"{result}: its result is not at {result.readlink()}; run the same command again to make it anew, "
                "or move a run with limo export --pack or cp -rL, which take the results along"
            )
        if (result / MANIFEST).is_file() and (why := fault(result, Digests(), READ)):
            raise UserError(f"{result} is damaged ({why}); run the same command again to make it anew")


def curve(run: Run, column: str = "loss") -> tuple[list[float], list[float]]:
    """Steps and values of a column of the training log; empty without one."""
    steps, values = run.log.get(column, ((), ()))
    return list(steps), list(values)


def _record(path: Path, kind: type[T]) -> T | None:
    return read_record(path, kind) if path.exists() else None


def _lines(path: Path) -> int:
    with path.open("rb") as handle:
        return sum(1 for line in handle if line.strip())


def _quoted(override: str) -> str:
    return f"'{override}'" if any(c in override for c in " $'\"()[]{}*~&|;<>") else override


def _plain(value: str) -> str:
    try:
        return f"{float(value):g}"
    except ValueError:
        return value
