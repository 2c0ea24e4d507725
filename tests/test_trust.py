"""Hydra's own part of a recipe chooses; it calls nothing, opens no file and sets no environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from limo import UserError
from limo.compose import jobs
from tests.command import started

START = "_target_: limo.process.start, command: [touch, MADE]"


def recipe(folder: Path, node: str, name: str = "evil") -> None:
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / f"experiments/{name}.yaml").write_text(f"{node}\n")


@pytest.mark.parametrize(
    ("node", "sentence"),
    [
        (f"callbacks: {{x: {{{START}}}}}", r"callbacks.x._target_: limo.process.start is no class of Hydra"),
        (
            "callbacks: {x: {_target_: hydra.utils.get_class}}",
            r"callbacks.x._target_: hydra.utils.get_class is no class",
        ),
        ("launcher: {_target_: hydra.utils.call}", r"launcher._target_: hydra.utils.call is no class"),
        ("sweeper: {_target_: limo.sweep.os.system}", r"sweeper._target_: limo.sweep.os.system is no class"),
        (f"sweeper: {{params: {{x: {{{START}}}}}}}", r"sweeper.params.x._target_: limo.process.start is no class"),
        ("job_logging: {handlers: {x: {class: subprocess.Popen}}}", r"handlers.x.class: subprocess.Popen is nothing"),
        ("job_logging: {filters: {x: {(): evil.X}}}", r"filters.x.\(\): evil.X is nothing that a log needs"),
        ("hydra_logging: {handlers: {console: {stream: 'ext://evil.X'}}}", r"stream: ext://evil.X is nothing"),
        ("job_logging: {handlers: {file: {filename: MADE}}}", r"file.filename: MADE is nothing that a log needs"),
        ("job: {env_set: {PYTHONPATH: .}}", r"job.env_set.PYTHONPATH: set PYTHONPATH in the shell"),
        ("job: {name: ../MADE}", r"job.name: ../MADE must be a plain name"),
        ("output_subdir: ../MADE", r"output_subdir: ../MADE must be a plain name"),
        ("searchpath: ['pkg://evil']", r"Overriding hydra.searchpath is only supported from the primary config"),
    ],
)
def test_a_recipe_makes_hydra_do_nothing_of_its_own(
    node: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(tmp_path, f"hydra: {{{node}}}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        jobs(["+experiment=evil"])


@pytest.mark.parametrize("words", [[], ["--cfg", "job"], ["plan"]])
def test_nothing_is_called_whatever_is_asked(words: list[str], tmp_path: Path) -> None:
    recipe(tmp_path, f"hydra: {{callbacks: {{x: {{{START}}}}}}}")
    done = started(*words, "+experiment=evil", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "hydra.callbacks.x._target_: limo.process.start is no class of Hydra" in done.stderr
    assert not (tmp_path / "MADE").exists()


def test_a_recipe_among_those_of_a_sweep_is_held_to_the_same(tmp_path: Path) -> None:
    recipe(tmp_path, "hydra: {job_logging: {handlers: {x: {class: subprocess.Popen, args: [touch, MADE]}}}}")
    recipe(tmp_path, "name: ../MADE", "away")
    for name, sentence in (("evil", "subprocess.Popen is nothing that a log needs"), ("away", "name='../MADE'")):
        done = started("-m", f"+experiment=lab/size,{name}", "stages=[data]", cwd=tmp_path)
        assert done.returncode == 2 and sentence in done.stderr, done.stderr
    assert not (tmp_path / "MADE").exists() and not (tmp_path.parent / "MADE").exists()


def test_a_name_that_leads_elsewhere_makes_no_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for words in (["name=../../away"], ["-m", "name=../../away", "seed=1,2"]):
        done = started(*words, cwd=tmp_path / "here")
        assert done.returncode == 2 and "name='../../away' names no folder below outputs" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_what_hydra_ships_is_left_to_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for word in (
        "hydra/job_logging=disabled",
        "hydra.verbose=true",
        "hydra/launcher=submitit_local",
        "hydra.output_subdir=.hydra",
    ):
        assert jobs([word]) == [[word]]
