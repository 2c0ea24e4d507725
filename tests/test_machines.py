"""Runs that are sent elsewhere: what SLURM is asked for, how many runs a job of several nodes makes, what is said of lost jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import slurm
from tests.command import pooled, started
from tests.waiting import LAST

LAUNCHER = "hydra/launcher=submitit_slurm"


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
    return slurm.install(tmp_path / "slurm")


def logs(folder: Path) -> str:
    return "".join(
        file.read_text() for file in sorted(folder.glob("outputs/*/.submitit/*/*.*")) if file.suffix in (".out", ".err")
    )


def test_a_run_is_one_job_with_what_was_asked_for_and_runs_once_on_the_first_of_its_nodes(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    asked = ["partition=h100", "account=reasoning", "nodes=2", "tasks_per_node=1", "gpus_per_node=8", "timeout_min=90"]
    how = [*pooled(tmp_path), "stages=[data,selection]", "selection=all", "selection.size=null"]
    done = started("-m", LAUNCHER, *[f"hydra.launcher.{one}" for one in asked], *how, cwd=tmp_path, **cluster)
    assert done.returncode == 0, done.stdout + done.stderr + logs(tmp_path)
    assert "report: outputs/lab/report.html" in done.stdout
    (script,) = (tmp_path / "slurm").glob("*.sh")
    lines = script.read_text().splitlines()
    for line in (
        "partition=h100", "account=reasoning", "nodes=2", "ntasks-per-node=1", "gpus-per-node=8", "time=90", "signal=USR2@120",
        "job-name=limo",
    ):  # fmt: skip
        assert f"#SBATCH --{line}" in lines, script.read_text()
    (start,) = [line for line in lines if line.startswith("srun ")]
    assert f"{sys.executable} -u -m submitit.core._submit" in start
    outputs = [file.read_text() for file in sorted(tmp_path.glob("outputs/lab/.submitit/*/*_log.out"))]
    assert len(outputs) == 2, "one for each node"
    assert all("completed successfully" in text for text in outputs)
    assert ["selection" in text for text in outputs] == [True, False]
    assert len(list(tmp_path.glob("outputs/lab/*/status.json"))) == 1


def test_jobs_that_slurm_ends_cost_the_sweep_neither_its_report_nor_the_other_runs(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    python = tmp_path / "python"
    kill = '[ "$3" != --missing ] && [ "$SLURM_ARRAY_TASK_ID" = 1 ] && scancel "$SLURM_JOB_ID"'
    python.write_text(f'#!/bin/sh\n{kill}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    how = [
        *pooled(tmp_path),
        f"python.data={python}",
        "stages=[data,selection]",
        "selection=all",
        "selection.size=null",
    ]
    never = "hydra.launcher.setup=['test \"$SLURM_ARRAY_TASK_ID\" != 0 || exit 1']"
    pools = "data.limit=null,1,2"  # each makes a pool of its own: one from the store would start no process to cancel
    done = started("-m", LAUNCHER, never, *how, pools, cwd=tmp_path, **cluster)
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "Traceback" not in told
    (first,) = [line for line in told.splitlines() if "data.limit=null: its job" in line]
    assert "ended without a result (FAILED); its log is in outputs/lab/.submitit/" in first
    (second,) = [line for line in told.splitlines() if "data.limit=1: its job" in line]
    assert "ended without a result (CANCELLED by 0); its log is in outputs/lab/.submitit/" in second
    assert "2 of 3 runs failed" in told
    assert "report: outputs/lab/report.html" in told
    codes = [json.loads(file.read_text())["code"] for file in sorted(tmp_path.glob("outputs/lab/*/status.json"))]
    assert codes == [1, 0], logs(tmp_path)
    assert "CANCELLED by 0" in (tmp_path / "outputs/lab/report.html").read_text()


def test_a_run_whose_time_is_up_stops_its_stage_and_says_how_to_go_on(cluster: dict[str, str], tmp_path: Path) -> None:
    python = tmp_path / "python"
    asked = f'[ "$3" = --missing ] && exec {sys.executable} "$@"'
    python.write_text(f'#!/bin/sh\n{asked}\nscancel --signal=USR2 "$SLURM_JOB_ID"\nsleep 3600\n')
    python.chmod(0o755)
    how = [*pooled(tmp_path), f"python.data={python}", "stages=[data]", "hydra.launcher.timeout_min=10"]
    done = started("-m", LAUNCHER, *how, cwd=tmp_path, **cluster)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 1 runs failed" in done.stdout + done.stderr
    (status,) = tmp_path.glob("outputs/lab/*/status.json")
    error = json.loads(status.read_text())["error"]
    assert (
        "SLURM ends this job (Job not requeued because: timed-out too many times.); run the same command again" in error
    )
    assert json.loads(status.read_text())["seconds"] < 3600, "the stage is stopped with the run"


def test_a_job_that_slurm_refuses_is_one_sentence(cluster: dict[str, str], tmp_path: Path) -> None:
    done = started("-m", LAUNCHER, "hydra.launcher.account=nobody", "stages=[data]", cwd=tmp_path, **cluster)
    told = done.stdout + done.stderr
    assert "SLURM did not take the job: sbatch: error: Batch job submission failed: Invalid account" in told
    assert "Traceback" not in told
    assert done.returncode == 2


def test_a_launcher_without_m_submits_nothing_and_says_so(cluster: dict[str, str], tmp_path: Path) -> None:
    done = started(LAUNCHER, *pooled(tmp_path), "stages=[data]", cwd=tmp_path, **cluster)
    assert f"write python -m limo -m {LAUNCHER}" in done.stdout + done.stderr
    assert done.returncode == 2
    assert not list(tmp_path.glob("slurm/*.sh"))


WITHOUT = """
import sys
sys.modules["hydra_plugins"] = None
sys.argv[0] = "limo"
from limo.__main__ import main
main()
"""


@pytest.mark.parametrize("name", ["submitit_slurm", "submitit_local"])
def test_a_launcher_that_is_not_installed_is_named_with_its_remedy(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "-m", f"hydra/launcher={name}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LAST)
    assert f"hydra/launcher={name} needs an optional part; pip install 'limo[slurm]'" in done.stderr, done.stderr
    assert done.returncode == 2


def test_more_machines_than_the_job_has_are_refused_before_any_work(tmp_path: Path) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "a,b"}
    done = started("training/strategy=zero2", "training.strategy.nodes=4", cwd=tmp_path, **job)
    told = done.stdout + done.stderr
    assert (
        "training.strategy.nodes=4: this SLURM job has 2 node(s); submit it with hydra.launcher.nodes=4, or set it to 2"
        in told
    )
    assert done.returncode == 2
    assert not list(tmp_path.glob("outputs/.store/*/*.partial"))
