from __future__ import annotations

import errno
import importlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limo import StageError, UserError, pipeline, records, tasks
from limo.compose import compose
from limo.grading import GradingStage
from limo.serial import fingerprint
from limo.stage import Pending, Stage
from limo.store import MANIFEST, Store, content_digest
from tests.command import limo, started
from tests.counting import Counting
from tests.waiting import gone, until

ROOT = Path(__file__).parents[1]
DRIVER = """
import sys
from pathlib import Path
from limo import pipeline
from limo.store import Store
from tests.counting import Counting
store, diary, *gate = map(Path, sys.argv[1:])
print(pipeline.make("counting", Counting(steps=6, gate=gate[0] if gate else None, diary=diary), Store(store)))
"""


def drive(store: Path, diary: Path, *gate: Path) -> subprocess.Popen[str]:
    """A run whose stage writes six lines into the diary, the last four when there is a file `gate`."""
    command = [sys.executable, "-c", DRIVER, *map(str, (store, diary, *gate))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def held(run: subprocess.Popen[str], diary: Path) -> int:
    """The process of the stage, once it waits at its gate."""
    until("two lines", lambda: diary.exists() and len(diary.read_text().splitlines()) == 2, lambda: run.poll() is None)
    (child,) = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    return int(child)


def test_a_result_is_made_once_and_then_found(tmp_path: Path) -> None:
    store, diary = Store(tmp_path / "store"), tmp_path / "diary"
    first = pipeline.make("counting", Counting(diary=diary), store)
    second = pipeline.make("counting", Counting(diary=diary), store)
    assert first == second
    assert len(diary.read_text().splitlines()) == 3


def test_a_setting_aside_keeps_the_key_and_any_other_changes_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    source = tmp_path / "in.txt"
    source.write_text("one")
    plain = pipeline.key(Counting(source=source), store)
    assert pipeline.key(Counting(source=source, gate=tmp_path / "gate"), store) == plain
    assert pipeline.key(Counting(source=source, text="y"), store) != plain
    copy = tmp_path / "elsewhere.txt"
    copy.write_text("one")
    assert pipeline.key(Counting(source=copy), store) == plain
    copy.write_text("two")
    assert pipeline.key(Counting(source=copy), store) != plain


def test_a_killed_run_is_resumed_and_nothing_is_done_twice(tmp_path: Path) -> None:
    store, diary = tmp_path / "store", tmp_path / "diary"
    run = drive(store, diary, tmp_path / "gate")
    stage = held(run, diary)
    run.send_signal(signal.SIGKILL)
    run.wait()
    gone([stage])
    assert not list(store.glob(f"counting/*/{MANIFEST}"))
    out, _ = drive(store, diary).communicate()
    assert Path(out.strip().splitlines()[-1], "lines.txt").read_text().split() == [f"x{i}" for i in range(6)]
    assert diary.read_text().split() == [f"x{i}" for i in range(6)]


def test_two_runs_at_once_make_a_result_once(tmp_path: Path) -> None:
    store, diary, gate = tmp_path / "store", tmp_path / "diary", tmp_path / "gate"
    first = drive(store, diary, gate)
    held(first, diary)
    second = drive(store, diary, gate)
    until("that the second waits", lambda: "waiting for it" in second.stdout.readline(), lambda: second.poll() is None)
    gate.touch()
    outputs = [run.communicate()[0].strip().splitlines()[-1] for run in (first, second)]
    assert outputs[0] == outputs[1]
    assert diary.read_text().split() == [f"x{i}" for i in range(6)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_ends_its_stage_process(number: signal.Signals, tmp_path: Path) -> None:
    run = drive(tmp_path / "store", tmp_path / "diary", tmp_path / "gate")
    stage = held(run, tmp_path / "diary")
    run.send_signal(number)
    run.wait()
    gone([stage])
    assert len((tmp_path / "diary").read_text().splitlines()) == 2


def test_the_signal_on_which_slurm_has_a_run_queued_again_ends_no_stage_process(tmp_path: Path) -> None:
    run = drive(tmp_path / "store", tmp_path / "diary", tmp_path / "gate")
    os.kill(held(run, tmp_path / "diary"), signal.SIGUSR2)
    (tmp_path / "gate").touch()
    assert run.wait() == 0
    assert len((tmp_path / "diary").read_text().splitlines()) == 6


def test_a_mistake_inside_a_stage_arrives_as_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the text does not fit"):
        pipeline.make("counting", Counting(fail="mistake"), Store(tmp_path))


@pytest.mark.parametrize(("fail", "reason"), [("crash", "exit code 1"), ("die", "signal 6")])
def test_a_stage_that_breaks_leaves_no_result_and_names_its_log(tmp_path: Path, fail: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=f"{reason}.*log.txt"):
        pipeline.make("counting", Counting(fail=fail), Store(tmp_path))
    assert not list(tmp_path.glob(f"counting/*/{MANIFEST}"))
    pipeline.make("counting", Counting(), Store(tmp_path))


def test_the_manifest_says_what_made_the_result(tmp_path: Path) -> None:
    result = pipeline.make("counting", Counting(text="z"), Store(tmp_path))
    manifest = json.loads((result / MANIFEST).read_text())
    assert manifest["config"]["text"] == "z"
    assert {"limo", "python", "torch", "transformers"} <= manifest["versions"].keys()
    assert set(manifest["files"]) >= {"lines.txt", "summary.json"}
    assert manifest["seconds"] > 0


def test_a_store_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(UserError, match="choose a writable folder"):
        pipeline.make("counting", Counting(), Store(blocked))


def test_a_whole_result_is_its_products_whenever_and_wherever_it_was_made(tmp_path: Path) -> None:
    digests = []
    for name, text in (("one", "x"), ("two", "x"), ("three", "y")):
        store = Store(tmp_path / name)
        result = pipeline.make("counting", Counting(text=text, diary=tmp_path / f"diary of {name}"), store)
        stored = records.read_record(result / MANIFEST, records.Manifest)
        assert {"log.txt", "stage.json", "summary.json"} < set(stored.files)
        digests.append(store.digest(result))
    assert digests[0] == digests[1] != digests[2]


def test_digests_follow_the_content_and_not_the_place(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_text("content")
    assert store.digest(tmp_path / "a") == store.digest(tmp_path / "b")
    changed = tmp_path / "b" / "deep" / "file"
    changed.write_text("changed")
    os.utime(changed, ns=(changed.stat().st_atime_ns, changed.stat().st_mtime_ns + 1_000_000))
    assert store.digest(tmp_path / "a") != store.digest(tmp_path / "b")


def test_what_the_store_holds_changes_no_key(tmp_path: Path) -> None:
    config = compose([f"store={tmp_path / 'store'}"])
    inputs = tmp_path / "inputs"
    (inputs / "model").mkdir(parents=True)
    for name in ("problems", "solutions", "attempts", "grades", "tallies", "examples"):
        (inputs / f"{name}.jsonl").write_text("{}")
    (inputs / "model" / "weights").write_text("w")

    def keys() -> dict[str, str]:
        found: dict[str, str] = {}

        def look(name: str, stage: Stage) -> Path:
            found[name] = pipeline.key(stage, Store(Path(config.store)))
            return inputs

        tasks.walk(config, look)
        return found

    before = keys()
    assert list(before) == [
        "data",
        "attempts/lab",
        "grades/lab",
        "solutions",
        "candidates",
        "selection",
        "evaluation/base",
        "training",
        "evaluation/tuned",
    ]
    (tmp_path / "store" / "completions").mkdir(parents=True)
    (tmp_path / "store" / "completions" / "more.jsonl").write_text("{}")
    assert keys() == before


def test_a_large_file_is_read_once_and_a_damaged_memory_of_it_enters_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limo.store.digests.SMALL", 3)
    store, source = Store(tmp_path / "store"), tmp_path / "in.txt"
    source.write_text("content")
    whole = store.digest(source)
    (kept,) = (tmp_path / "store" / "digests").iterdir()
    with monkeypatch.context() as sealed:
        sealed.setattr("limo.store.digests.read_digest", lambda path: pytest.fail(f"{path} is read again"))
        assert store.digest(source) == whole
    text = kept.read_text()
    for torn in ("", whole[:9], text[:-1], whole, f"0{text[1:]}" if text[0] != "0" else f"1{text[1:]}"):
        kept.write_text(torn)
        assert store.digest(source) == whole
        assert kept.read_text() == text


@pytest.mark.parametrize("small", [0, 1 << 24])
def test_an_edit_that_keeps_size_and_time_is_seen(small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limo.store.digests.SMALL", small)
    store, source = Store(tmp_path / "store"), tmp_path / "in.txt"
    source.write_text("one")
    before, times = store.digest(source), source.stat()
    source.write_text("two")
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert store.digest(source) != before


def test_a_full_disk_inside_a_stage_is_said_even_when_the_sentence_finds_no_room(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No space left on device; make room"):
        pipeline.make("counting", Counting(fail="full"), Store(tmp_path))
    with pytest.raises(
        UserError, match=r"File too large; let files grow larger \(ulimit -f\) and run the same command again"
    ):
        pipeline.make("counting", Counting(fail="limited"), Store(tmp_path))


def test_a_class_of_the_users_enters_the_key_with_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from limo.config import component\n\n@component\nclass Twice:\n    factor: int = 2\n"
    monkeypatch.syspath_prepend(str(tmp_path))
    keys = []
    for text in (code, f"{code}\n# changed\n", code):
        (tmp_path / "mine.py").write_text(text)
        monkeypatch.delitem(sys.modules, "mine", raising=False)
        importlib.invalidate_caches()
        mine = importlib.import_module("mine")
        keys.append(fingerprint(mine.Twice(), Store(tmp_path / "store").digest))
    assert keys[0] == keys[2] != keys[1]


def test_times_of_a_download_are_no_content(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/model.safetensors").write_text("1")
    before = content_digest(tmp_path / "weights")
    (tmp_path / "weights/.cache/huggingface").mkdir(parents=True)
    (tmp_path / "weights/.cache/huggingface/model.metadata").write_text("12:00")
    (tmp_path / "weights/.gitattributes").write_text("x")
    assert content_digest(tmp_path / "weights") == before
    (tmp_path / "weights/config.json").write_text("{}")
    assert content_digest(tmp_path / "weights") != before


def test_a_stage_that_waits_for_another_has_no_key_and_no_request(tmp_path: Path) -> None:
    waiting = GradingStage(problems=Pending.at("data") / "problems.jsonl", attempts=tmp_path / "a.jsonl")
    assert pipeline.pending(waiting) and pipeline.cached("grades", waiting, Store(tmp_path)) is None
    assert not pipeline.pending(GradingStage(problems=tmp_path / "<data>", attempts=tmp_path / "a.jsonl"))
    with pytest.raises(TypeError, match=r"data/problems.jsonl is still to be made"):
        pipeline.key(waiting, Store(tmp_path))


def test_what_is_written_beside_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), records.replacing(path) as fresh:
        fresh.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
    with records.replacing(path) as fresh:
        fresh.mkdir()
        (fresh / "x").write_text("new")
    assert (path / "x").read_text() == "new" and list(tmp_path.iterdir()) == [path]
    with records.replacing(path) as fresh:
        fresh.write_text("file again")
    assert path.read_text() == "file again"


def test_what_dead_processes_left_half_written_goes_and_what_living_ones_write_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    here, number = platform.node(), os.getppid()
    names = [f".{name}.{here}.{dead.pid}" for name in ("a.json", "b.json")]
    names += [f".a.json.{here}.{number}", f".a.json.of-another-machine.{dead.pid}"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / names[0]).unlink()
    (tmp_path / names[0]).mkdir()
    records.write_json(tmp_path / "a.json", 1)
    assert {p.name for p in tmp_path.iterdir()} == {"a.json", *names[1:]}
    partial = tmp_path / "made.partial"
    partial.mkdir()
    (partial / names[3]).touch()
    assert [p.name for p in Store(tmp_path).finish(partial, records.Manifest("data", "key", 1, "", {})).iterdir()] == [
        MANIFEST
    ]


def test_a_sentence_is_said_though_it_is_part_of_another(tmp_path: Path) -> None:
    done = started(
        "evaluation=lab", "stages=[evaluation]", "model.path=/no/weights", "evaluation/judge=qwen2.5-7b-instruct",
        "evaluation.judge.model.path=/no/weights", "evaluation.benchmarks.lab_main.judge=true", cwd=tmp_path,
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert "evaluation.judge: model.path=/no/weights: no such folder" in told
    assert re.search(r"(^|[^:] )model.path=/no/weights: no such folder", told, re.MULTILINE), told


@pytest.mark.parametrize("fail", ["leave", "vanish"])
def test_an_exit_code_alone_is_no_result(fail: str, tmp_path: Path) -> None:
    with pytest.raises(
        StageError,
        match=r"counting (broke off \(exit code 143: it was told to end\)|ended without lines.txt and summary.json)",
    ):
        pipeline.make("counting", Counting(fail=fail), Store(tmp_path))
    assert not list(tmp_path.glob(f"counting/*/{MANIFEST}"))
    assert (pipeline.make("counting", Counting(), Store(tmp_path)) / "lines.txt").is_file()


def flipped(path: Path) -> None:
    """One bit of a file, its size and times as before."""
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGES = {
    "removed": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "flipped": flipped,
}


@pytest.mark.parametrize(
    ("part", "damage"),
    # a flipped bit of a manifest may be in a word that means nothing to the result
    [(p, d) for p in ("lines.txt", "summary.json", MANIFEST) for d in DAMAGES if (p, d) != (MANIFEST, "flipped")],
)
def test_a_result_that_is_not_what_was_stored_is_set_aside_and_made_again(
    part: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    result = pipeline.make("counting", Counting(), store)
    made = (result / part).read_bytes()
    DAMAGES[damage](result / part)
    assert store.find("counting", result.name) is None
    again = pipeline.make("counting", Counting(), store)
    assert again == result and (again / "lines.txt").read_text() == "x0\nx1\nx2\n"
    told = capsys.readouterr().out
    assert f"is damaged ({'its ' if part == MANIFEST else ''}{part}" in told, told
    assert f"it is now {result.name}.damaged, to be made again" in told
    assert (tmp_path / f"counting/{result.name}.damaged" / part).exists() or damage == "removed"
    assert pipeline.make("counting", Counting(), store) == again and "damaged" not in capsys.readouterr().out
    assert part == MANIFEST or (again / part).read_bytes() == made


def test_a_store_that_can_only_be_read_serves_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    result = pipeline.make("counting", Counting(), store)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert pipeline.make("counting", Counting(), store) == result
    with pytest.raises(UserError, match=r"store=.*: Read-only file system; choose a writable folder with store="):
        pipeline.make("counting", Counting(steps=4), store)


def other(folder: Path, name: str, does: str) -> Path:
    """A second Python of the user's."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path


def test_each_stages_own_python_is_asked_for_what_it_lacks(tmp_path: Path) -> None:
    same, bare = (
        other(tmp_path, "same", f'exec {sys.executable} "$@"'),
        other(tmp_path, "bare", "echo no limo >&2; exit 1"),
    )
    lacking = other(tmp_path, "lacking", "echo '[\"engine=vllm: vLLM is not installed\"]'")
    pythons = [f"python.training={same}", f"python.attempts={bare}", f"python.evaluation={lacking}"]
    config = compose([*pythons, "optimizer=muon", "training/strategy=zero2"])
    found = pipeline.missing(config, Store(tmp_path / "store"))
    assert [s for s in found if "cuts up" in s], "the same as here, of a stage whose examples are still to be made"
    assert [s for s in found if s.startswith(f"{bare} cannot run limo.attempts (no limo)")]
    assert "engine=vllm: vLLM is not installed" in found


def test_what_a_context_cuts_is_said_before_any_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = compose(["evaluation.benchmarks.lab_main.max_tokens=512", "training.max_length=513"])
    with caplog.at_level("INFO"):
        assert pipeline.missing(config, Store(tmp_path)) == []
    assert "! evaluation (lab_main): max_tokens=512 and the context of lab:base is 512 tokens" in caplog.text
    assert "! training.max_length=513 is beyond the context of lab:base, 512 tokens" in caplog.text


def test_a_published_pool_is_refused_for_the_labs_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (("data=gsm8k",), ("data=mixture", "+data@data.parts.some=gsm8k", "attempts=none")):
        for verb in ("plan", "rehearse", "run"):
            assert limo(verb, *words) == 2
            told = capfd.readouterr()
            assert (told.out + told.err).removeprefix("limo: ").startswith("data: openai/gsm8k is beyond lab:base")
    assert limo("plan", "data=gsm8k", "stages=[data,selection]", "attempts=none") == 0
    assert limo("plan", "data=gsm8k", "model=smollm2-135m", "optimizer=adamw", "training=full", "attempts=none") == 0
