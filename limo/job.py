"""One run of a command: it ends in a status, an exit code and a sentence where something went wrong."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from limo import StageError, UserError, objective, pipeline, tally
from limo.compose import build
from limo.config import expectations, first_line
from limo.records import Asked, Status, write_record
from limo.resolvers import saved
from limo.stage import FULL

log = logging.getLogger("limo")

DONE, BROKEN, MISTAKEN = 0, 1, 2
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, *FULL}
"""Errors of the disk that the user can mend."""
outcomes: list[int] = []
"""Exit codes of the jobs that ran in this process."""


def job(cfg: DictConfig) -> float:
    """One run of a sweep or the only one; never raises, so that the other runs of a sweep go on. Returns its objective."""
    if os.environ.get("SUBMITIT_EXECUTOR") == "slurm" and os.environ.get("SLURM_PROCID", "0") != "0":
        # submitit starts a job on each of its nodes; the first runs the road and reaches the others by srun
        return objective.worst(cfg.objective)
    logging.raiseExceptions = False  # a log that finds no room is no reason to print how it failed
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    # until the end it reads as broken off, whatever an earlier run said here
    status = Status(overrides=tuple(settings.overrides.task), began=time.time())
    code, error = _ending(lambda: _begin(cfg, folder, status))
    if error:
        log.error(error)
    outcomes.append(code)
    seconds = round(time.time() - status.began, 1)
    ended = replace(status, state="failed" if error else "done", code=code, error=error, seconds=seconds)
    with contextlib.suppress(OSError):  # a full disk has been told; the run reads as broken off
        write_record(folder / "status.json", ended)
    if settings.mode is RunMode.RUN and code == DONE:
        report_on([folder], folder)
    elif place := tally.register():
        _stand(place, folder)
    return objective.reached(folder, cfg.objective) if code == DONE else objective.worst(cfg.objective)


def _stand(place: Path, folder: Path) -> None:
    """Say how the sweep stands after a run, and show it on a page."""
    try:
        if sys.stdout.isatty():
            tally.say(tally.table(place))
        else:
            print(f"{tally.tally(place)}; the last: {tally.gave(folder)} ({folder.name})", flush=True)
        tally.redraw(place)
    except (UserError, OSError) as error:  # the last page says it better
        log.warning(f"no page between the runs: {error}")


def _ending(run: Callable[[], None]) -> tuple[int, str | None]:
    """Exit code of a run, and what is to be said of it."""
    try:
        run()
    except UserError as mistake:
        return MISTAKEN, str(mistake)
    except StageError as broken:
        return broken.code, str(broken)
    except OSError as failed:
        if failed.errno in REFUSED:
            place = f"{failed.filename}: " if failed.filename else ""
            return (
                MISTAKEN,
                f"{place}{failed.strerror}; mend that, or choose other folders with store=… and hydra.run.dir=…",
            )
        return BROKEN, traceback.format_exc()
    except Exception as defect:
        if of_submitit(defect):
            return BROKEN, (
                f"SLURM ends this job ({first_line(defect)}); run the same command again to resume, "
                "with more hydra.launcher.timeout_min, or hydra.launcher.max_num_timeout=N to be queued again N times"
            )
        return BROKEN, traceback.format_exc()
    return DONE, None


def _begin(cfg: DictConfig, folder: Path, status: Status) -> None:
    settings = HydraConfig.get()
    write_record(folder / "status.json", status)
    if settings.mode is RunMode.MULTIRUN and (place := tally.register()):
        tally.enter(place, settings.job.num, folder)
        if sys.stdout.isatty():
            tally.say(tally.begins(place, settings.job.num))
    if settings.mode is RunMode.RUN and submits(settings):
        chosen = f"hydra/launcher={settings.runtime.choices['hydra/launcher']}"
        raise UserError(f"{chosen} works on sweeps, also of a single run: write python -m limo -m {chosen} …")
    config = build(cfg)
    (folder / "config.yaml").write_text(saved(cfg), encoding="utf-8")
    choices = settings.runtime.choices
    asked = Asked(
        name=config.name,
        overrides=status.overrides,
        seed=config.seed,
        strategy=choices.get("selection"),
        size=config.selection.size if config.selection else None,
        choices={k: v for k, v in choices.items() if not k.startswith("hydra/") and k != "schema"},
        question=config.question,
        expect=expectations(config.expect),
    )
    write_record(folder / "run.json", asked)
    pipeline.run(config, folder, lambda task: write_record(folder / "status.json", replace(status, task=task)))


def submits(settings: Any) -> bool:
    """Whether the launcher hands its jobs to submitit."""
    return "submitit" in settings.launcher._target_


def of_submitit(error: Exception) -> bool:
    return type(error).__module__.startswith("submitit.")


def not_submitted(error: RuntimeError) -> str | None:
    """Why SLURM took no job at all, in one sentence; None for other errors."""
    if of_submitit(error) or "srun" in str(error):
        return f"SLURM did not take the job: {first_line(error)}; see hydra.launcher.…"
    return None


def report_on(folders: list[Path], out: Path) -> None:
    from limo import report

    print(f"\n{report.publish(folders, out)}", flush=True)


def refused(error: OSError, key: str) -> UserError:
    return UserError(f"{error.filename}: {error.strerror}; choose a writable folder with {key}=…")
