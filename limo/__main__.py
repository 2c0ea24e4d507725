"""The door: compose and build the config, hand over to the pipeline, say in a sentence what went wrong."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from limo import StageError, UserError
from limo.compose import overview, register_configs, sentence
from limo.config import ROOT, build, first_line
from limo.records import write_json
from limo.sweep import BROKEN, DONE, MISTAKEN, SWEEP, of_submitit, outcomes, refuse_folder, report_on, submits

log = logging.getLogger("limo")

VERBS = {
    "plan": "limo.plan.command",
    "probe": "limo.probe.command",
    "report": "limo.report.command",
    "grade": "limo.grading.command",
}
"""The module of each verb beside `run`, imported only when it is asked for."""
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors of the disk that the user can mend."""


def job(cfg: DictConfig) -> None:
    """One run of a sweep or the only one; never raises, so that the other runs of a sweep go on."""
    if os.environ.get("SUBMITIT_EXECUTOR") == "slurm" and os.environ.get("SLURM_PROCID", "0") != "0":
        return  # submitit starts a job on each of its nodes; the first runs the road and reaches the others by srun
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    began, state, error, code = time.time(), "done", None, DONE
    status = {"overrides": list(settings.overrides.task), "began": began}
    # until the end it reads as broken off, whatever an earlier run said here
    write_json(folder / "status.json", status | {"state": "unfinished", "code": BROKEN, "error": None})
    register = Path(os.environ.get(SWEEP, ""))
    if (
        settings.mode is RunMode.MULTIRUN and SWEEP in os.environ and register.is_dir()
    ):  # the sweep may have ended before
        (register / str(settings.job.num)).write_text(str(folder))
    try:
        _run(cfg, folder)
    except KeyboardInterrupt:
        raise
    except UserError as mistake:
        code, state, error = MISTAKEN, "failed", str(mistake)
    except OSError as failed:
        code, state, error = BROKEN, "failed", traceback.format_exc()
        if failed.errno in REFUSED:
            code = MISTAKEN
            error = f"{failed.filename or folder}: {failed.strerror}; make room or choose another folder"
    except StageError as broken:
        code, state, error = BROKEN, "failed", str(broken)
    except Exception as defect:
        code, state, error = BROKEN, "failed", traceback.format_exc()
        if of_submitit(defect):
            error = (
                f"SLURM ends this job ({first_line(defect)}); run the same command again to resume, "
                "with more hydra.launcher.timeout_min, or hydra.launcher.max_num_timeout=N to be queued again N times"
            )
    if error:
        log.error(error)
    outcomes.append(code)
    status |= {"state": state, "code": code, "error": error, "seconds": round(time.time() - began, 1)}
    write_json(folder / "status.json", status)
    if settings.mode is RunMode.RUN and code == DONE:
        report_on([folder], folder)


def _run(cfg: DictConfig, folder: Path) -> None:
    from limo import pipeline

    settings = HydraConfig.get()
    if settings.mode is RunMode.RUN and submits(settings):
        chosen = f"hydra/launcher={settings.runtime.choices['hydra/launcher']}"
        raise UserError(f"{chosen} works on sweeps, also of a single run: write python -m limo -m {chosen} …")
    config = build(cfg)
    OmegaConf.save(cfg, folder / "config.yaml", resolve=True)
    choices = HydraConfig.get().runtime.choices
    facts = {
        "name": config.name,
        "overrides": list(HydraConfig.get().overrides.task),
        "seed": config.seed,
        "strategy": choices.get("selection"),
        "size": getattr(config.selection, "size", None),
        "choices": {k: v for k, v in choices.items() if not k.startswith("hydra/") and k != "schema"},
    }
    write_json(folder / "run.json", facts)
    pipeline.run(config, folder)


def main() -> None:
    """`python -m limo [verb] …`, `limo [verb] …`; without a verb it runs.

    Exit code 0 done, 2 the user's mistake, 1 a defect or a failed run in a sweep.
    """
    verb, *arguments = [*sys.argv[1:], ""] if len(sys.argv) == 1 else sys.argv[1:]
    if verb == "run":
        del sys.argv[1]
    try:
        if verb in VERBS:
            command = importlib.import_module(VERBS[verb])
            code = command.main(arguments)
            sys.stdout.flush()
            sys.exit(code)
        run()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)


def run() -> None:
    """Compose, build and run one job or the jobs of a sweep."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(overview())
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed with a traceback
    try:
        register_configs()
        hydra.main(version_base="1.3", config_path=str(ROOT / "conf"), config_name="config")(job)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"limo: {error if isinstance(error, UserError) else sentence(error)}", file=sys.stderr)
        sys.exit(MISTAKEN)
    except RuntimeError as error:  # of submitit, before any run: `job` answers for all others
        if not of_submitit(error) and "srun" not in str(error):
            raise
        print(f"limo: SLURM did not take the job: {first_line(error)}; see hydra.launcher.…", file=sys.stderr)
        sys.exit(MISTAKEN)
    except ValueError as error:
        if "Config group override must be" not in str(error):  # Hydra's own sentence names neither group nor remedy
            raise
        groups = [word for word in sys.argv[1:] if word.endswith("=null") and "." not in word]
        print(
            f"limo: {' '.join(groups)}: null is no member of a group; `python -m limo --help` lists them",
            file=sys.stderr,
        )
        sys.exit(MISTAKEN)
    except OSError as error:  # of the run folder: `job` answers for all others
        if error.filename is None:
            raise
        refuse_folder(error, "hydra.run.dir")
    except KeyboardInterrupt:
        print("limo: interrupted; the same command resumes", file=sys.stderr)
        sys.exit(130)
    sys.exit(max(outcomes, default=DONE) if len(set(outcomes)) <= 1 else BROKEN)


if __name__ == "__main__":
    # run from the importable module, so that launchers can pickle `job` and the callback sees the same `outcomes`
    from limo.__main__ import main as door

    door()
