"""A run repeated from nothing: what is the same, and what is said where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from limo import StageError, UserError, replay, report
from limo.products import digest, products
from limo.records import Manifest, read_record
from tests.command import pooled, started
from tests.outputs import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two problems up to the selection."""
    here = tmp_path_factory.mktemp("here")
    words = [
        *pooled(here),
        "stages=[data,selection]",
        "selection=random",
        "selection.size=1",
        "hydra.run.dir=outputs/run",
    ]
    done = started(*words, cwd=here)
    assert done.returncode == 0, done.stdout + done.stderr
    return here / "outputs/run"


def test_a_run_repeated_from_nothing_has_the_same_results_and_is_a_run_itself(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.main([str(run), "--out", str(tmp_path / "again")])
    out = capsys.readouterr().out
    for task in ("data", "solutions", "candidates", "selection"):
        assert f"\n{task:<12}the same" in out
        made = read_record(tmp_path / "again/run" / task / "manifest.json", Manifest)
        first = read_record(run / task / "manifest.json", Manifest)
        # made anew, at another time and place, and yet by the same key
        assert (
            made.key == first.key
            and (tmp_path / "again/.store").resolve() in (tmp_path / "again/run" / task).resolve().parents
        )
    ((setting,), (before,)) = report.read([tmp_path / "again"]), report.read([run])
    assert (setting.runs[0].state, setting.runs[0].overrides) == ("done", before.runs[0].overrides)


def test_what_is_not_the_same_is_named_with_its_files(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("\n  lowest: false\n", "\n  lowest: true\n", 1))
    try:
        with pytest.raises(StageError, match="1 of 4 results are not the same: selection"):
            replay.main([str(run), "--out", str(tmp_path)])
    finally:
        config.write_text(text)
    out = capsys.readouterr().out
    assert "selection: not as before: dropped.jsonl, examples.jsonl; made from other inputs, settings or code" in out
    assert out.count("the same") == 3


def test_what_cannot_be_repeated_is_said_in_a_sentence(run: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "run.json").write_bytes((run / "run.json").read_bytes())
    with pytest.raises(UserError, match="it has no result yet"):
        replay.main([str(bare)])
    with pytest.raises(UserError, match="the run to be repeated is there"):
        replay.main([str(run), "--out", str(run.parent)])
    with pytest.raises(UserError, match=r"config.yaml: No such file or directory; run the same command again"):
        replay.main([str(write_run(tmp_path / "lab"))])


@pytest.mark.parametrize(
    ("name", "first", "second", "same"),
    [
        ("metrics.csv", "step,loss,seconds\n1,0.5,9\n", "step,loss,seconds\n1,0.5,7\n", True),
        ("metrics.csv", "step,loss,seconds\n1,0.5,9\n", "step,loss,seconds\n1,0.6,9\n", False),
        ("results.json", '{{"model": "/a/training/{key}/model"}}', '{{"model": "/b/c/training/{key}/model"}}', True),
        ("results.json", '{{"model": "/a/training/{key}/model"}}', '{{"model": "/a/training/{key}/other"}}', False),
        ("examples.jsonl", "a\n", "b\n", False),
    ],
)
def test_times_and_places_make_no_other_product(name: str, first: str, second: str, same: bool, tmp_path: Path) -> None:
    digests = []
    for text in (first, second):
        (tmp_path / name).write_text(text.format(key="0123456789abcdef0123"))
        digests.append(digest(tmp_path / name))
    assert (digests[0] == digests[1]) == same


def test_what_trackers_and_the_making_leave_is_no_product(tmp_path: Path) -> None:
    result = tmp_path / "training"
    for name in ("log.txt", "stage.json", "summary.json", "tensorboard/events.1", "mlflow.db", "model/weights"):
        (result / name).parent.mkdir(parents=True, exist_ok=True)
        (result / name).write_text(name)
    assert list(products(tmp_path)) == ["training/model/weights"]
