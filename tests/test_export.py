from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from limo import StageError, UserError, export, report
from limo.records import Manifest, Part, write_record
from limo.store import MANIFEST, Store, content_digest
from limo.store.command import main as store_command
from tests.outputs import write_run

TASKS = ("data", "selection", "training", "evaluation/base", "evaluation/tuned")


def stored(root: Path) -> list[Path]:
    """Two runs below `root`/lab whose results lie in `root`/.store, as the pipeline leaves them; the results."""
    results = []
    for seed in (0, 1):
        folder = write_run(root / "lab", seed=seed)
        for task in TASKS:
            result = root / ".store" / task.partition("/")[0] / f"{len(results):020x}"
            result.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / task, result)
            (folder / task).symlink_to(result)
            (result / MANIFEST).unlink(missing_ok=True)
            files = [p for p in result.rglob("*") if p.is_file()]
            parts = {p.relative_to(result).as_posix(): Part(p.stat().st_size, content_digest(p)) for p in files}
            made = Manifest(result.parent.name, result.name, 1.0, "2026-01-05T10:15:00+0000", parts)
            write_record(result / MANIFEST, made)
            results.append(result)
    return results


def test_a_packed_sweep_is_whole_on_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = stored(tmp_path / "here")
    there, packed = tmp_path / "there", tmp_path / "lab.tar.gz"
    export.main([str(tmp_path / "here" / "lab"), "--pack", str(packed)])
    assert f"{len(results)} results" in capsys.readouterr().out
    with tarfile.open(packed) as tar:
        tar.extractall(there, filter="data")
    before = report.table(report.read([tmp_path / "here" / "lab"]))
    shutil.rmtree(tmp_path / "here")
    assert report.table(report.read([there / "lab"])) == before
    for result in results:
        assert Store(there / ".store").find(result.parent.name, result.name)


def test_a_run_that_was_moved_without_its_results_is_neither_packed_nor_reported_as_empty(tmp_path: Path) -> None:
    stored(tmp_path / "here")
    lab = tmp_path / "here" / "lab"
    page = report.write(report.read([lab]), lab)
    good = page.read_text()
    shutil.rmtree(tmp_path / "here" / ".store")
    for verb in (
        lambda: report.publish([lab], lab),
        lambda: export.main([str(lab), "--pack", str(tmp_path / "x.tar")]),
    ):
        with pytest.raises(UserError, match=r"data: its result is not at .*; run the same command again"):
            verb()
    assert page.read_text() == good and not (tmp_path / "x.tar").exists()


def test_a_report_takes_no_number_that_was_altered(tmp_path: Path) -> None:
    evaluation = stored(tmp_path)[-1] / "results.json"
    evaluation.write_text(evaluation.read_text().replace("0", "1", 1))
    with pytest.raises(UserError, match=r"tuned is damaged \(results.json is not what was stored\); run the same"):
        report.read([tmp_path / "lab"])


def test_verify_reads_every_byte_and_sets_aside_what_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = stored(tmp_path)
    store_command(["verify", str(tmp_path / ".store")])
    assert f"{len(results)} results; 0 unfinished" in capsys.readouterr().out
    part = results[2] / "summary.json"
    content = bytearray(part.read_bytes())
    content[0] ^= 1
    part.write_bytes(content)
    with pytest.raises(StageError, match=f"1 of {len(results)} results"):
        store_command(["verify", str(tmp_path / ".store")])
    assert f"is damaged ({part.name} is not what was stored)" in capsys.readouterr().out
    assert not results[2].exists() and results[2].with_name(results[2].name + ".damaged").is_dir()
    store_command(["verify", str(tmp_path / ".store")])
    assert f"{len(results) - 1} results; 0 unfinished, 1 set aside earlier" in capsys.readouterr().out
    with pytest.raises(UserError, match="give the folder of a store"):
        store_command(["verify", str(tmp_path / "nowhere")])
