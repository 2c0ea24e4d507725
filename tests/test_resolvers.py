"""The folder of a run is its own, and the environment is read where nobody writes it down."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limo import UserError
from limo.compose import compose
from limo.resolvers import run_dirname
from tests.command import pooled, started

WORDS = st.text("abAB/_-~.,=[]!?; éÉ…", max_size=12)
OVERRIDES = st.lists(
    st.tuples(st.sampled_from(["model.system", "training/strategy", "data.path"]), WORDS), min_size=1, max_size=2
)


@given(OVERRIDES, OVERRIDES)
@example([("model.system", "Think!")], [("model.system", "Think?")])
@example([("model.system", "A")], [("model.system", "a")])
@example([("data.path", "[x,data/b]")], [("data.path", "[x,data_b]")])
@example([("data.path", "a/b")], [("data.path", f"b~{'0' * 8}")])
@example([("data.path", "a" * 300)], [("data.path", "a" * 301)])
def test_different_overrides_have_different_folders_on_any_file_system(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    first, second = (",".join(f"{key}={value}" for key, value in words) for words in (one, other))
    names = [run_dirname(first), run_dirname(second)]
    assert (names[0].casefold() == names[1].casefold()) == (first == second)
    assert all("/" not in name and len(name.encode()) <= 255 for name in names)


def test_a_folder_reads_as_its_overrides_and_ends_in_a_digest_only_where_it_does_not() -> None:
    plain = "selection.size=3,stages=[data,selection],~attempts,training/strategy=ddp"
    assert run_dirname(plain) == plain.replace("/", "--")
    assert re.fullmatch(r"model\.path=weights,seed=1~\w{8}", run_dirname("model.path=/a/weights,seed=1"))
    long = ",".join(
        f"evaluation.benchmarks.gsm8k.source.{key}=x" for key in ("path", "question", "answer", "limit", "rows")
    )
    assert run_dirname(f"{long},selection=limo")[:-9] == "path=x,question=x,answer=x,limit=x,rows=x,selection=limo"
    assert run_dirname("") == run_dirname("+experiment=limo817", "limo817") == "default"
    assert run_dirname("+experiment=own,seed=1", "limo817") == "+experiment=own,seed=1"


@pytest.mark.parametrize(
    ("nodes", "key"),
    [
        ("model: {system: 'x ${oc.env:SECRET}'}", "model.system"),
        ("store: '${oc.env:SECRET}'\nmodel: {system: '${store}'}", "model.system"),
        ("data: {path: '${oc.env:SECRET}'}", "data.path"),
        ("name: '${oc.env:SECRET}'", "name"),
        ("python: {data: '${oc.env:SECRET}'}\nname: '${python.data}'", "name"),
    ],
)
def test_the_environment_is_read_for_no_key_that_is_written_down(
    nodes: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/own.yaml").write_text(f"defaults: [override /data: files, _self_]\n{nodes}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "s3cr3t")
    with pytest.raises(UserError, match=rf"^{key}: only store and python.\* may read .*oc.env:SECRET") as refused:
        compose(["+experiment=own"])
    assert "s3cr3t" not in str(refused.value)


def test_no_file_of_a_run_or_a_sweep_holds_what_the_environment_said(tmp_path: Path) -> None:
    words = [*pooled(tmp_path), "stages=[data]", "store=outputs/${oc.env:NAME_OF_STORE}", "hydra.output_subdir=.hydra"]
    secret, said = "model.system=${oc.env:SECRET}", "model.system: only store and python.* may read"
    for more, code in ((["-m", "seed=1,2", f"{secret},none"], 2), (["-m", "seed=1,2"], 0)):
        done = started(*more, *words, cwd=tmp_path, SECRET="s3cr3t", NAME_OF_STORE="kept")
        assert done.returncode == code and (said in done.stdout + done.stderr) == bool(code), done.stderr
    texts = {path: path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path, text in texts.items() if "s3cr3t" in str(path) + text]
    saved = [text for path, text in texts.items() if path.name == "config.yaml" and ".hydra" not in path.parts]
    assert saved and all("store: outputs/${oc.env:NAME_OF_STORE}" in text for text in saved)
    assert (tmp_path / "outputs/kept/data").is_dir()


def test_a_few_lines_cannot_make_any_amount_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    doubled = [f"  {one}: ${{.{more}}}${{.{more}}}" for one, more in itertools.pairwise(names)]
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/own.yaml").write_text("\n".join(["keywords:", *doubled, "  z: laugh"]))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="follows more than 1000 interpolations"):
        compose(["+experiment=own"])
