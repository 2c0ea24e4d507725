"""Members and recipes of the working directory beside the shipped ones; files to inherit from; each thing shown once."""

from __future__ import annotations

import io
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from limo import UserError, show
from limo.compose import compose
from limo.config import ROOT
from limo.show import overview

MODEL = "defaults:\n  - _base\n  - _self_\npath: mine/one\n"
RECIPE = "defaults:\n  - override /model: mine\n  - _self_\nname: own\nseed: 7\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model and a recipe of the user's own."""
    write(tmp_path / "conf/model/mine.yaml", MODEL)
    write(tmp_path / "experiments/own.yaml", RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def limo(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limo", *words]
    path = {"PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, env=os.environ | path, capture_output=True, text=True, check=False)


def listed(group: str) -> list[str]:
    """What `--help` lists of a group."""
    found = re.search(rf"^{group}: (.*)$", overview(), re.MULTILINE)
    return found[1].split(", ") if found else []


def test_a_member_of_the_working_directory_inherits_from_the_shipped_base(here: Path) -> None:
    model = compose(["model=mine"]).model
    assert (model.path, model.dtype) == ("mine/one", "bfloat16")
    assert model.system == compose(["model=qwq-32b"]).model.system


def test_a_recipe_of_the_working_directory_chooses_its_members_for_every_verb(here: Path) -> None:
    shown = limo("run", "+experiment=own", "--cfg", "job")
    assert "path: mine/one" in shown.stdout, shown.stderr
    planned = limo("plan", "+experiment=own", "stages=[data]")
    assert planned.returncode == 0 and "data" in planned.stdout, planned.stderr
    probed = limo("probe", "+experiment=own", "--examples", "1")
    assert probed.returncode == 2 and "mine/one" in probed.stderr  # which is not to be had here


def test_what_the_working_directory_has_comes_before_what_is_shipped(here: Path) -> None:
    write(here / "conf/model/lab.yaml", MODEL)
    write(here / "experiments/limo817.yaml", "seed: 817\n")
    assert compose([]).model.path == "mine/one"
    assert compose(["+experiment=limo817"]).seed == 817
    assert compose(["+experiment=limo800"]).seed == 817  # recipes inherit from it too


def test_only_the_chosen_recipe_and_member_can_break_a_run(here: Path) -> None:
    write(here / "experiments/broken.yaml", "a: [\n")
    write(here / "experiments/list.yaml", "- a\n")
    write(here / "conf/model/broken.yaml", "a: b: c\n")
    assert compose(["+experiment=own"]).seed == 7
    assert "broken" in overview()
    for chosen, file in (("+experiment=broken", "experiments/broken"), ("model=broken", "conf/model/broken")):
        with pytest.raises(UserError, match=f"{file}.yaml: not valid YAML"):
            compose([chosen])
    with pytest.raises(UserError, match=r"experiments/list.yaml: not a config; write keys with values"):
        compose(["+experiment=list"])
    told = limo("run", "+experiment=broken")
    assert told.returncode == 2 and told.stderr.count("\n") == 1 and "not valid YAML" in told.stderr


@pytest.mark.parametrize(
    ("head", "asked"),
    [
        ("# Does it help?\n", "Does it help?"),
        (
            "# Does it help,\n# and how much?\n# Command   python -m limo +experiment=own\n",
            "Does it help, and how much?",
        ),
        ("# @package _global_\n# Does it help?\n# Obtained  not yet\n", "Does it help?"),
        ("# Command   python -m limo +experiment=own\n", None),
        ("", None),
    ],
)
def test_the_report_is_asked_what_the_recipe_is_shown_to_ask(
    here: Path, head: str, asked: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here / "experiments/own.yaml", head + RECIPE)
    assert compose(["+experiment=own"]).question == asked
    show.main(["+experiment=own"])
    first = capsys.readouterr().out.split("\n")[1].strip()
    assert first == asked if asked else first.startswith(("Command: ", "(experiments/"))
    write(here / "experiments/own.yaml", f"{head}question: And this?\n{RECIPE}")
    assert compose(["+experiment=own"]).question == "And this?"


def test_a_chosen_file_is_read_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compose([])
    write(here / "experiments/own.yaml", f"# Does it help?\n{RECIPE}")
    opened, plain = list[str](), io.open

    def noted(file: object, *words: object, **more: object) -> object:
        opened.append(Path(str(file)).name)
        return plain(file, *words, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(io, "open", noted)
    assert compose(["+experiment=own"]).seed == 7
    assert opened.count("own.yaml") == opened.count("mine.yaml") == 1


def laughs(tie: str) -> str:
    names = "abcdefghi"
    lines = [f"{more}: &{more} {tie.format(', '.join([f'*{one}'] * 9))}" for one, more in itertools.pairwise(names)]
    return "\n".join(["a: &a {x: 1}", *lines])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (laughs("[{}]"), "its aliases make more than 10,000 values"),
        (laughs("{{<<: [{}]}}"), "its aliases make more than 10,000 values"),
        ("a: &a [*a]", "its aliases make more than 10,000 values"),
        (f"a: {'[' * 20_000}", "not valid YAML"),
        (f"# {'x' * 100_000}\nseed: 1", "longer than 64 KiB"),
        ("a: !!python/object/apply:os.system [touch MADE]", "not valid YAML .*could not determine a constructor"),
    ],
)
def test_a_file_that_no_person_writes_is_refused_when_chosen_and_slows_nothing_else(
    here: Path, text: str, sentence: str
) -> None:
    write(here / "experiments/bomb.yaml", text)
    write(here / "conf/model/bomb.yaml", text)
    for word in ("+experiment=bomb", "model=bomb"):
        with pytest.raises(UserError, match=f"bomb.yaml: {sentence}"):
            compose([word])
    assert "bomb" in overview() and not (here / "MADE").exists()
    assert compose(["+experiment=own"]).seed == 7


def test_a_recipe_that_inherits_itself_is_said_so(here: Path) -> None:
    write(here / "experiments/heir.yaml", "defaults: [heir, _self_]")
    with pytest.raises(UserError, match="inherits itself"):
        compose(["+experiment=heir"])


def test_the_folder_of_another_program_is_left_alone_and_said_so(here: Path) -> None:
    write(here / "conf/config.yaml", "model: theirs\n")
    write(here / "conf/model/lab.yaml", MODEL)
    assert compose([]).model.path == "lab:base"
    with pytest.raises(UserError, match=r"model=mine does not exist.*config.yaml makes it another program's"):
        compose(["model=mine"])


def test_files_to_inherit_from_are_offered_nowhere(here: Path) -> None:
    write(here / "conf/model/_mine.yaml", MODEL)
    write(here / "experiments/_base.yaml", RECIPE)
    groups = overview().partition("Groups")[2]
    assert "mine" in groups and "own" in groups
    assert not re.search(r"[ /]_\w", groups.partition("\n\n")[2])
    with pytest.raises(UserError, match=r"choose one of: .*mine") as refused:
        compose(["model=zzz"])
    assert "_" not in str(refused.value).partition("choose")[2]
    lines = (("model=", "model=mine"), ("optimizer=", "optimizer=adamw"), ("+experiment=lab/", "+experiment=lab/size"))
    for line, found in ((f"limo {typed}", found) for typed, found in lines):
        completed = limo("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
        assert found in completed.stdout, completed.stderr
        assert "=_" not in completed.stdout


def test_a_member_that_leaves_something_to_be_set_says_what(here: Path) -> None:
    write(here / "conf/model/mine.yaml", "defaults: [_base, _self_]\n")
    with pytest.raises(UserError, match=r"^model\.path: has no value; give it one, model\.path=…$"):
        compose(["model=mine"])


def test_a_sweep_over_all_members_of_a_group_has_no_files_to_inherit_from() -> None:
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from limo.compose import register_configs

    register_configs()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        (override,) = OverridesParser.create(loader).parse_overrides(["engine=glob(*)"])
        assert list(override.sweep_string_iterator()) == ["auto", "transformers", "vllm"]


def test_recipes_in_folders_are_named_as_they_are_written() -> None:
    with pytest.raises(UserError, match=r"\+experiment=lab/siz does not exist; .*lab/bases.*lab/size.*limo817"):
        compose(["+experiment=lab/siz"])


def test_what_makes_the_same_config_is_listed_once(here: Path) -> None:
    shipped = (ROOT / "experiments/limo817.yaml").read_text(encoding="utf-8")
    write(here / "experiments/limo817.yaml", shipped)
    write(here / "experiments/same.yaml", f"# Mine.\n\n{shipped}")
    write(here / "conf/model/mine2.yaml", f"# The same.\n{MODEL}")
    recipes = listed("experiment")
    assert recipes.count("limo817 = same") == 1
    assert not {"limo817", "same"} & set(recipes)
    assert "mine = mine2" in listed("model")
