"""The command line: help, mistakes in one sentence, recipes from the working directory, the wheel away from the checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from filelock import FileLock

from limo.compose import run_dirname

ROOT = Path(__file__).parents[1]


def limo(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limo", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, timeout=1800
    )


def jsonl(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


GOOD = '{"question": "What is 1 + 1?", "answer": "2", "solution": "It is \\\\boxed{2}."}'
OTHER = '{"question": "What is 1 + 2?", "answer": "3", "solution": "It is \\\\boxed{3}."}'


def pooled(folder: Path) -> list[str]:
    """Overrides that read a pool of two solved problems, without attempts at them."""
    pool = jsonl(folder / "pool.jsonl", GOOD, OTHER)
    return ["data=files", f"data.path={pool}", "data.solution=solution", "attempts=none"]


def test_help_names_groups_recipes_and_commands(tmp_path: Path) -> None:
    done = limo("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.count("python -m limo") >= 5
    for word in ("selection:", "model:", "evaluation/benchmark:", "experiment:", "limo817", "random"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["selection=nothing"], "selection=nothing does not exist; choose one of: "),
        (["+experiment=nothing"], "experiment=nothing does not exist; choose one of: "),
        (["selection.sise=3"], "selection.sise: there is no such key"),
        (["+selection.sise=3"], "selection.sise: there is no such key"),
        (["selection.size=many"], "selection.size: "),
        (["selection.size=0"], "selection: size=0"),
        (["seed=one"], "seed=one: "),
        (["~evaluation.benchmarks.aime24"], "evaluation.benchmarks.aime24: there is no such key"),
        (
            ["stages=[data,cooking]"],
            "there is no stage cooking; the stages are data, attempts, selection, training, evaluation",
        ),
        (["selection._target_=os.system"], "selection._target_: os.system is outside limo."),
        (["selection"], "selection: not a valid override"),
        (["selection=null"], "selection=null: null is no member of a group"),
        (["stages=[]"], "stages=[] leaves nothing to do"),
        (["name="], "name='' names no folder"),
        (["~model"], "model: nothing is chosen"),
        (["~selection"], "selection: nothing is chosen"),
        (["python.training=/no/python"], "python.training=/no/python: no such program"),
        (["model.chat_template=no.jinja"], "model.chat_template=no.jinja: no such file"),
        (["optimizer=muon", "training/strategy=zero2"], "optimizer=muon works on whole matrices"),
        (["training.strategy.devices=3"], "training.global_batch=16 is not a multiple of 3 process(es)"),
        (["model.path=/no/such/folder"], "model.path=/no/such/folder: no such folder"),
        (["evaluation.benchmarks.lab_main.samples=4"], "temperature"),
        (["selection.size=1000000"], "selection.size=1000000"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_key_and_exit_code_2(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    done = limo(*arguments, cwd=tmp_path, HF_HUB_OFFLINE="1")
    told = done.stdout + done.stderr
    assert sentence in told
    assert "Traceback" not in told
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([GOOD, '{"question": '], "pool.jsonl, line 2: not valid JSON"),
        ([GOOD, '{"answer": "3", "solution": "x"}'], "pool.jsonl, line 2: no column 'question'"),
        (
            [GOOD.replace("{", '{"id": 1, ', 1), OTHER.replace("{", '{"id": 1, ', 1)],
            "pool.jsonl, line 2: id '1' is in ",
        ),
    ],
)
def test_a_bad_pool_is_named_by_file_and_line(rows: list[str], sentence: str, tmp_path: Path) -> None:
    pool = jsonl(tmp_path / "pool.jsonl", *rows)
    identify = ["data.id=id"] if "id" in rows[0][:8] else []
    done = limo("data=files", f"data.path={pool}", "attempts=none", "selection=all", *identify, cwd=tmp_path)
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 2


def test_a_missing_pool_and_a_folder_without_tokenizer_are_both_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    done = limo(
        "data=files", "data.path=nothing.jsonl", "attempts=none", f"model.path={tmp_path / 'model'}", cwd=tmp_path
    )
    told = done.stdout + done.stderr
    assert "data.path=nothing.jsonl: no such file" in told
    assert "no tokenizer in it" in told
    assert done.returncode == 2
    assert not list(tmp_path.glob("outputs/.store/*/*.partial"))


def test_the_papers_run_says_everything_that_is_missing_before_any_work(tmp_path: Path) -> None:
    done = limo("+experiment=limo817", cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))
    told = done.stdout + done.stderr
    for word in ("GAIR/LIMO", "Qwen/Qwen2.5-32B-Instruct", "GPU", "flash-attn"):
        assert word in told, told
    assert "Traceback" not in told
    assert done.returncode == 2


@pytest.mark.parametrize(("key", "more"), [("hydra.run.dir", []), ("hydra.sweep.dir", ["-m"]), ("store", [])])
def test_a_folder_that_cannot_be_written_is_said(key: str, more: list[str], tmp_path: Path) -> None:
    done = limo(*more, f"{key}=/proc/limo", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert "Warning" not in told
    assert f"choose a writable folder with {key}=" in told
    assert "Traceback" not in told
    assert done.returncode == 2


def test_runs_that_differ_in_a_path_have_folders_of_their_own() -> None:
    ours = "model.path=/a/weights,selection.size=3,stages=[data,selection],training/strategy=ddp"
    folder = run_dirname(ours)
    assert re.fullmatch(
        r"model\.path=weights~\w{6},selection\.size=3,stages=\[data,selection\],training_strategy=ddp", folder
    )
    assert run_dirname(ours) == folder != run_dirname(ours.replace("/a/", "/b/"))
    long = [run_dirname(f"key=…{'ü' * 300}{end}") for end in "ab"]
    assert long[0] != long[1]
    assert all(len(name.encode()) < 255 for name in long)


def test_recipes_of_the_working_directory_are_found_and_inherit(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(
        "defaults: [limo817, _self_]\nname: mine\noptimizer: {lr: 1.0e-5}\n"
    )
    done = limo("+experiment=mine", "--cfg", "job", "--resolve", cwd=tmp_path)
    assert "name: mine" in done.stdout, done.stderr
    assert "lr: 1.0e-05" in done.stdout
    assert "Qwen/Qwen2.5-32B-Instruct" in done.stdout


def test_the_wheel_works_away_from_the_checkout(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    done = limo("+experiment=limo817", "--cfg", "job", cwd=work, PYTHONPATH=str(site))
    assert "name: limo817" in done.stdout, done.stderr
    where = subprocess.run([sys.executable, "-c", "import limo.config; print(limo.config.ROOT)"], cwd=work,
                           env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True)  # fmt: skip
    assert Path(where.stdout.strip()) == site / "limo"
    assert (site / "limo/lab/bases/base/model.safetensors").is_file()


def test_a_sweep_goes_on_after_a_failed_job_and_reports_all(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "stages=[data,selection]", "name=sweep"]
    done = limo("-m", *fixed, "selection=random,longest", "selection.size=1,3", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert "2 of 4 runs failed" in told
    assert "selection.size=3 is more than the 2 examples" in told
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


def test_a_stage_left_out_must_be_in_the_store(tmp_path: Path) -> None:
    fixed = [*pooled(tmp_path), "selection=all", "selection.size=null"]
    first = limo(*fixed, "stages=[selection]", cwd=tmp_path)
    assert first.returncode == 2
    assert "leaves out data, whose result is not in the store" in first.stdout + first.stderr
    assert limo(*fixed, "stages=[data]", cwd=tmp_path).returncode == 0
    assert limo(*fixed, "stages=[selection]", cwd=tmp_path).returncode == 0


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
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=1800)
    told = done.stdout + done.stderr
    assert "2 of 4 runs failed" in told, told
    assert done.returncode == 1
    assert "report: outputs/" in told
    assert len(list((tmp_path / "outputs").glob("*/*/status.json"))) == 4
    assert not list((tmp_path / "outputs").glob("*/.sweep-*"))


def test_a_run_that_is_broken_off_shows_neither_the_end_nor_the_results_of_an_earlier_one(tmp_path: Path) -> None:
    pool = jsonl(tmp_path / "pool.jsonl", GOOD, OTHER)
    fixed = ["data=files", "data.path=pool.jsonl", "data.solution=solution", "attempts=none", "selection=all"]
    fixed += ["selection.size=null", "stages=[data,selection]", "hydra.run.dir=run"]
    assert limo(*fixed, cwd=tmp_path).returncode == 0
    assert (tmp_path / "run/selection/examples.jsonl").is_file()
    jsonl(pool, GOOD, '{"question": ')
    assert limo(*fixed, cwd=tmp_path).returncode == 2
    assert not (tmp_path / "run/selection").exists()
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"
    jsonl(pool, GOOD, OTHER)
    with ExitStack() as held:
        for lock in (tmp_path / "outputs/.store/data").glob("*.lock"):
            held.enter_context(FileLock(lock))  # the run waits here
        run = held.enter_context(subprocess.Popen([sys.executable, "-m", "limo", *fixed], cwd=tmp_path))
        for _ in range(600):
            if json.loads((tmp_path / "run/status.json").read_text())["state"] == "unfinished":
                break
            time.sleep(0.05)
        run.kill()
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "unfinished"


@pytest.mark.parametrize("verb", ["plan", "probe", "report", "grade"])
def test_every_verb_is_named_by_help_and_has_a_help_of_its_own(verb: str, tmp_path: Path) -> None:
    assert f"python -m limo {verb}" in limo("--help", cwd=tmp_path).stdout
    own = limo(verb, "--help", cwd=tmp_path)
    assert own.returncode == 0 and own.stdout.startswith(f"usage: python -m limo {verb}")


def test_run_is_the_verb_without_a_name(tmp_path: Path) -> None:
    assert limo("run", "--cfg", "job", cwd=tmp_path).stdout == limo("--cfg", "job", cwd=tmp_path).stdout != ""


@pytest.mark.parametrize("words", ["plan", "report --help", "--help"])
def test_a_reader_that_has_seen_enough_meets_no_traceback(words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "limo", *words.split()]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert "Traceback" not in (said := child.stderr.read()) and "BrokenPipe" not in said, said


@pytest.mark.parametrize("words", [[], ["--help"], ["nowhere"]])
def test_a_stage_called_by_hand_says_what_it_is_and_what_to_use(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "limo.data", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is the data stage as a run starts it" in done.stderr and "python -m limo --help" in done.stderr
    assert len(done.stderr.splitlines()) == 1
