"""Runs and sweeps: every job ends in a status, a sweep in one report, a run broken off in nothing of an earlier one."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from limo import tally
from limo.records import Status, read_results, write_record
from limo.terminal import cells
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
    tally.ask(place, [()] * 3)
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


NOW = 1.8e9


def standing(place: Path, jobs: list[tuple[str, ...]], *ended: Status) -> None:
    """A register of a sweep of these jobs, of which the first have these statuses."""
    place.mkdir()
    tally.ask(place, jobs)
    for number, status in enumerate(ended):
        folder = place.parent / "sweep" / str(number)
        folder.mkdir(parents=True)
        write_record(folder / "status.json", replace(status, overrides=jobs[number]))
        tally.enter(place, number, folder)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_shows_what_tells_each_run_of_a_sweep_from_the_others_and_how_it_stands(
    tmp_path: Path, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limo.tally.time.time", lambda: NOW)
    swept = [("hardest", 10), ("limo", 300), ("random", 300), ("selection_of_our_own_with_a_long_name" * 2, 300)]
    jobs = [(f"selection={one}", f"selection.size={size}", "name=ours", "seed=0") for one, size in swept]
    place = tmp_path / "register"
    failed = Status(began=NOW - 90, state="failed", code=2, error="no disk for " + "this " * 30, seconds=75.0)
    standing(place, jobs, failed, failed, Status(began=NOW - 20, task="evaluation/base"))
    done = write_run(tmp_path / "sweep", "limo")
    tally.enter(place, 1, done)
    shown = tally.table(place, columns)
    assert max(cells(line) for line in shown.split("\n")) <= columns
    stands, head, _, *rows = shown.split("\n")
    assert stands.startswith("2 of 4 runs ended (1 failed, 1 running), about ")
    assert "· size" in head and "seed" not in shown and "ours" not in shown
    first, second, third, fourth = rows
    assert (
        first.startswith("1    hardest · 10 ") and " failed " in first and " no di" in first and "1 min 15 s" in first
    )
    assert re.search(r"limo · 300 +done +mean \d\d\.\d % +2 min 06 s$", second)
    assert re.search(r"random · 300 +evaluation … +20\.0 s$", third)
    assert re.match(r"4    selecti.*….* · 300 +waiting$", fourth)


def test_of_a_large_sweep_those_that_failed_run_or_ended_last_are_listed_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limo.tally.time.time", lambda: NOW)
    place = tmp_path / "register"
    ended = [Status(began=NOW - 100 + n, state="done", code=0, seconds=1.0) for n in range(30)]
    ended[3] = replace(ended[3], state="failed", code=2, error="no disk")
    standing(place, [(f"seed={n}",) for n in range(60)], *ended, Status(began=NOW, task="training"))
    stands, _, _, *rows, more = tally.table(place, 80).split("\n")
    assert "30 of 60 runs ended (1 failed, 1 running)" in stands and more == "24 done, 29 waiting not listed"
    assert [int(row.split()[0]) for row in rows] == [4, 26, 27, 28, 29, 30, 31]
    assert "failed" in rows[0] and "no disk" in rows[0] and "training …" in rows[-1]


def test_a_sweep_on_a_terminal_is_a_table_in_place_of_overrides_and_folders(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "selection=random", "name=sweep"]
    command = [sys.executable, "-m", "limo", "-m", *fixed, "selection.size=3,1"]
    ours, theirs = os.openpty()
    env = os.environ | {"COLUMNS": "70"}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        told = ""
        with suppress(OSError):  # the end, on Linux
            while block := os.read(ours, 1 << 16):
                told += block.decode(errors="replace")
        os.close(ours)
    assert process.wait() == 1
    assert "[HYDRA] #" not in told and "the last:" not in told, told
    assert "run 1 of 2: size=3" in told and "run 2 of 2: size=1" in told, told
    _, first, _, last = told.split(tally.CLEAR)[1:]
    assert re.search(r"1 +3 +failed +selection\.size=3 is m.*s\r\n2 +1 +waiting", first), told
    assert re.search(r"1 +3 +failed .*s\r\n2 +1 +done +\d", last) and "2 of 2 runs ended (1 failed)" in last, told
