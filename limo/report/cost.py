"""What choosing cost beside training: tokens, time, GPU hours of each task of a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from limo.records import AttemptsSummary, Manifest, ParaphrasesSummary, ScoresSummary, TrainingSummary
from limo.report.runs import Run
from limo.tasks import TASKS, stage_name


@dataclass(frozen=True)
class Cost:
    """What a task took, or several together."""

    tokens: int = 0
    """Written or read by a model."""
    seconds: float = 0.0
    gpu_seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.tokens + other.tokens, self.seconds + other.seconds, self.gpu_seconds + other.gpu_seconds)

    @property
    def cells(self) -> list[str]:
        hours = f"{self.gpu_seconds / 3600:,.2f}" if self.gpu_seconds else "—"
        return [f"{self.tokens:,}" if self.tokens else "—", duration(self.seconds), hours]


def costs(run: Run) -> dict[str, Cost]:
    """Task -> what it took, of those that choose and of the training, in their order."""
    place = {task: n for n, task in enumerate(TASKS)}
    tasks = [task for task in run.manifests if not task.startswith("evaluation")]
    tasks.sort(key=lambda task: place.get(stage_name(task), len(place)))
    return {task: _cost(run.manifests[task], run.summaries.get(task)) for task in tasks}


def _cost(manifest: Manifest, said: object) -> Cost:
    counted = AttemptsSummary | ParaphrasesSummary | ScoresSummary | TrainingSummary
    tokens = said.tokens if isinstance(said, counted) else 0
    return Cost(tokens, manifest.seconds, manifest.seconds * manifest.gpus)


def split(found: Mapping[str, Cost]) -> tuple[Cost, Cost]:
    """Choosing, training."""
    chosen = sum((one for task, one in found.items() if task != "training"), Cost())
    return chosen, found.get("training", Cost())


def line(run: Run) -> str:
    """`choosing: 12,345 tokens, 41.2 s; training: 1,234,567 tokens, 1 min 36 s` for the terminal; nothing without both."""
    chosen, trained = split(costs(run))
    if not chosen.seconds or not trained.seconds:
        return ""
    return "; ".join(f"{who}: {_words(one)}" for who, one in (("choosing", chosen), ("training", trained)))


def _words(one: Cost) -> str:
    tokens, seconds, hours = one.cells
    return ", ".join([f"{tokens} tokens"] * (tokens != "—") + [seconds] + [f"{hours} GPU hours"] * (hours != "—"))


def mean(of: Iterable[Cost]) -> Cost:
    """Of several runs."""
    every = list(of)
    return Cost(
        round(statistics.fmean(one.tokens for one in every)),
        statistics.fmean(one.seconds for one in every),
        statistics.fmean(one.gpu_seconds for one in every),
    )


def duration(seconds: float | None) -> str:
    """`1 h 02 min`, `3 min 20 s`, `8.4 s`."""
    if seconds is None:
        return "—"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
