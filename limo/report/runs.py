"""What a run left on disk, read back: who it was, how it ended, what each stage said of itself, what its models
scored.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from limo import UserError
from limo.pipeline import TASKS


@dataclass(frozen=True)
class Score:
    """One model on one benchmark; shares and accuracies are 0 to 1."""

    benchmark: str
    accuracy: float
    interval: tuple[float, float] | None = None
    """Questions as the sample; clustered by question."""
    fixed: tuple[float, float] | None = None
    """The same questions asked again."""
    method: str = ""
    n: int = 0
    samples: int = 1
    finish: dict[str, float] = field(default_factory=dict)
    no_answer: float | None = None
    truncated: float | None = None
    repetition: float | None = None
    tokens: float | None = None
    detectable: float | None = None
    """Smallest true difference that this many questions would show."""
    passes: dict[str, float] = field(default_factory=dict)
    majority: dict[str, float] = field(default_factory=dict)
    paper: float | None = None
    """Accuracy as LIMO's own grader would have it."""
    domain: str = ""
    questions: dict[str, list[int]] = field(default_factory=dict)
    """Right or wrong for each sample of each question."""
    protocol: dict[str, Any] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    judge: dict[str, Any] = field(default_factory=dict)

    @property
    def cut(self) -> float | None:
        """Share of answers that did not come to their own end."""
        if "stop" in self.finish or "length" in self.finish:
            return 1 - self.finish.get("stop", 0.0)
        return self.truncated


@dataclass(frozen=True)
class Results:
    """`results.json` of one evaluation."""

    model: str
    scores: dict[str, Score]
    mean: float | None = None
    mean_interval: tuple[float, float] | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    """The file as it is, for comparisons that need all of it."""


@dataclass(frozen=True)
class Run:
    """One run of the road, or what there is of it."""

    folder: Path
    name: str
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    strategy: str = ""
    size: int | None = None
    """Examples that were trained on; what the config asked for where none were selected yet."""
    state: str = "unfinished"
    """`done`, `failed`, or `unfinished` where it was killed or still runs."""
    error: str | None = None
    seconds: float | None = None
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    base: Results | None = None
    tuned: Results | None = None
    again: tuple[Path, ...] = ()
    """Folders of further runs with the very same results."""

    @property
    def final(self) -> Results | None:
        """The evaluation that the run is about: of the tuned model, else of the model as it came."""
        return self.tuned or self.base

    @property
    def command(self) -> str:
        """What to type to get this run (again)."""
        return " ".join(["python -m limo", *(_quoted(o) for o in self.overrides)])


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
            if known or any((folder / "evaluation" / kind / "results.json").is_file() for kind in ("base", "tuned")):
                found.setdefault(folder.resolve(), read(folder))
                below[:] = [d for d in below if d not in ("evaluation", *TASKS)]
    if not found:
        raise UserError(
            f"{', '.join(map(str, folders))}: no run in it (no run.json); give the folder of a run or of a sweep"
        )
    return _once(found.values())


def _once(runs: Iterable[Run]) -> list[Run]:
    """One run for all whose results have the same keys in the store: side by side they would look like two seeds."""
    kept: dict[object, Run] = {}
    for run in runs:
        keys = tuple((step, str(manifest.get("key"))) for step, manifest in run.manifests.items())
        same = keys if keys and run.state == "done" else run.folder
        first = kept.setdefault(same, run)
        if first is not run:
            kept[same] = replace(first, again=(*first.again, run.folder))
    return list(kept.values())


def read(folder: Path) -> Run:
    """One run; whatever is missing stays empty."""
    facts, status = _json(folder / "run.json"), _json(folder / "status.json")
    summaries = {step: found for step in TASKS if (found := _json(folder / step / "summary.json"))}
    manifests = {step: found for step in TASKS if (found := _json(folder / step / "manifest.json"))}
    examples = folder / "selection" / "examples.jsonl"
    base, tuned = (results(folder / "evaluation" / kind / "results.json") for kind in ("base", "tuned"))
    if base and not tuned and "selection" not in summaries:  # only evaluated: what would have been chosen says nothing
        facts = {key: value for key, value in facts.items() if key not in ("strategy", "size")}
    return Run(
        folder=folder,
        name=facts.get("name") or folder.parent.name,
        overrides=tuple(facts.get("overrides") or status.get("overrides") or ()),
        seed=facts.get("seed"),
        strategy=facts.get("strategy") or "",
        size=_lines(examples) if examples.is_file() else facts.get("size"),
        state=status.get("state", "unfinished"),
        error=status.get("error"),
        seconds=status.get("seconds"),
        summaries=summaries,
        manifests=manifests,
        base=base,
        tuned=tuned,
    )


def results(path: Path) -> Results | None:
    """An evaluation's `results.json`, or None where there is none."""
    found = _json(path)
    if not found:
        return None
    mean = found.get("mean") or {}
    scores = {name: _score(name, row) for name, row in found.get("benchmarks", {}).items()}
    return Results(str(found.get("model", "")), scores, mean.get("accuracy"), _pair(mean.get("interval")), found)


def curve(run: Run, column: str = "loss") -> tuple[list[float], list[float]]:
    """Steps and values of a column of the training log (`training/metrics.csv`); empty without one."""
    path = run.folder / "training" / "metrics.csv"
    steps: list[float] = []
    values: list[float] = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                if row.get("step") and row.get(column):
                    steps.append(float(row["step"]))
                    values.append(float(row[column]))
    return steps, values


def rows(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file; empty without one."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as handle:
        return [json.loads(line) for line in handle if line.strip()]


def _score(name: str, row: dict[str, Any]) -> Score:
    paper = row.get("paper_rules") or {}
    return Score(
        benchmark=name,
        accuracy=row["accuracy"],
        interval=_pair(row.get("interval")),
        fixed=_pair(row.get("fixed_interval")),
        method=row.get("interval_method") or "",
        n=row.get("n", 0),
        samples=row.get("samples", 1),
        finish=row.get("finish") or {},
        no_answer=row.get("no_answer"),
        truncated=row.get("truncated"),
        repetition=row.get("repetition"),
        tokens=row.get("tokens"),
        detectable=row.get("detectable"),
        passes=row.get("pass") or {},
        majority=row.get("maj") or {},
        paper=paper.get("accuracy"),
        domain=row.get("domain") or "",
        questions=row.get("questions") or {},
        protocol=row.get("protocol") or {},
        verdicts=row.get("verdicts") or {},
        judge=row.get("judge") or {},
    )


def _pair(value: Any) -> tuple[float, float] | None:
    return (float(value[0]), float(value[1])) if value else None


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); run the same command again to write it anew") from None
    return found


def _lines(path: Path) -> int:
    with path.open("rb") as handle:
        return sum(1 for line in handle if line.strip())


def _quoted(override: str) -> str:
    return f"'{override}'" if any(c in override for c in " $'\"()[]{}*~&|;<>") else override
