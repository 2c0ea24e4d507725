"""What a sweeper that searches, such as Optuna's, is told of each run: one number of what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limo import UserError
from limo.report.runs import curve, read
from limo.spelling import meant

LOSS = "validation_loss"
BASIC = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def searches(settings: Mapping[str, Any]) -> bool:
    """Whether Hydra's part of a config names a sweeper that chooses runs by what earlier ones gave."""
    return bool(settings["sweeper"]["_target_"] != BASIC)


def refuse_aimless(config: Any) -> None:
    """Raises UserError where a search has no objective, one that no run gives, or one that it would drive the wrong way."""
    goal, benchmarks = config.get("objective"), (config.get("evaluation") or {}).get("benchmarks") or {}
    choices = [*benchmarks, LOSS]
    listed = f"the accuracy of a benchmark of the run, {', '.join(benchmarks) or 'none here'}, or {LOSS}"
    if goal is not None and goal not in choices:
        raise UserError(f"objective={goal}: must be {listed}{meant(str(goal), choices)}")
    if goal == LOSS and not (config.get("training") or {}).get("validation"):
        raise UserError(f"objective={LOSS} needs training.validation=<examples.jsonl>, which are never trained on")
    if not searches(config["hydra"]):
        return
    if goal is None:
        raise UserError(f"a sweeper that searches needs an objective; set objective=… to {listed}")
    asked = str(config["hydra"]["sweeper"].get("direction")).rpartition(".")[2]
    right = "minimize" if goal == LOSS else "maximize"
    if asked != right:
        raise UserError(
            f"hydra.sweeper.direction={asked} would look for the worst {goal}; set hydra.sweeper.direction={right}"
        )


def reached(folder: Path, goal: str | None) -> float:
    """The objective of a run: the share of right answers of the tuned model, of the base where none was trained, or the lowest
    validation loss; the worst where the run has none: Optuna's sweeper gives up all for one that is no number.
    """
    if goal is None:
        return worst(goal)
    run = read(folder)
    if goal == LOSS:
        return min(curve(run, LOSS)[1], default=worst(goal))
    return run.final.benchmarks[goal].accuracy if run.final and goal in run.final.benchmarks else worst(goal)


def worst(goal: str | None) -> float:
    """What a run without a result is worth to a search."""
    return math.inf if goal == LOSS else -math.inf
