"""The jobs of a `--multirun`: none begins where one cannot, and all end in one report and one exit code."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf

from limo import UserError, objective, tally
from limo.compose import build, refuse, refuse_vain
from limo.job import BROKEN, DONE, MISTAKEN, outcomes, refused, report_on, submits
from limo.records import Status, beside, read_record, write_record

log = logging.getLogger("limo")
logging.getLogger("alembic").setLevel(logging.WARNING)  # Optuna's database, which nobody asked for

LAUNCHERS = (
    "hydra._internal.core_plugins.basic_launcher",
    "hydra_plugins.hydra_joblib_launcher._core",
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher",
)
"""Loggers of Hydra's launchers."""


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
