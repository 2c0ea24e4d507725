"""What choosing cost beside training: tokens, time, GPU hours of each task whose result a run's selection goes by."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limo.records import AttemptsSummary, Manifest, ParaphrasesSummary, ScoresSummary, TrainingSummary
from limo.report.html import table
from limo.report.names import apart
from limo.report.parts import Pieces
from limo.report.runs import Run
from limo.report.settings import Setting
from limo.selection.reads import reads
from limo.tasks import TASKS, stage_name

TITLE = "What choosing cost beside training"
COUNTED = "of the processes that finished each result, whichever run they belong to; attempts and scores that decided nothing are left out"
APART = (
    f"{COUNTED}. Candidates: the data, and attempts that rule out problems or may be learned from; choice: the selection, and what it "
    "reads of attempts, scores and grades. What settings share is counted for each"
)
HEAD = ("tokens", "time", "GPU hours")
NOTHING = "—"
SHARED = ("data", "paraphrases", "candidates")
"""Tasks that make the candidates, with the sieves that decide them."""


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
        """As `HEAD` names them."""
        hours = f"{self.gpu_seconds / 3600:,.2f}" if self.gpu_seconds else NOTHING
        return [f"{self.tokens:,}" if self.tokens else NOTHING, duration(self.seconds), hours]


def costs(run: Run) -> dict[str, Cost]:
    """Task -> what it took, of those that the choice goes by and of the training, in their order."""
    place = {task: n for n, task in enumerate(TASKS)}
    idle = _idle(run)
    tasks = [task for task in run.manifests if not task.startswith("evaluation") and task not in idle]
    tasks.sort(key=lambda task: place.get(stage_name(task), len(place)))
    return {task: _cost(run.manifests[task], run.summaries.get(task)) for task in tasks}


def _idle(run: Run) -> set[str]:
    """Attempts and scores that were made, and decide neither the candidates nor the choice among them."""
    before, stage = _config(run, "candidates"), _config(run, "selection")
    if not before or not stage:
        return set()
    sieves, tables = set(before["sieves"]), set(stage["scores"])
    read, looked = reads(stage["selection"], before["sieves"], tables)
    return _of(sieves - read - _deciding(run)) | {f"scores/{name}" for name in tables - looked}


def _deciding(run: Run) -> set[str]:
    """Sieves that decide which candidates there are: by a rule on their counts, or with attempts that may be learned from."""
    before = _config(run, "candidates")
    ruling = {name for name in before.get("sieves", ()) if _config(run, f"grades/{name}").get("keep") is not None}
    if before.get("which", "source") == "source":
        return ruling
    answering, teachers = set(before["attempts"]), before["teachers"]
    return ruling | (answering if teachers is None else answering & set(teachers))


def _config(run: Run, task: str) -> Mapping[str, Any]:
    """A stage's config; nothing where it is not known."""
    manifest = run.manifests.get(task)
    return (manifest.config if manifest else None) or {}


def _of(sieves: Iterable[str]) -> set[str]:
    return {f"{stage}/{name}" for name in sieves for stage in ("attempts", "grades")}


def _cost(manifest: Manifest, said: object) -> Cost:
    counted = AttemptsSummary | ParaphrasesSummary | ScoresSummary | TrainingSummary
    tokens = said.tokens if isinstance(said, counted) else 0
    return Cost(tokens, manifest.seconds, manifest.seconds * manifest.gpus)


def split(found: Mapping[str, Cost]) -> tuple[Cost, Cost]:
    """Choosing, training."""
    return _sum(one for task, one in found.items() if task != "training"), found.get("training", Cost())


def _parts(run: Run) -> dict[str, Cost]:
    """Choosing by what its candidates took and what the choice among them, and training."""
    found, shared = costs(run), {*SHARED, *_of(_deciding(run))}
    own = _sum(one for task, one in found.items() if task not in {*shared, "training"})
    candidates = _sum(one for task, one in found.items() if task in shared)
    return {"candidates": candidates, "choice": own, "training": split(found)[1]}


def _sum(of: Iterable[Cost]) -> Cost:
    return sum(of, Cost())


def spent(settings: Sequence[Setting]) -> Pieces:
    """What choosing took, and training: by task of one run, by setting of several; nothing where no run chose anything."""
    runs = {run: found for setting in settings for run in setting.runs if set(found := costs(run)) - {"data"}}
    runs = {run: found for run, found in runs.items() if split(found)[0].seconds}
    if not runs:
        return []
    if len(runs) == 1:
        (found,) = runs.values()
        chosen, trained = split(found)
        body = [[task, *one.cells] for task, one in found.items() if task != "training"]
        body += [["choosing in all", *chosen.cells], ["training", *trained.cells]]
        return [table(TITLE, ["task", *HEAD], body, note=COUNTED)]
    body, who = [], ["candidates", "choice", "training"]
    heads, names = apart(settings)
    for setting in settings:
        if own := [_parts(run) for run in setting.runs if run in runs]:
            cells = [cell for part in who for cell in mean(parts[part] for parts in own).cells]
            body.append([*names[setting], *cells])
    head = [*heads, *(f"{part}: {what}" for part in who for what in HEAD)]
    said = [i for i in range(len(head)) if any(row[i] != NOTHING for row in body)]
    return [table(TITLE, [head[i] for i in said], [[row[i] for i in said] for row in body], note=APART)]


def line(run: Run) -> str:
    """`choosing: 12,345 tokens, 41.2 s; training: 1,234,567 tokens, 1 min 36 s` for the terminal; nothing without both."""
    chosen, trained = split(costs(run))
    if not chosen.seconds or not trained.seconds:
        return ""
    return "; ".join(f"{who}: {_words(one)}" for who, one in (("choosing", chosen), ("training", trained)))


def _words(one: Cost) -> str:
    tokens, seconds, hours = one.cells
    return ", ".join(
        [f"{tokens} tokens"] * (tokens != NOTHING) + [seconds] + [f"{hours} GPU hours"] * (hours != NOTHING)
    )


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
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
