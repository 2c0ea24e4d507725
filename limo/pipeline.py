"""The tasks of a run: which stages a config asks for, in order; each made once, in a process of its own, and kept in the store."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from limo import UserError, __version__, hardware, launch
from limo.config import Config
from limo.hub import origins
from limo.models import Model
from limo.records import DataSummary, Manifest, SieveSummary, replacing
from limo.serial import dump, fingerprint
from limo.stage import Pending, Stage, lacks, pending, request, summary
from limo.store import Store, key_of

log = logging.getLogger(__name__)

TASKS = ("data", "attempts", "grades", "solutions", "selection", "evaluation/base", "training", "evaluation/tuned")
"""Every task that a run may have, named as its folder; `attempts` and `grades` hold one for each sieve, `attempts/<name>`."""

SIEVED = ("attempts", "grades")

Make = Callable[[str, Stage], Path]
"""Takes the name of a task and its stage; gives the folder of its result, or a `Pending` for it."""


class Sieved(NamedTuple):
    """What a sieve made."""

    attempts: Path | None
    """None where only counts are known."""
    result: Path


def tasks(config: Config, make: Make) -> None:
    """The stages of a run in order, each given the results of those before.

    `make` decides what happens with a stage: `run` makes it, `missing` asks what is missing for it, the plan only looks.
    """
    from limo.data import DataStage
    from limo.evaluation import EvaluationStage

    examples: Path | None = None
    if set(config.stages) - {"evaluation"}:
        sources = config.evaluation.sources() if config.evaluation else {}
        data = make("data", DataStage(data=config.data, protect=sources, seed=config.seed))
        examples = _selection(config, make, data, *_sieves(config, make, data / "problems.jsonl"))
    trains, evaluates = "training" in config.stages, "evaluation" in config.stages
    parts: dict[str, Any] = {"evaluation": config.evaluation, "engine": config.engine, "seed": config.seed}
    parts["store"] = Path(config.store).absolute()
    if evaluates and (config.evaluation.base or not trains):  # before the training: what cannot be served costs none
        make("evaluation/base", EvaluationStage(model=config.model, **parts))
    tuned = _training(config, make, examples)
    if evaluates and tuned is not None:
        make("evaluation/tuned", EvaluationStage(model=tuned, **parts))


def _sieves(config: Config, make: Make, problems: Path) -> tuple[Path, dict[str, Sieved]]:
    """The problems that the sieves leave, and what each made; where the run has some and needs them."""
    from limo.attempts import Attempts, AttemptsStage, Recorded, RecordedStage, SievingStage

    found: dict[str, Sieved] = {}
    if not {"attempts", "selection", "training"} & set(config.stages):
        return problems, found
    for name, sieve in config.attempts.items():
        stage: Stage | None = None
        if isinstance(sieve, Attempts):
            stage = AttemptsStage(
                problems=problems,
                attempts=sieve,
                model=sieve.model or config.model,
                engine=config.engine,
                seed=config.seed if sieve.seed is None else sieve.seed,
                store=Path(config.store).absolute(),
                name=name,
            )
        elif isinstance(sieve, Recorded):
            if lacks := sieve.lacks(name, config.data):
                raise UserError(lacks[0])
            stage = RecordedStage(problems=problems, column=sieve.column) if sieve.holds == "answers" else None
        attempts = make(f"attempts/{name}", stage) / "attempts.jsonl" if stage else None
        counts = sieve if isinstance(sieve, Recorded) and stage is None else None
        sieving = SievingStage(problems=problems, attempts=attempts, rules=sieve.rules, keep=sieve.keep, counts=counts)
        found[name] = Sieved(attempts, result := make(f"grades/{name}", sieving))
        problems = result / "problems.jsonl"
    return problems, found


def _selection(config: Config, make: Make, data: Path, problems: Path, sieves: dict[str, Sieved]) -> Path | None:
    """The chosen examples; the source's own solutions are graded first where the selection asks if they are right."""
    from limo.grading import GradingStage
    from limo.selection import SelectionStage, SolveRate

    if not {"selection", "training"} & set(config.stages):
        return None
    checked = None
    if rules := config.selection.rules:
        own = GradingStage(problems=data / "problems.jsonl", attempts=data / "solutions.jsonl", rules=rules)
        checked = make("solutions", own) / "grades.jsonl"
    for step in config.selection.steps.values():
        if isinstance(step, SolveRate) and (
            fault := step.fault({n: one.samples for n, one in config.attempts.items()})
        ):
            raise UserError(f"selection.steps.solve_rate: {fault}")
    attempts = {name: one.attempts for name, one in sieves.items() if one.attempts is not None}
    stage = SelectionStage(
        problems=problems,
        # the difficulty is what a rule went by: teachers that come after it only answer
        sieves=tuple(sorted(sieves, key=lambda name: config.attempts[name].keep is not None)),
        tallies={name: one.result / "tallies.jsonl" for name, one in sieves.items()},
        attempts=attempts,
        grades={name: sieves[name].result / "grades.jsonl" for name in attempts},
        checked=checked,
        selection=config.selection,
        seed=config.seed,
    )
    return make("selection", stage) / "examples.jsonl"


