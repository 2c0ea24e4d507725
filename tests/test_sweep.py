"""Runs and sweeps: every job ends in a status, a sweep in one report, a run broken off in nothing of an earlier one."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock

from tests.command import GOOD, OTHER, jsonl, pooled, started
from tests.waiting import LAST, until


def test_a_sweep_goes_on_after_a_failed_job_and_reports_all(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "name=sweep"]
    killed = subprocess.Popen(["true"])
    killed.wait()
    (tmp_path / f"outputs/sweep/.sweep.{platform.node()}.{killed.pid}").mkdir(parents=True)
    done = started("-m", *fixed, "selection=random,longest", "selection.size=1,3", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "2 of 4 runs failed" in told
    assert "selection.size=3 is more than the 2 examples" in told
    assert not list((tmp_path / "outputs/sweep").glob(".sweep*")), "of a sweep that was killed"
    folders = sorted(f.parent for f in (tmp_path / "outputs/sweep").glob("*/status.json"))
    states = [json.loads((f / "status.json").read_text())["state"] for f in folders]
    assert sorted(states) == ["done", "done", "failed", "failed"]
    chosen = [f for f in folders if (f / "selection/examples.jsonl").is_file()]
    assert len(chosen) == 2
    page = (tmp_path / "outputs/sweep/report.html").read_text()
    assert "selection.size=3 is more than the 2 examples" in page
    assert len(list((tmp_path / "outputs/.store/data").glob("*/manifest.json"))) == 1, (
        "the pool was read once for all jobs"
    )


def test_jobs_that_compose_to_the_same_config_run_once_and_are_shown_once(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "name=sweep", "selection=all", "training/strategy=zero3"]
    done = started("-m", *fixed, "training=full,zero3", "selection.size=1,2,2", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert told.count("is there twice; it runs once") == 1
    assert told.count("composes to the same config as ") == 3
    runs = [json.loads(f.read_text()) for f in (tmp_path / "outputs/sweep").glob("*/run.json")]
    assert sorted(run["size"] for run in runs) == [1, 2]
    assert {run["choices"]["training"] for run in runs} == {"full"}


def test_a_stage_left_out_must_be_in_the_store(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "selection=all", "selection.size=null"]
    first = started(*fixed, "stages=[selection]", cwd=tmp_path)
    assert first.returncode == 2
    assert "leaves out data, whose result is not in the store" in first.stdout + first.stderr
    assert started(*fixed, "stages=[data]", cwd=tmp_path).returncode == 0
    assert started(*fixed, "stages=[selection]", cwd=tmp_path).returncode == 0


def test_runs_of_a_sweep_in_other_processes_and_other_folders_are_all_in_its_report(tmp_path: Path) -> None:
    """As with a launcher that sends its runs to other machines, each with a name, so a folder, of its own."""
    driver = """
import multiprocessing, sys
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
here = BasicLauncher.launch
def launch(self, overrides, start):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        done = [pool.apply_async(run, (self, [o], start + n)) for n, o in enumerate(overrides)]
        return [d.get() for d in done]
def run(self, overrides, start):
    here(self, [overrides[0]], start)
BasicLauncher.launch = launch
sys.argv[0] = "limo"
from limo.__main__ import main
main()
"""
    fixed = [*pooled(tmp_path), "stages=[data,selection]"]
    command = [sys.executable, "-c", driver, "-m", *fixed, "selection=all", "selection.size=1,3", "name=one,two"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LAST)
    told = done.stdout + done.stderr
    assert "2 of 4 runs failed" in told, told
    assert done.returncode == 1
    assert "report: outputs/" in told
    assert len(list((tmp_path / "outputs").glob("*/*/status.json"))) == 4
    assert not list((tmp_path / "outputs").glob("*/.sweep*"))


def test_a_run_that_is_broken_off_shows_neither_the_end_nor_the_results_of_an_earlier_one(tmp_path: Path) -> None:
    pool = jsonl(tmp_path / "pool.jsonl", GOOD, OTHER)
    fixed = ["data=files", "data.path=pool.jsonl", "data.solution=solution", "attempts=none", "selection=all"]
    fixed += ["selection.size=null", "stages=[data,selection]", "hydra.run.dir=run"]
    assert started(*fixed, cwd=tmp_path).returncode == 0
    assert (tmp_path / "run/selection/examples.jsonl").is_file()
    jsonl(pool, GOOD, '{"question": ')
    assert started(*fixed, cwd=tmp_path).returncode == 2
    assert not (tmp_path / "run/selection").exists()
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"
    jsonl(pool, GOOD, OTHER)
    with ExitStack() as held:
        for lock in (tmp_path / "outputs/.store/data").glob("*.lock"):
            held.enter_context(FileLock(lock))  # the run waits here
        run = held.enter_context(subprocess.Popen([sys.executable, "-m", "limo", *fixed], cwd=tmp_path))
        status = tmp_path / "run/status.json"
        until(
            "the run's own status",
            lambda: json.loads(status.read_text())["state"] == "unfinished",
            lambda: run.poll() is None,
        )
        run.kill()
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "unfinished"
