"""Runs and sweeps: every job ends in a status, a sweep in one report, a run broken off in nothing of an earlier one."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from filelock import FileLock

from limo import tally
from limo.records import Status, read_results, write_record
from tests.command import GOOD, OTHER, jsonl, limo, pooled, started
from tests.outputs import write_run
from tests.waiting import until


def test_a_sweep_goes_on_after_a_failed_job_and_reports_all(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "name=sweep"]
    killed = subprocess.Popen(["true"])
    killed.wait()
    (tmp_path / f"outputs/sweep/.sweep.{platform.node()}.{killed.pid}").mkdir(parents=True)
    done = started("-m", *fixed, "selection=random,longest", "selection.size=1,3", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "2 of 4 runs failed" in told
    assert (
        re.search(r"1 of 4 runs ended, about .* left; the last: done \(", told)
        and "4 of 4 runs ended (2 failed)" in told
    )
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
    parallel = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "selection=all"]
    done = started("-m", *parallel, *fixed, "selection.size=1,3", "name=one,two", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert "2 of 4 runs failed" in told and "4 of 4 runs ended (2 failed)" in told, told
    assert done.returncode == 1
    assert "report: outputs/report.html" in told
    assert len(list((tmp_path / "outputs").glob("*/*/status.json"))) == 4
    assert not list((tmp_path / "outputs").glob("*/.sweep*"))


def test_the_page_of_recipes_that_are_swept_stands_beside_their_runs(tmp_path: Path) -> None:
    """Hydra names the folder of a sweep before it knows the recipes."""
    for arm, size in (("few", 1), ("many", 2)):
        recipe = tmp_path / "experiments/arms" / f"{arm}.yaml"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(f"# Is {arm} enough?\nname: arms\nselection: {{size: {size}}}\n")
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "selection=all"]
    done = started("-m", *fixed, "+experiment=glob(arms/*)", cwd=tmp_path)
    assert "report: outputs/arms/report.html" in done.stdout and done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "outputs/arms").glob("*/status.json"))) == 2
    assert not (tmp_path / "outputs/lab/report.html").exists()


def test_a_page_is_there_while_a_sweep_runs_and_says_so(tmp_path: Path) -> None:
    """It is made of the runs that ended, and not again before it would be worth its time."""
    sweep, place = tmp_path / "sweep", tmp_path / "register"
    place.mkdir()
    tally.ask(place, 3)
    ended, running = write_run(sweep, "limo"), write_run(sweep, "random", error="no disk")
    write_record(running / "status.json", Status())
    for number, folder in enumerate((ended, running)):
        tally.enter(place, number, folder)
    tally.redraw(place)
    page = sweep / "report.html"
    assert "This sweep still runs: 1 of 3 runs ended (1 running), about " in page.read_text()
    assert "random" not in page.read_text()
    assert re.fullmatch(r"tuned main \d+\.\d %, mean of 3 \d+\.\d %", tally.gave(ended))
    write_record(running / "status.json", Status(state="failed", code=2, error="no disk\nat all", seconds=1.0))
    assert tally.gave(running) == "failed: no disk"
    (place / "page.json").write_text('{"made": 1e12, "took": 1.0}')
    tally.redraw(place)
    assert "no disk" not in page.read_text()
    (place / "page.json").write_text('{"made": 0.0, "took": 1.0}')
    tally.redraw(place)
    assert "2 of 3 runs ended (1 failed), about " in page.read_text() and "no disk" in page.read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["selection/transform@selection.transforms.damage=shuffle,delete", "+selection.transforms.damage.nosuch=1"],
            "damage=shuffle: selection.transforms.damage.nosuch: there is no such key; there is share; no run has begun",
        ),
        (["optimizer.lr=1e-3,-1"], "limo: optimizer.lr=-1: optimizer.lr: must be greater than 0, not -1; no run has begun"),
        (["seed=1,2", "+expect.a={order: ['selection=randm', base]}"], "seed=1: expect.a.order: selection=randm: no such"),
    ],
)  # fmt: skip
def test_a_sweep_with_a_run_that_cannot_be_built_does_not_begin(
    words: list[str], sentence: str, tmp_path: Path
) -> None:
    done = started("-m", *(f"+{word}" if "@" in word else word for word in words), cwd=tmp_path)
    assert done.returncode == 2 and sentence in done.stderr, done.stdout + done.stderr
    assert not list(tmp_path.glob("outputs/*"))


SEARCH = ["-m", "hydra/sweeper=optuna", "stages=[evaluation]", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=2"]


def test_a_search_is_told_what_its_runs_reached_and_passes_over_those_that_failed(tmp_path: Path) -> None:
    ours = [
        "evaluation=none",
        "+evaluation/benchmark@evaluation.benchmarks.dev=lab_easy",
        "evaluation.limit=2",
        "name=s",
    ]
    ours += ["evaluation.benchmarks.dev.source.split=dev", "objective=dev", "hydra/sweeper/sampler=grid"]
    swept = "evaluation.benchmarks.dev.max_tokens=choice(-1,8)"
    done = started(*SEARCH, *ours, "hydra.sweeper.direction=maximize", swept, cwd=tmp_path)
    told = done.stdout + done.stderr
    assert "2 of 2 runs ended (1 failed)" in told and "1 of 2 runs failed" in told, told
    best = (tmp_path / "outputs/s/optimization_results.yaml").read_text()
    assert "dev.max_tokens: 8" in best
    (results,) = (tmp_path / "outputs/s").glob("*/evaluation/base/results.json")
    assert f"best_value: {read_results(results).benchmarks['dev'].accuracy}" in best


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            (),
            "a sweeper that searches needs an objective; set objective=… to the accuracy of a benchmark of the run, lab_main",
        ),
        (
            ("objective=lab_mian",),
            "objective=lab_mian: must be the accuracy of a benchmark of the run, .*; did you mean lab_main",
        ),
        (
            ("objective=lab_main",),
            "hydra.sweeper.direction=minimize would look for the worst lab_main; .*direction=maximize",
        ),
        (("objective=validation_loss",), "objective=validation_loss needs training.validation=<examples.jsonl>"),
    ],
)
def test_a_search_without_a_good_aim_does_not_begin(
    words: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert limo(*SEARCH, "evaluation.limit=interval(1,3)", *words) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


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