def _training(config: Config, make: Make, examples: Path | None) -> Model | None:
    """The tuned model."""
    from limo.training import TrainingStage

    if examples is None or "training" not in config.stages:
        return None
    stage = TrainingStage(
        training=config.training,
        model=config.model,
        optimizer=config.optimizer,
        logger=config.logger,
        examples=examples,
        seed=config.seed,
        store=Path(config.store).absolute(),
    )
    return config.model.at(make("training", stage) / "model")


def run(config: Config, folder: Path) -> None:
    """Run every task; what the store has is taken from there. Links to the results appear in `folder`.

    Raises UserError where the user can mend it (before any work wherever that can be known), StageError where a stage broke off.
    """
    store = Store(Path(config.store).absolute())
    for name in made(folder):  # by an earlier run, which may have read other files
        if (place := folder / name).is_symlink():
            place.unlink(missing_ok=True)
    if sentences := missing(config, store) or _unread(config, store):
        raise UserError("\n".join(sentences))
    run_all(config, store, lambda name, result: link(folder / name, result))


def run_all(config: Config, store: Store, told: Callable[[str, Path], object]) -> None:
    """Make every task of the run, each by the Python that the config names for it; `told` hears of each result."""

    def one(name: str, stage: Stage) -> Path:
        result = make(name, stage, store, config.python.get(stage_name(name)) or sys.executable)
        told(name, result)
        if name == "data":
            _enough(config, summary(result, DataSummary).kept)
        elif stage_name(name) == "grades":
            _enough(config, summary(result, SieveSummary).left)
        return result

    tasks(config, one)


def make(name: str, stage: Stage, store: Store, python: str = sys.executable) -> Path:
    """The result of a stage: from the store, else made by a process of its own, under the lock of its key."""
    started = time.monotonic()
    code = key(stage, store)
    with store.building(stage_name(name), code) as (result, done):
        if not done:
            log.info(f"{name} …")
            request(stage, result)
            launch.run(name, stage, result, python)
            result = store.finish(result, manifest(name, stage, code, time.monotonic() - started))
    log.info(
        f"{name}: {'from the store' if done else f'{time.monotonic() - started:.1f} s'}  {os.path.relpath(result)}"
    )
    return result


