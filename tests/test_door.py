"""The command line: help, mistakes in one sentence, recipes from the working directory, the wheel away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from limo.__main__ import VERBS
from tests.command import GOOD, OTHER, jsonl, started

ROOT = Path(__file__).parents[1]


def test_help_names_groups_recipes_and_commands(tmp_path: Path) -> None:
    done = started("--help", cwd=tmp_path)
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
            "there is no stage cooking; the stages are data, attempts, scores, selection, training, evaluation",
        ),
        (["selection._target_=os.system"], "selection._target_: os.system is outside limo;"),
        (["selection"], "selection: neither a verb nor key=value"),
        (["selection=null"], "limo: null is no member of a group"),
        (["stages=[]"], "stages=[] leaves nothing to do"),
        (["name="], "name='' names no folder"),
        (["~model"], "model: nothing is chosen"),
        (["~selection"], "selection: nothing is chosen"),
        (["model=qwen2.5-7b-instruct"], "optimizer: its settings were made for models of up to 10 million weights"),
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
    done = started(*arguments, cwd=tmp_path, HF_HUB_OFFLINE="1")
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
    done = started("data=files", f"data.path={pool}", "attempts=none", "selection=all", *identify, cwd=tmp_path)
    assert sentence in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 2


POOLS = {
    "empty": "",
    "good": f"{GOOD}\n{OTHER}\n",
    "unnamed": GOOD.replace('"question"', '"problem"') + "\n" + OTHER.replace('"question"', '"problem"') + "\n",
    "open": GOOD.replace('"2"', '""') + "\n",
    "huge": GOOD.replace("What is", "What is" + " very" * 2_000_000) + "\n" + OTHER + "\n",
}


@pytest.mark.parametrize(
    ("pool", "words", "sentence"),
    [
        ("empty", [], "data: pool.jsonl: no rows in it"),
        ("good", ["+data@data.decontamination.protect.same=files", "data.decontamination.protect.same.path=pool.jsonl"],
         "data: none of 2 problems is left (benchmark question: 2)"),
        ("unnamed", [], "data: pool.jsonl, line 1: no column 'question' among problem, answer, solution; name the right one"),
        ("unnamed", ["data.bad_rows=drop"], "none of its 2 rows can be used, all for one reason: pool.jsonl, line 1: no column 'question'"),
        ("huge", [], "data: pool.jsonl, line 1: a text of 10,000,014 characters, which no model reads"),
        ("open", [], "data: none of 1 problems is left (no answer: 1)"),
        ("good", ["selection=quality", "keywords.verification.words=[]"], "keywords.verification: a trait needs words"),
        ("good", ["selection=quality", "selection.steps.quality.weight=0.5"], "the weights of length and traits are 1.2 together"),
        ("good", ["data=mixture", "+data@data.parts.a=lab", "+data.weights.a=0.7"], "must be above 0 and sum to 1, not 0.7"),
        ("good", ["+evaluation/benchmark@evaluation.benchmarks.x=none"], "evaluation/benchmark=none does not exist; choose one of: aime24"),
        ("good", ["selection=rsr", "scores.likelihood.model={_target_: limo.models.Model, path: nowhere}"], "nowhere: no such folder"),
        ("good", ["plugins=[mine]", "+selection.steps.mine={_target_: mine.Mine}"],
         "selection.steps.mine: Mine is no Filter: drop(pool) must be drop(pool, seed)"),
        ("good", ["selection=turns", "selection.order.by=subject"], "selection.order.by=subject: the data carry no such column along"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_from_is_said_before_any_model_runs(
    pool: str, words: list[str], sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "pool.jsonl").write_text(POOLS[pool], encoding="utf-8")
    (tmp_path / "mine.py").write_text(
        "from limo.config import component\n\n\n@component\nclass Mine:\n    def drop(self, pool):\n        return {}\n"
    )
    usual = [] if "data=mixture" in words else ["data=files", "data.path=pool.jsonl", "data.solution=solution"]
    done = started(*usual, "selection.size=1", *words, "hydra.run.dir=run", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert done.returncode == 2 and sentence in told and "Traceback" not in told, told
    assert len([line for line in told.splitlines() if sentence in line]) == 1, "once"
    assert not list(tmp_path.glob("outputs/.store/[aest]*/*")), "neither attempts nor scores, training, evaluation"


def test_a_missing_pool_and_a_folder_without_tokenizer_are_both_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    done = started(
        "data=files", "data.path=nothing.jsonl", "attempts=none", f"model.path={tmp_path / 'model'}", cwd=tmp_path
    )
    told = done.stdout + done.stderr
    assert "data.path=nothing.jsonl: no such file" in told
    assert "no tokenizer in it" in told
    assert done.returncode == 2
    assert not list(tmp_path.glob("outputs/.store/*/*.partial"))


def test_the_papers_run_says_everything_that_is_missing_before_any_work(tmp_path: Path) -> None:
    done = started("+experiment=limo817", cwd=tmp_path, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hub"))
    told = done.stdout + done.stderr
    for word in ("GAIR/LIMO", "Qwen/Qwen2.5-32B-Instruct", "GPU"):
        assert word in told, told
    assert "Traceback" not in told
    assert done.returncode == 2


@pytest.mark.parametrize(("key", "more"), [("hydra.run.dir", []), ("hydra.sweep.dir", ["-m"]), ("store", [])])
def test_a_folder_that_cannot_be_written_is_said(key: str, more: list[str], tmp_path: Path) -> None:
    done = started(*more, f"{key}=/proc/limo", cwd=tmp_path)
    told = done.stdout + done.stderr
    assert "Warning" not in told
    assert f"choose a writable folder with {key}=" in told
    assert "Traceback" not in told
    assert done.returncode == 2


def test_recipes_of_the_working_directory_are_found_and_inherit(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text(
        "defaults: [limo817, _self_]\nname: mine\noptimizer: {lr: 1.0e-5}\n"
    )
    done = started("+experiment=mine", "--cfg", "job", "--resolve", cwd=tmp_path)
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
    done = started("+experiment=limo817", "--cfg", "job", cwd=work, PYTHONPATH=str(site))
    assert "name: limo817" in done.stdout, done.stderr
    where = subprocess.run([sys.executable, "-c", "import limo.config; print(limo.config.ROOT)"], cwd=work,
                           env=os.environ | {"PYTHONPATH": str(site)}, capture_output=True, text=True, check=True)  # fmt: skip
    assert Path(where.stdout.strip()) == site / "limo"
    assert (site / "limo/lab/bases/base/model.safetensors").is_file()


@pytest.mark.parametrize(
    "verb", ["plan", "probe", "rehearse", "show", "report", "answers", "diff", "replay", "grade", "export", "store"]
)
def test_every_verb_is_named_by_help_and_has_a_help_of_its_own(verb: str, tmp_path: Path) -> None:
    assert f"python -m limo {verb}" in started("--help", cwd=tmp_path).stdout
    own = started(verb, "--help", cwd=tmp_path)
    assert own.returncode == 0 and own.stdout.startswith(f"usage: python -m limo {verb}")


def test_run_is_the_verb_without_a_name(tmp_path: Path) -> None:
    assert started("run", "--cfg", "job", cwd=tmp_path).stdout == started("--cfg", "job", cwd=tmp_path).stdout != ""


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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("limo ", {*VERBS, "run"}),
        ("limo pro", {"probe"}),
        ("limo plan +experiment=limo81", {"+experiment=limo817"}),
        ("limo plan --gpus 8xH100 selection=ra", {"selection=random"}),
        ("limo run -m selection=ra", {"selection=random"}),
        ("limo report out", set[str]()),
    ],
)
def test_the_shell_completes_every_verb(line: str, expected: set[str], tmp_path: Path) -> None:
    done = started("-sc", "query=bash", cwd=tmp_path, COMP_LINE=line)
    assert done.returncode == 0 and done.stderr == ""
    assert expected <= set(done.stdout.split()) if expected else done.stdout == ""


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_groups_of_the_users_are_found_by_every_verb(verb: str, tmp_path: Path) -> None:
    (tmp_path / "mine/optimizer").mkdir(parents=True)
    (tmp_path / "mine/optimizer/gentle.yaml").write_text("defaults: [adamw, _self_]\nlr: -1\n")
    done = started(verb, "--config-dir", "mine", "optimizer=gentle", cwd=tmp_path)
    assert done.returncode == 2 and "optimizer.lr: must be greater than 0, not -1" in done.stdout + done.stderr
    done = started(verb, "--config-dir", "nowhere", cwd=tmp_path)
    assert done.returncode == 2 and "nowhere" in done.stderr and "Traceback" not in done.stderr
