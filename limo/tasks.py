"""The tasks of a run: which stages a config asks for, in order, each given the results of those before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from limo import UserError
from limo.config import Config
from limo.models import Model
from limo.stage import Stage

TASKS = (
    *("data", "paraphrases", "attempts", "grades", "solutions", "candidates", "scores", "selection"),
    *("evaluation/base", "training", "evaluation/tuned"),
)
"""Every task that a run may have, named as its folder."""
SEVERAL = ("attempts", "grades", "scores")
"""Those that hold one for each sieve or member, `attempts/<name>`."""
HELPERS = ("paraphrases", "grades", "solutions", "candidates")
"""Those that are no stage of `stages`: they are made for others whenever those are."""

Make = Callable[[str, Stage], Path]
"""Takes the name of a task and its stage; gives the folder of its result, or a `Pending` for it."""


class Sieved(NamedTuple):
    """What a sieve made."""

    attempts: Path | None
    """None where only counts are known."""
    result: Path


def walk(config: Config, make: Make) -> None:
    """The stages of a run in order, each given the results of those before.

    `make` decides what happens with a stage: `run` makes it, `missing` asks what is missing for it, the plan only looks.
    """
    from limo.data import DataStage
    from limo.evaluation import EvaluationStage

    refuse_foreign(config)
    examples: Path | None = None
    if set(config.stages) - {"evaluation"}:
        sources = config.evaluation.sources() if config.evaluation else {}
        data = make("data", DataStage(data=config.data, protect=sources, seed=config.seed))
        problems = _judged(config, make, data, sources) / "problems.jsonl"
        examples = _selection(config, make, data, *_sieves(config, make, problems))
    trains, evaluates = "training" in config.stages, "evaluation" in config.stages
    parts: dict[str, Any] = {"evaluation": config.evaluation, "engine": config.engine, "seed": config.seed}
    parts["store"] = Path(config.store).absolute()
    if evaluates and (config.evaluation.base or not trains):  # before the training: what cannot be served costs none
        make("evaluation/base", EvaluationStage(model=config.model, **parts))
    tuned = _training(config, make, examples)
    if evaluates and tuned is not None:
        make("evaluation/tuned", EvaluationStage(model=tuned, **parts))


def _judged(config: Config, make: Make, data: Path, sources: dict[str, Any]) -> Path:
    """What the data stage left, or what a judge left of it, where the rule of decontamination has one."""
    from limo.data import guarded

    rule = getattr(config.data, "decontamination", None)
    if rule is None or rule.paraphrases is None or not guarded(rule, sources):
        return data
    from limo.paraphrases import Paraphrases, ParaphrasesStage

    if not isinstance(rule.paraphrases, Paraphrases):
        raise UserError(
            f"data.decontamination.paraphrases: {type(rule.paraphrases).__name__} is no judge of questions; take a member of paraphrases"
        )
    stage = ParaphrasesStage(
        problems=data / "problems.jsonl",
        decontamination=rule,
        protect=sources,
        model=config.model,
        store=Path(config.store).absolute(),
    )
    return make("paraphrases", stage)


def refuse_foreign(config: Config) -> None:
    """Raises UserError where the lab's model would learn from, or try, a published pool; a file may hold the lab's own problems."""
    asked = {"training", *(("attempts",) if config.attempts else ()), *(("scores",) if config.scores else ())}
    if not asked & set(config.stages) or not str(config.model.path).startswith("lab:"):
        return
    pools = getattr(config.data, "parts", {"": config.data}).values()
    foreign = [pool.repo for pool in pools if getattr(pool, "repo", None)]
    if foreign:
        raise UserError(
            f"data: {foreign[0]} is beyond {config.model.path}, which knows the lab's problems alone and {config.model.context} tokens; "
            "take another model with optimizer=adamw training=full attempts=none, or data=lab"
        )


def _sieves(config: Config, make: Make, problems: Path) -> tuple[Path, dict[str, Sieved]]:
    """The problems that the sieves leave, and what each made; where the run has some and needs them."""
    from limo.attempts import Attempts, AttemptsStage, Recorded, RecordedStage, SievingStage

    found: dict[str, Sieved] = {}
    if not {"attempts", "scores", "selection", "training"} & set(config.stages):
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
    """The chosen examples, from candidates and what is measured of them."""
    from limo.data import Table
    from limo.selection import SelectionStage, SolveRate

    if not {"scores", "selection", "training"} & set(config.stages):
        return None
    for step in config.selection.steps.values():
        if isinstance(step, SolveRate) and (
            fault := step.fault({n: one.samples for n, one in config.attempts.items()})
        ):
            raise UserError(f"selection.steps.solve_rate: {fault}")
    if isinstance(config.data, Table) and (lacks := config.selection.unknown(config.scores, config.data.meta)):
        raise UserError(lacks[0])
    candidates = _candidates(config, make, data, problems, sieves)
    tables = {name: _scores(config, make, candidates, name) for name in config.scores}
    if not {"selection", "training"} & set(config.stages):
        return None
    stage = SelectionStage(
        candidates=candidates, scores=tables, sieves=tuple(sieves), selection=config.selection, seed=config.seed
    )
    return make("selection", stage) / "examples.jsonl"


def _candidates(config: Config, make: Make, data: Path, problems: Path, sieves: dict[str, Sieved]) -> Path:
    """Solutions that may be learned from; the source's own are graded first where the selection asks if they are right."""
    from limo.grading import GradingStage
    from limo.selection import CandidatesStage

    checked, chosen = None, config.selection
    if rules := chosen.rules:
        own = GradingStage(problems=data / "problems.jsonl", attempts=data / "solutions.jsonl", rules=rules)
        checked = make("solutions", own) / "grades.jsonl"
    attempts = {name: one.attempts for name, one in sieves.items() if one.attempts is not None}
    stage = CandidatesStage(
        problems=problems,
        # the difficulty is what a rule went by: teachers that come after it only answer
        sieves=tuple(sorted(sieves, key=lambda name: config.attempts[name].keep is not None)),
        tallies={name: one.result / "tallies.jsonl" for name, one in sieves.items()},
        attempts=attempts,
        grades={name: sieves[name].result / "grades.jsonl" for name in attempts},
        checked=checked,
        which=chosen.candidates,
        verdicts=chosen.verdicts,
        teachers=chosen.teachers,
    )
    return make("candidates", stage)


def _scores(config: Config, make: Make, candidates: Path, name: str) -> Path:
    """The table of one member of `scores`."""
    from limo.scores import ScoresStage

    scorer = config.scores[name]
    stage = ScoresStage(
        candidates=candidates / "candidates.jsonl",
        scorer=scorer,
        model=getattr(scorer, "model", None) or config.model,
        protect=config.evaluation.sources() if config.evaluation else {},
        store=Path(config.store).absolute(),
    )
    return make(f"scores/{name}", stage)


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


def made(folder: Path) -> list[str]:
    """The tasks that have a place in the folder of a run, in the order of TASKS."""
    several = {task: sorted(f"{task}/{place.name}" for place in (folder / task).glob("*")) for task in SEVERAL}
    return [
        name
        for task in TASKS
        for name in several.get(task, [task])
        if (folder / name).is_symlink() or (folder / name).is_dir()
    ]


def python_of(config: Config, task: str) -> str:
    """The Python that makes a task; the judge of paraphrases is served where attempts are."""
    stage = stage_name(task)
    return config.python.get("attempts" if stage == "paraphrases" else stage) or sys.executable


def stage_name(task: str) -> str:
    """The stage of a task: `evaluation/base` and `evaluation/tuned` are both evaluation."""
    return task.partition("/")[0]
