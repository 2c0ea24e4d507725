"""A run: each of its tasks made once, in a process of its own, and kept in the store."""

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

from limo import UserError, __version__, hardware, launch
from limo.config import Config
from limo.hub import origins
from limo.models import Model
from limo.records import DataSummary, Manifest, ParaphrasesSummary, SieveSummary, replacing
from limo.serial import dump, fingerprint
from limo.stage import Pending, Stage, lacks, pending, request, summary
from limo.store import Store, key_of
from limo.tasks import HELPERS, made, python_of, stage_name, walk

log = logging.getLogger(__name__)


def run(config: Config, folder: Path, begins: Callable[[str], object] = lambda _: None) -> None:
    """Run every task; what the store has is taken from there. Links to the results appear in `folder`; `begins` hears of each task
    before it is made.

    Raises UserError where the user can mend it (before any work wherever that can be known), StageError where a stage broke off.
    """
    store = Store(Path(config.store).absolute())
    for name in made(folder):  # by an earlier run, which may have read other files
        if (place := folder / name).is_symlink():
            place.unlink(missing_ok=True)
    if sentences := missing(config, store) or _unread(config, store):
        raise UserError("\n".join(sentences))
    run_all(config, store, lambda name, result: link(folder / name, result), begins)


def run_all(
    config: Config,
    store: Store,
    told: Callable[[str, Path], object],
    begins: Callable[[str], object] = lambda _: None,
) -> None:
    """Make every task of the run, each by the Python that the config names for it; `told` hears of each result."""

    def one(name: str, stage: Stage) -> Path:
        begins(name)
        result = make(name, stage, store, python_of(config, name))
        told(name, result)
        if name == "data":
            _enough(config, summary(result, DataSummary).kept)
        elif name == "paraphrases":
            _enough(config, summary(result, ParaphrasesSummary).kept)
        elif stage_name(name) == "grades":
            _enough(config, summary(result, SieveSummary).left)
        return result

    walk(config, one)


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
        if result is None and stage_name(name) in {*config.stages, *HELPERS}:
            found = (*store.missing(), *lacking(stage, python_of(config, name)))
            sentences.extend(s for s in found if s not in sentences)
            notes.extend(stage.notes() if not sentences else [])
        elif result is None:
            sentences.append(
                f"stages={list(config.stages)} leaves out {name}, whose result is not in the store; add it to `stages`"
            )
        return result or Pending.at(name)

    walk(config, ask)
    for note in dict.fromkeys(notes):
        log.info(f"! {note}")
    return sentences


def lacking(stage: Stage, python: str) -> list[str]:
    """What this machine and the Python that will run a stage lack for it, one sentence each."""
    return [*(hardware.unusable(python) if stage.accelerated else ()), *lacks(stage, python)]


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
        gpus=_gpus(stage),
    )


def _gpus(stage: Stage) -> int:
    """How many GPUs a stage holds: a training those of its ranks, an engine all of the machine."""
    if not stage.accelerated or not hardware.gpus():
        return 0
    return stage.ranks * stage.nodes if stage.module == "limo.training" else len(hardware.gpus())


def _unread(config: Config, store: Store) -> list[str]:
    """What is wrong with benchmarks that are still to be fetched: they are small, what is made before them is not."""
    from limo.evaluation import EvaluationStage

    asked: list[EvaluationStage] = []

    def ask(name: str, stage: Stage) -> Path:
        result = cached(name, stage, store)
        asked.extend([stage] if result is None and isinstance(stage, EvaluationStage) else [])
        return result or Pending.at(name)

    walk(config, ask)
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
