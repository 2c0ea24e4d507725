"""The door: offer the recipes, compose and build the config, hand over to the pipeline, say in a sentence what went wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from limo import StageError, UserError
from limo.config import ROOT, Config, build, first_line
from limo.records import write_json

log = logging.getLogger("limo")

DONE, BROKEN, MISTAKEN = 0, 1, 2
LONGEST_NAME = 200
"""Longest folder name in bytes; file systems take 255."""

SWEEP = "LIMO_SWEEP"
"""Environment variable that tells the jobs of a sweep, in whatever process, where to sign."""
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""Errors of the disk that the user can mend."""

HELP = """\
limo: choose data, train, evaluate and compare, as one declarative experiment

python -m limo                                   the lab: the whole road on a laptop CPU, in minutes
python -m limo +experiment=limo817               the paper's main run
python -m limo -m +experiment=limo817 selection=random,limo selection.size=100,400,800
python -m limo +experiment=limo817 model=qwen2.5-7b-instruct training=lora optimizer.lr=1e-5
python -m limo.plan +experiment=limo817          what would run, what is cached, memory, GPU hours, disk
python -m limo.probe +experiment=limo817         is the base ready? its loss on the examples, its own answers, its length

Groups and their members (group=member), recipes under `experiment` (+experiment=recipe):

{groups}

Every key with its value: python -m limo --cfg job. Any of them can be overridden as key=value."""

outcomes: list[int] = []
"""Exit codes of the jobs that ran in this process."""


def offer() -> None:
    """Tell Hydra the schema, the recipes and the resolver; recipes of the working directory come last and win."""
    store = ConfigStore.instance()
    schema = OmegaConf.structured(Config)
    OmegaConf.set_readonly(schema, None)  # a frozen dataclass would refuse the groups and overrides that are to come
    store.store(name="schema", node=schema)
    for file, name in recipes():
        try:
            node = OmegaConf.load(file)
        except Exception as error:  # YAML errors have no common base with OmegaConf's
            raise UserError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from None
        group = Path("experiment", name.parent).as_posix()
        store.store(group=group, name=name.name, node=node, package="_global_", provider="limo")
    OmegaConf.register_new_resolver("limo.address", address, replace=True)


def recipes() -> Iterator[tuple[Path, Path]]:
    """File and name of every recipe, those of the working directory last."""
    for folder in dict.fromkeys([ROOT / "experiments", Path("experiments").absolute()]):
        for file in sorted(folder.rglob("*.yaml")):
            yield file, file.relative_to(folder).with_suffix("")


def overview() -> str:
    """The text of `--help`. Hydra's own composes a config and takes a second and a half to list the same groups."""
    members: dict[str, set[str]] = {}
    for file in (ROOT / "conf").glob("*/**/*.yaml"):
        members.setdefault(file.parent.relative_to(ROOT / "conf").as_posix(), set()).add(file.stem)
    members["experiment"] = {name.as_posix() for _, name in recipes()}
    groups = "\n".join(f"{group}: {', '.join(sorted(names))}" for group, names in sorted(members.items()))
    return HELP.format(groups=groups)


def address(overrides: str) -> str:
    """The folder name of a run: its overrides, `default` without any.

    Of a path the last part stays, and long names are cut; a digest tells both apart.
    """

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    short = re.sub(r"=([^=,]*/)([^=,/]*)", lambda m: f"={m[2]}~{digest(m[1] + m[2])[:6]}", overrides)
    name = re.sub(r"[^\w.,=+~@()\[\]-]", "_", short) or "default"
    if len(name.encode()) > LONGEST_NAME:
        head = name.encode()[: LONGEST_NAME - 40].decode(errors="ignore")
        name = f"{head}…{digest(overrides)[:12]}"
    return name


def compose(overrides: Sequence[str]) -> Config:
    """The live Config that `python -m limo <overrides>` would run. Raises UserError."""
    if sweep := {"-m", "--multirun"} & set(overrides):
        raise UserError(f"{sweep.pop()}: this looks at one run; leave it out and give one value of each key")
    offer()
    try:
        with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return build(hydra.compose("config", list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error)) from None


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
    roll = Path(os.environ.get(SWEEP, ""))
    if settings.mode is RunMode.MULTIRUN and SWEEP in os.environ and roll.is_dir():  # the sweep may have ended before
        (roll / str(settings.job.num)).write_text(str(folder))
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
        if _of_submitit(defect):
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
        _report([folder], folder)


def _run(cfg: DictConfig, folder: Path) -> None:
    from limo import pipeline

    settings = HydraConfig.get()
    if settings.mode is RunMode.RUN and _submits(settings):
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


def _submits(settings: Any) -> bool:
    """Whether the launcher hands its jobs to submitit."""
    return "submitit" in settings.launcher._target_


