"""Many jobs of one command: one report over all, and one exit code."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from limo import UserError
from limo.records import write_json

log = logging.getLogger("limo")

DONE, BROKEN, MISTAKEN = 0, 1, 2
SWEEP = "LIMO_SWEEP"
"""Environment variable that tells the jobs of a sweep, in whatever process, where to register."""
outcomes: list[int] = []
"""Exit codes of the jobs that ran in this process."""


def submits(settings: Any) -> bool:
    """Whether the launcher hands its jobs to submitit."""
    return "submitit" in settings.launcher._target_


def of_submitit(error: Exception) -> bool:
    return type(error).__module__.startswith("submitit.")


class Sweep(Callback):
    """Over all jobs of a `--multirun`, wherever they ran: one report, and an exit code that says whether any failed.

    Each job registers in a folder on the disk that all share; the environment of the jobs says where it is.
    """

    def __init__(self) -> None:
        self.lost: dict[int, tuple[str, str]] = {}
        """By number, the overrides of each job that ended without a result, and a sentence."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if submits(config.hydra):
            # on the nodes that `job` leaves at once, srun must not take the first end for the end of all
            os.environ.setdefault("SLURM_WAIT", "0")
            self._wait_for_all()
        folder = Path(config.hydra.sweep.dir).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.environ[SWEEP] = tempfile.mkdtemp(prefix=".sweep-", dir=folder)
        except OSError as error:
            refuse_folder(error, "hydra.sweep.dir")

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
        register = Path(os.environ.pop(SWEEP))
        registered = {int(entry.name): Path(entry.read_text()) for entry in register.iterdir()}
        shutil.rmtree(register)
        jobs = [registered[number] for number in sorted(registered)]
        for number, (_, sentence) in sorted(self.lost.items()):
            log.error(sentence)
            if number in registered:
                path = registered[number] / "status.json"
                status = json.loads(path.read_text(encoding="utf-8"))
                write_json(path, status | {"error": status["error"] or sentence})
        codes = {job: json.loads((job / "status.json").read_text(encoding="utf-8"))["code"] for job in jobs}
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
            report_on(list(codes), Path(config.hydra.sweep.dir))


def report_on(folders: list[Path], out: Path) -> None:
    from limo import report

    page = report.write(folders, out)
    print(f"\n{report.table(folders)}\n\nreport: {os.path.relpath(page)}", flush=True)


def refuse_folder(error: OSError, key: str) -> NoReturn:
    print(f"limo: {error.filename}: {error.strerror}; choose a writable folder with {key}=…", file=sys.stderr)
    sys.exit(MISTAKEN)
