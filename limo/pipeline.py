"""The tasks of a run: which stages a config asks for, in order; each made once, in a process of its own, and kept in the store."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limo import StageError, UserError, __version__, hardware, launch, process
from limo.config import Config
from limo.models import Model
from limo.records import DataSummary
from limo.serial import dump, fingerprint
from limo.stage import TOLD, Stage, request, summary
from limo.store import Store, key_of

log = logging.getLogger(__name__)

TASKS = ("data", "attempts", "grades", "solutions", "selection", "training", "evaluation/base", "evaluation/tuned")
"""Every step that a run may have, named as its folder."""

Make = Callable[[str, Stage], Path]
"""Takes the name of a step and its stage; gives the folder of its result."""


def tasks(config: Config, make: Make) -> None:
    """The stages of a run in order, each given the results of those before.

    `make` decides what happens with a stage: `run` makes it, `missing` asks what is missing for it, the plan only looks.
    """
    from limo.attempts import AttemptsStage
    from limo.data import DataStage
    from limo.evaluation import EvaluationStage
    from limo.grading import GradingStage
    from limo.selection import SelectionStage
    from limo.training import TrainingStage

    stages, seed, store = set(config.stages), config.seed, Path(config.store).absolute()
    tuned: Model | None = None
    if stages - {"evaluation"}:
        sources = config.evaluation.sources() if config.evaluation else {}
        problems = make("data", DataStage(data=config.data, protect=sources, seed=seed)) / "problems.jsonl"
        attempts = grades = None
        if config.attempts and stages & {"attempts", "selection", "training"}:
            solver = config.attempts.model or config.model
            attempts = make("attempts", AttemptsStage(
                problems=problems, attempts=config.attempts, model=solver, engine=config.engine, seed=seed, store=store,
            )) / "attempts.jsonl"  # fmt: skip
            grades = make("grades", GradingStage(
                problems=problems, attempts=attempts, rules=config.attempts.rules,
            )) / "grades.jsonl"  # fmt: skip
        if stages & {"selection", "training"}:
            checked = None
            if rules := config.selection.rules:
                checked = make("solutions", GradingStage(
                    problems=problems, attempts=problems.with_name("solutions.jsonl"), rules=rules,
                )) / "grades.jsonl"  # fmt: skip
            examples = make("selection", SelectionStage(
                problems=problems, attempts=attempts, grades=grades, checked=checked, selection=config.selection, seed=seed,
            )) / "examples.jsonl"  # fmt: skip
        if "training" in stages:
            weights = make("training", TrainingStage(
                training=config.training, model=config.model, optimizer=config.optimizer, logger=config.logger,
                examples=examples, seed=seed, store=store,
            )) / "model"  # fmt: skip
            tuned = dataclasses.replace(config.model, path=str(weights), revision=None)
    if "evaluation" in stages:
        parts: dict[str, Any] = {"evaluation": config.evaluation, "engine": config.engine, "seed": seed, "store": store}
        if tuned is None or config.evaluation.base:
            make("evaluation/base", EvaluationStage(model=config.model, **parts))
        if tuned is not None:
            make("evaluation/tuned", EvaluationStage(model=tuned, **parts))


def run(config: Config, folder: Path) -> None:
    """Run every task; what the store has is taken from there. Links to the results appear in `folder`.

    Raises UserError where the user can mend it (before any work wherever that can be known), StageError where a stage broke off.
    """
    store = Store(Path(config.store).absolute())
    store.prepare()
    for name in TASKS:  # links of an earlier run, which may have read other files
        if (link := folder / name).is_symlink():
            link.unlink(missing_ok=True)
    if sentences := missing(config, store):
        raise UserError("\n".join(sentences))
    run_all(config, store, lambda name, result: _link(folder / name, result))


def run_all(config: Config, store: Store, told: Callable[[str, Path], object]) -> None:
    """Make every task of the run, each by the Python that the config names for it; `told` hears of each result."""

    def step(name: str, stage: Stage) -> Path:
        result = make(name, stage, store, config.python.get(stage_name(name)) or sys.executable)
        told(name, result)
        if name == "data":
            _enough(config, result)
        return result

    tasks(config, step)


def make(name: str, stage: Stage, store: Store, python: str = sys.executable) -> Path:
    """The result of a stage: from the store, else made by a process of its own, under the lock of its key."""
    started = time.monotonic()
    code = key(stage, store)
    with store.building(stage_name(name), code) as (result, done):
        if not done:
            log.info(f"{name} …")
            request(stage, result)
            _launch(name, stage, result, python)
            result = store.finish(result, manifest(name, stage, code, time.monotonic() - started))
    log.info(
        f"{name}: {'from the store' if done else f'{time.monotonic() - started:.1f} s'}  {os.path.relpath(result)}"
    )
    return result


def missing(config: Config, store: Store) -> list[str]:
    """What this machine lacks for the stages that would run, one sentence each; nothing is started."""
    from limo.evaluation import EvaluationStage

    sentences = [
        f"python.{name}={python}: no such program; give the path of a Python that has limo installed"
        for name, python in config.python.items()
        if python and name in config.stages and shutil.which(python) is None
    ]

    def ask(name: str, stage: Stage) -> Path:
        result = cached(name, stage, store)
        if isinstance(stage, EvaluationStage) and _pending(stage.model):
            stage = dataclasses.replace(stage, model=config.model)  # tuned weights are served as those they start from
        if result is None and stage_name(name) in {*config.stages, "grades", "solutions"}:
            sentences.extend(s for s in stage.missing() if s not in sentences)
        elif result is None:
            sentences.append(
                f"stages={list(config.stages)} leaves out {name}, whose result is not in the store; add it to `stages`"
            )
        return result or Path(f"<{name}>")

    tasks(config, ask)
    return [s for s in sentences if not any(s != longer and s in longer for longer in sentences)]


def cached(name: str, stage: Stage, store: Store) -> Path | None:
    """The finished result of a stage, if the store has it; None also when an input is still to be made."""
    if _pending(stage):
        return None
    try:
        return store.find(stage_name(name), key(stage, store))
    except UserError:
        return None  # an input that does not exist: `missing` of the stage says so in its own words


def key(stage: Stage, store: Store) -> str:
    """The key of a stage's result: its code's version, its config, the content of its inputs."""
    return key_of([stage.module, stage.version, fingerprint(stage, store.digest)])


def stage_name(step: str) -> str:
    """The stage of a step: `evaluation/base` and `evaluation/tuned` are both evaluation."""
    return step.partition("/")[0]


def manifest(name: str, stage: Stage, code: str, seconds: float) -> dict[str, Any]:
    """What a result was made from, by what, where and when."""
    return {
        "stage": stage_name(name),
        "key": code,
        "version": stage.version,
        "config": dump(stage),
        "seconds": round(seconds, 2),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {"limo": __version__, "python": platform.python_version(), **hardware.versions()},
        "git": git(),
        "hardware": hardware.describe(),
    }


def git() -> str | None:
    """Commit of the checkout that this code runs from, `+changes` when it is not clean; None for an installed package."""
    command = [
        "git",
        "-C",
        str(Path(__file__).parent),
        "describe",
        "--always",
        "--abbrev=12",
        "--dirty=+changes",
        "--exclude=*",
    ]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _enough(config: Config, data: Path) -> None:
    """Refuse a selection larger than its pool before the attempts, which cost most."""
    size, each = getattr(config.selection, "size", None), getattr(config.selection, "per_problem", None)
    problems = summary(data, DataSummary).kept
    if {"selection", "training"} & set(config.stages) and size and each and size > each * problems:
        raise UserError(
            f"selection.size={size} is more than the {each * problems} examples that {problems} problems can give; ask for fewer"
        )


def _launch(name: str, stage: Stage, folder: Path, python: str) -> None:
    """Run a stage as a process of its own; returns when it succeeded."""
    env = process.environment()
    if stage.ranks > 1:
        env.setdefault("OMP_NUM_THREADS", str(max(1, hardware.cores() // stage.ranks)))
    told = folder / TOLD
    told.unlink(missing_ok=True)
    child = process.start(launch.command(stage, folder, python), env)
    # a handler that is there already is submitit's: SLURM sends SIGTERM before the signal on which the job is queued again
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        code = child.wait()
    finally:
        process.stop(child)
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if told.is_file():
        full = f"{folder}: no space left on the disk; make room and run the same command again"
        raise UserError(told.read_text(encoding="utf-8") or full)
    if code:
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise StageError(
            f"{name} broke off ({reason}); its log is {folder / 'log.txt'}; run the same command again to resume"
        )


def _link(link: Path, target: Path) -> None:
    """Point a link of the run folder at a result, replacing an earlier one."""
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, link.parent.resolve()), target_is_directory=True)
    fresh.replace(link)


def _pending(value: Any) -> bool:
    """Whether something in a stage is still to be made: `missing` and the plan give such a result the path `<step>`."""
    if isinstance(value, Model):
        return value.path.startswith("<")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(_pending(getattr(value, f.name)) for f in dataclasses.fields(value))
    return isinstance(value, Path) and str(value).startswith("<")