def _of_submitit(error: Exception) -> bool:
    return type(error).__module__.startswith("submitit.")


class Sweep(Callback):
    """Over all jobs of a `--multirun`, wherever they ran: one report, and an exit code that says whether any failed.

    Each job signs a roll, a folder on the disk that all share; the environment of the jobs says where it is.
    """

    def __init__(self) -> None:
        self.lost: dict[int, tuple[str, str]] = {}
        """By number, the overrides of each job that ended without a result, and a sentence."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if _submits(config.hydra):
            # on the nodes that `job` leaves at once, srun must not take the first end for the end of all
            os.environ.setdefault("SLURM_WAIT", "0")
            self._wait_for_all()
        folder = Path(config.hydra.sweep.dir).absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.environ[SWEEP] = tempfile.mkdtemp(prefix=".sweep-", dir=folder)
        except OSError as error:
            _refuse_folder(error, "hydra.sweep.dir")

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
        roll = Path(os.environ.pop(SWEEP))
        signed = {int(entry.name): Path(entry.read_text()) for entry in roll.iterdir()}
        shutil.rmtree(roll)
        jobs = [signed[number] for number in sorted(signed)]
        for number, (_, sentence) in sorted(self.lost.items()):
            log.error(sentence)
            if number in signed:
                path = signed[number] / "status.json"
                status = json.loads(path.read_text(encoding="utf-8"))
                write_json(path, status | {"error": status["error"] or sentence})
        codes = {job: json.loads((job / "status.json").read_text(encoding="utf-8"))["code"] for job in jobs}
        never = [overrides for number, (overrides, _) in sorted(self.lost.items()) if number not in signed]
        outcomes[:] = [*codes.values(), *[BROKEN] * len(never)] or [BROKEN]
        if len(codes) < len(jobs) or not (jobs or never):
            log.error(
                f"{len(jobs)} runs told of {len(codes)} folders; each run needs a folder of its own: see hydra.sweep.subdir"
            )
            outcomes.append(BROKEN)
        if failed := [job.name for job, code in codes.items() if code] + never:
            log.error(f"{len(failed)} of {len(codes) + len(never)} runs failed: {', '.join(failed)}")
        if DONE in codes.values():
            _report(list(codes), Path(config.hydra.sweep.dir))


def _report(folders: list[Path], out: Path) -> None:
    from limo import report

    page = report.write(folders, out)
    print(f"\n{report.table(folders)}\n\nreport: {os.path.relpath(page)}", flush=True)


def sentence(error: Exception) -> str:
    """What is wrong with a composition, in one sentence that names the key and the remedy."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and name in ("submitit_slurm", "submitit_local"):
            return f"{group}={name} needs an optional part; pip install 'limo[slurm]'"
        options = f"; choose one of: {', '.join(error.options)}" if error.options else ""
        return f"{group}={name} does not exist{options}" if group else f"{name} does not exist{options}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not a valid override ({first_line(error)}); write key=value, and quote values with special characters"
    text = f"{error}\n{error.__cause__ or ''}"
    if "is not in struct" in text or "could not delete" in text.lower():
        key = re.search(r"'([^']+)'", text)
        return f"{key.group(1) if key else error}: there is no such key; `python -m limo --cfg job` prints every key with its value"
    if found := re.match(r"Error merging override (\S+)", text):
        return f"{found.group(1)}: {first_line(error.__cause__ or error)}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip() and "object_type" not in line)


def _refuse_folder(error: OSError, key: str) -> NoReturn:
    print(f"limo: {error.filename}: {error.strerror}; choose a writable folder with {key}=…", file=sys.stderr)
    sys.exit(MISTAKEN)


def main() -> None:
    """`python -m limo`, `limo`. Exit code 0 done, 2 the user's mistake, 1 a defect or a failed run in a sweep."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(overview())
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us instead of being printed with a traceback
    try:
        offer()
        hydra.main(version_base="1.3", config_path=str(ROOT / "conf"), config_name="config")(job)()
    except (UserError, HydraException, OmegaConfBaseException) as error:
        print(f"limo: {error if isinstance(error, UserError) else sentence(error)}", file=sys.stderr)
        sys.exit(MISTAKEN)
    except RuntimeError as error:  # of submitit, before any run: `job` answers for all others
        if not _of_submitit(error) and "srun" not in str(error):
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
        _refuse_folder(error, "hydra.run.dir")
    except KeyboardInterrupt:
        print("limo: interrupted; the same command resumes", file=sys.stderr)
        sys.exit(130)
    sys.exit(max(outcomes, default=DONE) if len(set(outcomes)) <= 1 else BROKEN)


if __name__ == "__main__":
    # run from the importable module, so that launchers can pickle `job` and the callback sees the same `outcomes`
    from limo.__main__ import main as door

    door()
