"""What a run would take: stages and which are in the store, tokens and steps, memory per GPU, disk, GPU hours; nothing
is started.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limo import hardware, pipeline, tasks
from limo.attempts import Attempts
from limo.config import Config
from limo.hardware import Gpu
from limo.models import Architecture
from limo.placement import Machine
from limo.plan import target
from limo.plan.amounts import Amounts, amounts
from limo.plan.generation import Generation, generations, place
from limo.plan.scoring import Scoring, scorings
from limo.plan.training import TrainingPlan, training
from limo.records import AttemptsSummary
from limo.stage import Pending, Stage, summary
from limo.training import needs

TEXT = 2 * 3.5
"""Bytes a generated token takes: once in the log of completions, once in the result."""


@dataclass(frozen=True)
class Plan:
    """What a run would take."""

    name: str
    shape: Architecture | None
    tasks: tuple[tuple[str, bool], ...]
    """Name of each task, and whether the store has its result."""
    machine: Machine
    """What memory and hours are told for."""
    seen: bool
    """Whether that is the machine given."""
    amounts: Amounts
    training: TrainingPlan | None
    generations: tuple[Generation, ...]
    scorings: tuple[Scoring, ...]
    disk: dict[str, float]
    """What for -> bytes."""
    free: int
    """Bytes that the disk of the store has left."""
    refused: tuple[str, ...]
    """What the machine given lacks: the sentences with which a run is refused on it."""
    notes: tuple[str, ...]
    """What will go otherwise than one may expect."""


def plan(config: Config, found: Mapping[str, Path | None], gpus: Sequence[Gpu], host: int = 0) -> Plan:
    """The plan of a run from its config, the tasks with the results that the store has, the GPUs and the main memory
    (bytes; 0 where not known) of each machine. Starts and writes nothing.
    """
    shape = config.model.shape() if config.model else None
    given, free = target.machine(config, gpus, host), hardware.free_disk(Path(config.store))
    machine = target.planned(given, shape)
    sizes = amounts(config, found)
    answers = tuple(generations(config, machine, sizes, found))
    trains = "training" in config.stages and config.training and found.get("training") is None
    return Plan(
        name=config.name,
        shape=shape,
        tasks=tuple((name, place is not None) for name, place in found.items()),
        machine=machine,
        seen=machine == given,
        amounts=sizes,
        training=training(config, shape, machine, sizes) if trains and shape else None,
        generations=answers,
        scorings=tuple(scorings(config, machine, sizes, found)),
        disk=disk(config, shape, machine, answers, found),
        free=free,
        notes=tuple(dict.fromkeys(_notes(config, found))),
        refused=tuple(
            dict.fromkeys(
                [*_unusable(config, gpus, found), *_refused(config, given, sizes, found, free if trains else None)]
            )
        ),
    )


def disk(
    config: Config,
    shape: Architecture | None,
    machine: Machine,
    answers: Sequence[Generation],
    found: Mapping[str, Path | None],
) -> dict[str, float]:
    """Bytes: weights to download, checkpoints while training, exported weights, texts of answers."""
    taken: dict[str, float] = {}
    if shape and config.model.local is None:
        taken["weights from the hub"] = 2.0 * shape.parameters
    if shape and config.training and found.get("training", Path()) is None:
        written = needs.Needs(config.training, config.optimizer, shape, False, machine).disk
        taken["checkpoints while training"] = float(written.checkpoints)
        taken["exported weights"] = float(written.exported)
    if texts := sum(one.tokens or 0 for one in answers):
        taken["answers"] = TEXT * texts
    return taken


def _notes(config: Config, found: Mapping[str, Path | None]) -> list[str]:
    """What the stages to be run say of themselves, and what those in the store came to."""
    said: list[str] = []

    def look(name: str, stage: Stage) -> Path:
        place = found.get(name)
        if place is None:
            said.extend(pipeline.standing_in(stage, config.model).notes())
        elif name.startswith("attempts/"):
            warning = summary(place, AttemptsSummary).warning(name.partition("/")[2])
            said.extend([warning] if warning else [])
        return place or Pending.at(name)

    tasks.walk(config, look)
    return said


def _unusable(config: Config, gpus: Sequence[Gpu], found: Mapping[str, Path | None]) -> list[str]:
    """That the GPUs seen here cannot be used by the torch of a stage to be run, one sentence each; nothing of other GPUs."""
    if tuple(gpus) != hardware.gpus():
        return []
    pythons = set[str]()

    def look(name: str, stage: Stage) -> Path:
        if found.get(name) is None and stage.accelerated:
            pythons.add(tasks.python_of(config, name))
        return found.get(name) or Pending.at(name)

    tasks.walk(config, look)
    return [sentence for python in sorted(pythons) for sentence in hardware.unusable(python)]


def _refused(
    config: Config, given: Machine, sizes: Amounts, found: Mapping[str, Path | None], free: int | None
) -> Iterator[str]:
    if free is not None:
        store = Path(config.store).absolute()
        yield from needs.lacks(config.training, config.optimizer, config.model, given, store, free)
        yield from config.model.faults(training=True)
    for name, sieve in config.attempts.items():
        if isinstance(sieve, Attempts) and found.get(f"attempts/{name}", Path()) is None:
            yield from sieve.lacks(name, sieve.model or config.model)
    for one in generations(config, given, sizes, found):
        yield from one.lacks
        yield from one.model.faults()
    suite = config.evaluation
    judged = any(found.get(task, Path()) is None for task in ("evaluation/base", "evaluation/tuned"))
    if judged and suite and suite.judge and any(benchmark.judge for benchmark in suite.benchmarks.values()):
        judge = suite.judge
        lacks = [
            *place(judge.engine, judge.model, judge.sampling.longest(judge.model), given)[1],
            *judge.model.faults(),
        ]
        yield from (f"evaluation.judge: {lack}" for lack in lacks)


__all__ = ["Plan", "TrainingPlan", "plan"]
