from __future__ import annotations

import dataclasses
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from limo import StageError, UserError, export, report
from limo.config import PACKAGE
from limo.records import Example, Manifest, Part, read_record, write, write_record
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


SYSTEM = "Think, then answer within \\boxed{}."


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run with three examples of odd text and the weights of a base."""
    run = write_run(tmp_path / "lab")
    texts = (("What is\n$1 + 1$?", "It is \\boxed{2}.\u2028 So."), ('"a, b"?', "Ä \U0001d465"), ("x", "y"))
    examples = [
        Example(f"p{i}#0", f"p{i}", question, "2", solution, scores={"a": i} if i else {}, meta={f"k{i}": [i]})
        for i, (question, solution) in enumerate(texts)
    ]
    write(run / "selection/examples.jsonl", examples)
    shutil.copytree(PACKAGE / "lab/bases/early", run / "training/model")
    made = read_record(run / "training/manifest.json", Manifest)
    config = {"model": {"path": "Qwen/QwQ-32B", "system": SYSTEM}}
    write_record(
        run / "training/manifest.json", dataclasses.replace(made, config=config, hub={"Qwen/QwQ-32B": "c" * 40})
    )
    return run


def exported(run: Path, form: str) -> list[dict[str, object]]:
    """The rows of a format as the library `datasets` reads the folder."""
    import datasets

    export.main([str(run), "--as", form])
    folder = run / "export" / form
    return list(datasets.load_dataset(str(folder), split="train", cache_dir=str(run / "cache")))


def test_exported_examples_are_read_by_datasets_with_the_same_texts(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "selection/examples.jsonl").read_text().split("\n") if line]
    texts = [(row["question"], row["solution"]) for row in rows]

    def dialogue(messages: list[dict[str, str]]) -> tuple[str, str]:
        system, question, answer = messages
        assert (system["role"], question["role"], answer["role"]) == ("system", "user", "assistant")
        assert system["content"] == SYSTEM
        return question["content"], answer["content"]

    assert [dialogue([*row["prompt"], *row["completion"]]) for row in exported(trained, "trl")] == texts
    assert [dialogue(row["messages"]) for row in exported(trained, "parquet")] == texts
    shared = exported(trained, "sharegpt")
    assert [tuple(turn["value"] for turn in row["conversations"]) for row in shared] == texts
    assert {row["system"] for row in shared} == {SYSTEM}
    assert [dialogue(row["messages"]) for row in exported(trained, "llama-factory")] == texts
    info = json.loads((trained / "export/llama-factory/dataset_info.json").read_text())["examples"]
    assert (trained / "export/llama-factory" / info["file_name"]).is_file()
    assert info["formatting"] == "sharegpt" and info["columns"] == {"messages": "messages"}
    assert info["tags"]["role_tag"] == "role" and info["tags"]["assistant_tag"] == "assistant"


def test_an_exported_model_loads_and_its_card_says_how_it_was_trained_and_is_asked(trained: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    export.main([str(trained), "--model"])
    folder = trained / "export/model"
    card = (folder / "README.md").read_text()
    assert "base_model: Qwen/QwQ-32B" in card and f"at {'c' * 40}" in card
    assert f"`{SYSTEM}`" in card and json.dumps(SYSTEM) in card and "- after: main" in card
    assert AutoModelForCausalLM.from_pretrained(folder) and AutoTokenizer.from_pretrained(folder).chat_template
    with pytest.raises(UserError, match="is there already"):
        export.main([str(trained), "--model"])


def test_a_run_without_the_part_that_is_asked_for_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "lab", training=False)
    for words, lacks in ((["--as", "trl"], "selection/examples.jsonl"), (["--model"], "training/model")):
        with pytest.raises(UserError, match=f"no {lacks} in it; give the folder of one run"):
            export.main([str(run), *words])
