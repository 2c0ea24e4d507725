"""What `limo store` says of a store, and what it removes."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from limo import UserError
from limo.store import MANIFEST, Store
from limo.store.command import main as store
from tests.test_export import stored

DAY = 86400


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store of two runs, ten results, not used for two days; the second run is gone, but for its data, which both have."""
    results = stored(tmp_path)
    first, second = sorted((tmp_path / "lab").iterdir())
    (first / "attempts").mkdir()
    (first / "attempts/lab").symlink_to((second / "data").resolve())
    shutil.rmtree(second)
    for path in (path for result in results for path in (result, *result.rglob("*"))):
        os.utime(path, (path.stat().st_mtime - 2 * DAY,) * 2)
    return tmp_path / ".store"


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    store([*map(str, words)])
    return capsys.readouterr().out


def results(root: Path) -> set[str]:
    return {f"{p.parent.name}/{p.name}" for p in root.glob("*/*") if p.is_dir()}


OF_NO_RUN = {"selection/00000000000000000006", "training/00000000000000000007", "evaluation/00000000000000000008",
             "evaluation/00000000000000000009"}  # fmt: skip


def test_sizes_and_runs_are_those_on_the_disk(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def kib(places: list[Path]) -> str:
        size = sum(p.stat().st_size for place in places for p in place.rglob("*") if p.is_file())
        return f"{size / 1024:.0f} KiB"

    (root / "completions").mkdir()
    (root / "completions/model.jsonl").write_text("x" * 5000)
    out = said(capsys, "sizes", root)
    for stage, all_, unused in (("evaluation", 4, 2), ("data", 2, 0)):
        folders = sorted((root / stage).iterdir())
        cells = re.search(rf"^{stage} +(.*)$", out, re.MULTILINE)[1]
        wanted = [f"{all_}, {kib(folders)}", f"{unused}, {kib(folders[-unused:])}" if unused else "—", "—"]
        assert re.split(r"  +", cells) == wanted
    assert "kept for later runs: completions 5 KiB" in out
    listed = said(capsys, "list", root)
    users = {line.split()[0]: re.split(r"  +", line)[1] for line in listed.splitlines()[2:]}
    assert users.keys() == results(root)
    assert {name for name, used in users.items() if used == "no run"} == OF_NO_RUN
    assert set(users.values()) - {"no run"} == {"selection=limo,selection.size=300,seed=0"}


def test_prune_names_first_and_then_removes_what_no_run_uses_and_nothing_else(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = results(root)
    out = said(capsys, "prune", root, "--older", "1d")
    assert "4 results" in out and "nothing is removed without --yes" in out and results(root) == before
    assert {word for word in out.split() if "/0000" in word} == OF_NO_RUN
    assert "nothing to remove" in said(capsys, "prune", root, "--older", "3d", "--yes")
    assert "4 results removed" in said(capsys, "prune", root, "--older", "1d", "--yes")
    assert results(root) == before - OF_NO_RUN
    for name in results(root):
        assert Store(root).find(*name.split("/"))
    assert "nothing to remove" in said(capsys, "prune", root, "--older", "1d", "--yes")


def test_what_a_run_makes_or_has_found_of_late_stays(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, found = "training/00000000000000000007", "selection/00000000000000000006"
    assert Store(root).find(*found.split("/"))
    with FileLock(root / f"{made}.lock"):
        out = said(capsys, "prune", root, "--older", "1d", "--yes")
    assert f"{made} stays: a run is making it" in out and "2 results removed" in out
    assert results(root) & OF_NO_RUN == {made, found}


def test_what_is_not_whole_goes_too_but_what_can_be_resumed_only_when_asked(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = (".damaged", ".partial", ".gone")
    for kind in kinds:
        (root / f"training/{'a' * 20}{kind}/checkpoints").mkdir(parents=True)
        for path in (root / f"training/{'a' * 20}{kind}", root / f"training/{'a' * 20}{kind}/checkpoints"):
            os.utime(path, (path.stat().st_mtime - 2 * DAY,) * 2)
    said(capsys, "prune", root, "--older", "1d", "--yes")
    assert [kind for kind in kinds if f"training/{'a' * 20}{kind}" in results(root)] == [".partial"]
    said(capsys, "prune", root, "--older", "1d", "--yes", "--unfinished")
    assert f"training/{'a' * 20}.partial" not in results(root)


def test_runs_elsewhere_count_where_they_are_named_and_without_any_nothing_goes(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(tmp_path / "lab", tmp_path / "elsewhere" / "lab")
    here = tmp_path / "here"
    here.mkdir()
    with pytest.raises(UserError, match=r"no run below .*here uses it; say where its runs are with --runs"):
        store(["prune", str(root), "--runs", str(here), "--older", "1d", "--yes"])
    out = said(capsys, "prune", root, "--runs", here, "--runs", tmp_path / "elsewhere", "--older", "1d")
    assert {word for word in out.split() if "/0000" in word} == OF_NO_RUN


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["list", "nowhere"], "give the folder of a store"),
        (["prune", "{root}", "--older", "soon"], "--older soon: write hours, days or weeks"),
        (["lits"], r"lits: neither a verb nor a folder; did you mean list\?; the verbs are sizes, list, verify, prune"),
        (["lits", "{root}"], r"lits: neither a verb nor a folder; did you mean list\?"),
        (["list", "{root}", "--runs", "nowhere"], "--runs nowhere: no such folder"),
    ],
)
def test_a_mistake_is_a_sentence(words: list[str], sentence: str, root: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        store([word.format(root=root) for word in words])


@pytest.mark.parametrize("verb", ["sizes", "list", "verify", "prune"])
def test_what_is_no_store_is_none_to_any_verb_and_the_one_that_was_meant_is_named(verb: str, root: Path) -> None:
    (run,) = (path.parent for path in root.parent.rglob("run.json"))
    for folder in (root.parent, run, root / "training", run / "selection"):
        with pytest.raises(
            UserError, match=rf"^{re.escape(str(folder))}: is no store, .*; did you mean {re.escape(str(root))}\?$"
        ):
            store([verb, str(folder)])


def test_a_folder_without_a_store_near_it_is_none_but_a_new_one_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/of_mine.txt").write_text("none")
    with pytest.raises(UserError, match=r"is no store, .*; give the folder of one, such as outputs/.store"):
        store(["verify", str(tmp_path / "notes")])
    assert Store(tmp_path / "new").missing() == []
    assert said(capsys, "verify", tmp_path / "new").startswith("0 results;")
    with Store(tmp_path / "new").building("data", "a" * 20):
        pass
    assert said(capsys, "verify", tmp_path / "new").startswith("0 results; 1 unfinished")


def test_a_folder_alone_is_the_store_wherever_it_stands(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = said(capsys, "sizes", root)
    for words in (
        [root],
        ["--runs", root.parent, root],
        [root, "--runs", root.parent],
        ["sizes", "--runs", root.parent, root],
    ):
        assert said(capsys, *words) == sizes


def test_a_damaged_manifest_hinders_neither_list_nor_prune(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "training/00000000000000000007" / MANIFEST).write_text("{")
    assert "training/00000000000000000007" in said(capsys, "list", root)