def missing(config: Config, store: Store) -> list[str]:
    """What this machine lacks for the stages that would run, one sentence each; where nothing, their notes are logged."""
    notes: list[str] = []
    sentences = [
        f"python.{name}={python}: no such program; give the path of a Python that has limo installed"
        for name, python in config.python.items()
        if python and name in config.stages and shutil.which(python) is None
    ]

    def ask(name: str, stage: Stage) -> Path:
        result = cached(name, stage, store)
        stage = standing_in(stage, config.model)
        if result is None and stage_name(name) in {*config.stages, "grades", "solutions"}:
            python = config.python.get(stage_name(name)) or sys.executable
            unusable = hardware.unusable(python) if stage.accelerated else ()
            found = (*store.missing(), *unusable, *lacks(stage, python))
            sentences.extend(s for s in found if s not in sentences)
            notes.extend(stage.notes() if not sentences else [])
        elif result is None:
            sentences.append(
                f"stages={list(config.stages)} leaves out {name}, whose result is not in the store; add it to `stages`"
            )
        return result or Pending.at(name)

    tasks(config, ask)
    for note in dict.fromkeys(notes):
        log.info(f"! {note}")
    return sentences


def standing_in(stage: Stage, model: Model) -> Stage:
    """A stage as it can be asked before any work: tuned weights are served as those they start from."""
    from limo.evaluation import EvaluationStage

    if isinstance(stage, EvaluationStage) and pending(stage.model):
        return dataclasses.replace(stage, model=model)
    return stage


def cached(name: str, stage: Stage, store: Store) -> Path | None:
    """The finished result of a stage, if the store has it; None also when an input is still to be made."""
    if pending(stage):
        return None
    try:
        return store.find(stage_name(name), key(stage, store))
    except UserError:
        return None  # an input that does not exist: `missing` of the stage says so in its own words


def key(stage: Stage, store: Store) -> str:
    """The key of a stage's result: its code's version, its config, the content of its inputs."""
    return key_of([stage.module, stage.version, fingerprint(stage, store.digest)])


def made(folder: Path) -> list[str]:
    """The tasks that have a place in the folder of a run, in the order of TASKS."""
    several = {task: sorted(f"{task}/{place.name}" for place in (folder / task).glob("*")) for task in SIEVED}
    return [
        name
        for task in TASKS
        for name in several.get(task, [task])
        if (folder / name).is_symlink() or (folder / name).is_dir()
    ]


def stage_name(task: str) -> str:
    """The stage of a task: `evaluation/base` and `evaluation/tuned` are both evaluation."""
    return task.partition("/")[0]


def manifest(name: str, stage: Stage, code: str, seconds: float) -> Manifest:
    """What a result was made from, by what, where and when."""
    return Manifest(
        stage=stage_name(name),
        key=code,
        version=stage.version,
        config=dump(stage),
        seconds=round(seconds, 2),
        finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        files={},
        versions={"limo": __version__, "python": platform.python_version(), **hardware.versions()},
        git=hardware.commit(),
        hub={remote.address: commit for remote in origins(stage) if (commit := remote.commit())},
        hardware=hardware.describe(),
    )


def _unread(config: Config, store: Store) -> list[str]:
    """What is wrong with benchmarks that are still to be fetched: they are small, what is made before them is not."""
    from limo.evaluation import EvaluationStage

    asked: list[EvaluationStage] = []

    def ask(name: str, stage: Stage) -> Path:
        result = cached(name, stage, store)
        asked.extend([stage] if result is None and isinstance(stage, EvaluationStage) else [])
        return result or Pending.at(name)

    tasks(config, ask)
    return asked[0].evaluation.faults(here=False) if asked else []


def _enough(config: Config, problems: int) -> None:
    """Refuse a selection larger than its pool before the sieves to come, which cost most."""
    if not {"selection", "training"} & set(config.stages):
        return
    size, each = config.selection.size, config.selection.per_problem
    if size and each and size > each * problems:
        raise UserError(
            f"selection.size={size} is more than the {each * problems} examples that {problems} problems can give; ask for fewer"
        )


def link(place: Path, target: Path) -> None:
    """Point a link of the run folder at a result, replacing an earlier one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place) as fresh:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.path.relpath(target, place.parent.resolve()), target_is_directory=True)
