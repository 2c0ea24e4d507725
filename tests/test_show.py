"""What `limo show` says of groups, members and recipes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from limo import UserError, show
from limo.compose import tree
from limo.described import keys, leaves, members
from tests.command import started


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    show.main(words)
    return capsys.readouterr().out


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


def test_every_group_every_member_and_every_recipe_with_question_and_result_is_listed(
    wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys)
    for group, names in members().items():
        if group != "experiment":
            assert f"\n  {group} " in out and all(name in out for name in names)
    recipes = {name: file.read_text(encoding="utf-8") for name, file in members()["experiment"].items()}
    for name, text in recipes.items():
        question = text.split("\n")[0].removeprefix("# ")
        assert f"\n\n{name}\n  {question}" in out
    for what in ("Hardware", "Obtained"):
        assert out.count(f"\n  {what}: ") == sum(f"\n# {what}" in text for text in recipes.values()) > 9


def test_a_group_says_what_each_member_is(wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "selection")
    assert out.startswith("selection: Which examples to keep")
    for name, file in members()["selection"].items():
        (line,) = [line for line in out.split("\n") if line.split()[:1] == [name]]
        assert file.read_text(encoding="utf-8").split("\n")[0].removeprefix("# ") in line
    assert "its parts: selection/budget, selection/order, selection/step, selection/transform" in out


@pytest.mark.parametrize("what", ["selection/limo", "data/lab", "training/lora", "evaluation/limo_v1", "optimizer/lab"])
def test_a_member_shows_every_key_with_the_value_that_a_run_would_have(
    what: str, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    group, _, name = what.partition("/")
    out = said(capsys, what)
    for key, value in leaves(tree([f"{group}={name}"])[group]):
        if key != "_target_":
            assert f"\n  {group}.{key}: {value if isinstance(value, str) else json.dumps(value)}" in out


def test_a_key_has_its_comment_wherever_it_is_inherited_from(wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "selection/limo")
    for line in (
        "selection.size: 300 how many stay; null keeps all",
        "selection.steps.solve_rate.high: 0.1 the paper: 3 of 32",
        "selection.steps.quality.scaling: rank rank | minmax | none",
    ):
        assert line in [" ".join(shown.split()) for shown in out.split("\n")]
    assert "\nlimo.selection.Selection: Which examples to keep" in out


def test_parts_of_members_have_the_keys_of_their_files_and_bases() -> None:
    for group in ("selection/step", "selection/order", "evaluation/benchmark", "training/strategy"):
        for name, file in members()[group].items():
            own = yaml.safe_load(file.read_text(encoding="utf-8"))
            found = keys(group, name)
            for key, value in leaves({k: v for k, v in own.items() if k != "defaults"}):
                if not isinstance(value, list | dict) and key in found:
                    assert yaml.safe_load(found[key].value) == value, (group, name, key)
    assert keys("training/strategy", "zero3")["stage"].value == "3"
    assert keys("evaluation/benchmark", "gsm8k")["max_tokens"].comment == "longest answer in tokens"
    assert "source.decontamination.long" not in keys("evaluation/benchmark", "gsm8k")  # null took its place


def test_a_recipe_is_shown_whole_with_its_jobs(wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "+experiment=lab/size")
    for part in ("How many examples does it take", "Command: python -m limo +experiment=lab/size", "Expected: ",
                 "selection.size: 10,30,100,300", "8 jobs, the first: selection.size=10 selection=limo"):  # fmt: skip
        assert part in out


def test_members_and_recipes_of_your_own_are_shown_as_yours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf/selection").mkdir(parents=True)
    (tmp_path / "conf/selection/mine.yaml").write_text(
        "# My \u202e way\ndefaults: [random, _self_]\nper_problem: 7 # a few\n_target_: mine.Selection\n"
    )
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/club.yaml").write_text(
        "# Does it help?\n# Obtained  not yet\ndefaults: [lab/size, _self_]\n"
    )
    out = said(capsys)
    assert "mine" in out and "\n\nclub (yours)\n  Does it help?\n  Obtained: not yet" in out
    assert "mine (yours)" in said(capsys, "selection") and "lab (yours)" not in said(capsys, "data")
    mine = said(capsys, "selection/mine")
    assert (
        "(conf/selection/mine.yaml)" in mine
        and "My \\u202e way" in mine
        and "mine.Selection: a class of your own" in mine
    )
    assert "selection.per_problem: 7" in mine and "a few" in mine and "selection.size: 300" in mine


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("selectoin", "selectoin: no such group; did you mean selection"),
        ("selection/lmio", "selection/lmio: no such member; did you mean limo"),
        ("+experiment=limo871", "experiment/limo871: no such member; did you mean limo817"),
        ("+experiment=lab/sise", "did you mean lab/size"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(what: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("+", r"\+")):
        show.main([what])


def test_everything_fits_a_narrow_terminal(tmp_path: Path) -> None:
    done = started("show", "selection/limo", cwd=tmp_path, COLUMNS="60")
    assert done.returncode == 0, done.stderr
    assert all(len(line) <= 60 for line in done.stdout.split("\n")[1:])
