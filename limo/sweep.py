"""The jobs of a command, one or many: each ends in a status, all of them in one report and one exit code."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from limo import StageError, UserError, objective, pipeline, tally
from limo.compose import build, refuse, refuse_vain
from limo.config import expectations, first_line
from limo.records import Asked, Status, beside, read_record, write_record
from limo.resolvers import saved
from limo.stage import FULL

log = logging.getLogger("limo")
logging.getLogger("alembic").setLevel(logging.WARNING)  # Optuna's database, which nobody asked for

LAUNCHERS = (
    "hydra._internal.core_plugins.basic_launcher",
    "hydra_plugins.hydra_joblib_launcher._core",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher",
)
"""Loggers of Hydra's launchers."""
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


class Sweep(Callback):
    """Over all jobs of a `--multirun`, wherever they ran: one report, and an exit code that says whether any failed.

    Each job registers in the sweep's tally.
    """

    def __init__(self) -> None:
        self.lost: dict[int, tuple[str, str]] = {}
        """By number, the overrides of each job that ended without a result, and a sentence."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self._run_once()
        if submits(config.hydra):
            # on the nodes that `job` leaves at once, srun must not take the first end for the end of all
            os.environ.setdefault("SLURM_WAIT", "0")
            self._wait_for_all()
        folder = Path(config.hydra.sweep.dir).absolute()
        try:
            place = beside(folder / "sweep")
            place.mkdir(parents=True)
            tally.ask(place, [()] * (config.hydra.sweeper.get("n_trials") or 0))
            os.environ[tally.SWEEP] = str(place)
        except OSError as error:
            print(f"limo: {refused(error, 'hydra.sweep.dir')}", file=sys.stderr)
            sys.exit(MISTAKEN)  # Hydra would make a warning of an exception
        if sys.stdout.isatty() and not config.hydra.verbose:
            for launcher in LAUNCHERS:  # all overrides of every job, which the table has shorter
                logging.getLogger(launcher).setLevel(logging.WARNING)
        if sys.stdout.isatty() and submits(config.hydra):  # its runs print elsewhere
            threading.Thread(target=tally.watch, args=(place,), daemon=True).start()

    def _run_once(self) -> None:
        """Have Hydra, as it checks that all jobs compose, refuse the sweep where one of them cannot be built, and leave out those
        that compose to the config of an earlier one."""
        seen: dict[str, list[str]] = {}
        studies = set[str]()

        def check(sweeper: Any, batch: list[list[str]]) -> None:
            began = bool(tally.entered(place := Path(os.environ[tally.SWEEP])))  # it has had another batch
            try:
                distinguish(sweeper, batch, began)
            except BaseException:
                if not began:
                    tally.withdraw(place)
                raise

        def distinguish(sweeper: Any, batch: list[list[str]], began: bool) -> None:
            distinct, searches = [], objective.searches(sweeper.config.hydra)
            for words in batch:
                config = sweeper.hydra_context.config_loader.load_sweep_config(sweeper.config, list(words))
                refuse(config)
                own = OmegaConf.masked_copy(config, [name for name in config if name != "hydra"])
                text = OmegaConf.to_yaml(own)
                first = seen.setdefault(text, words)
                # a search passes over what fails, and what asks Hydra for its place is known in the run alone
                if first is words and not searches and not began and "${hydra:" not in text:
                    try:
                        build(own)
                        if (study := str(own.get("expect"))) not in studies:
                            refuse_vain(own, words)
                            studies.add(study)
                    except UserError as mistake:
                        telling = [word for word in words if not all(word in other for other in batch)]
                        raise UserError(f"{' '.join(telling or words)}: {mistake}; no run has begun") from None
                if first is words or "${hydra:" in text:
                    distinct.append(words)
                else:
                    same = "is there twice" if first == words else f"composes to the same config as {' '.join(first)}"
                    log.warning(f"{' '.join(words)}: {same}; it runs once")
            if not searches:  # one that searches counts on an answer to each of its jobs
                batch[:] = distinct or batch[:1]  # a launcher may take no empty batch
                tally.ask(Path(os.environ[tally.SWEEP]), batch)

        Sweeper.validate_batch_is_legal = check  # type: ignore[assignment, method-assign]

    def _wait_for_all(self) -> None:
        """Have submitit wait for every job: Hydra's launcher gives up all at the first that ends without a result."""
        import submitit

        results = submitit.Job.results

        def outlive(job: Any) -> Any:
            try:
                return results(job)
            except submitit.core.utils.UncompletedJobError:
                overrides, _, number, *_ = job.submission().args
                words, place = " ".join(overrides) or "the run", os.path.relpath(job.paths.folder)
                ended = f"its job {job.job_id} ended without a result ({job.state}); its log is in {place}"
                self.lost[number] = words, f"{words}: {ended}; run the same command again to resume"
                return [JobReturn(status=JobStatus.COMPLETED)]

        submitit.Job.results = outlive

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            self._close(config)
        except UserError as mistake:  # Hydra would make a warning of what a callback raises
            log.error(mistake)
            outcomes.append(MISTAKEN)
        except Exception:
            log.error(traceback.format_exc())
            outcomes.append(BROKEN)

    def _close(self, config: DictConfig) -> None:
        place = Path(os.environ.pop(tally.SWEEP))
        registered = tally.entered(place)
        shutil.rmtree(place)
        jobs = [registered[number] for number in sorted(registered)]
        for number, (_, sentence) in sorted(self.lost.items()):
            log.error(sentence)
            if number in registered:
                path = registered[number] / "status.json"
                status = read_record(path, Status)
                write_record(path, replace(status, error=status.error or sentence))
        codes = {job: read_record(job / "status.json", Status).code for job in jobs}
        never = [overrides for number, (overrides, _) in sorted(self.lost.items()) if number not in registered]
        outcomes[:] = [*codes.values(), *[BROKEN] * len(never)] or [BROKEN]
        if len(codes) < len(jobs) or not (jobs or never):
            log.error(
                f"{len(jobs)} runs registered {len(codes)} folders; each run needs a folder of its own: see hydra.sweep.subdir"
            )
            outcomes.append(BROKEN)
        if failed := [job.name for job, code in codes.items() if code] + never:
            log.error(f"{len(failed)} of {len(codes) + len(never)} runs failed: {', '.join(failed)}")
        if DONE in codes.values():
            report_on(jobs, tally.home(jobs))


def report_on(folders: list[Path], out: Path) -> None:
    from limo import report

    print(f"\n{report.publish(folders, out)}", flush=True)


def refused(error: OSError, key: str) -> UserError:
    return UserError(f"{error.filename}: {error.strerror}; choose a writable folder with {key}=…")
