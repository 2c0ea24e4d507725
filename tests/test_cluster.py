"""Ray: what it makes is what this machine makes, it is left as it was found, and without it a sentence says how to get it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import tiny
from engines import Echo
from waiting import gone, until

from limo import UserError, cluster, hardware
from limo.data import DataStage, Files
from limo.data import spread as module
from limo.engine import Engine, Sampling
from limo.engine.sampling import sample
from limo.engine.transformers import Transformers
from limo.models import Model, load_tokenizer, prompt_ids
from limo.records import Attempt, Example
from limo.selection import Quality, Trait
from tests.command import GOOD, jsonl, limo

NOUNS = ("apples", "boats", "cats", "dogs", "eggs", "fields", "goats", "hens")
QUESTIONS = [(str(i), f"{i}+{i}?") for i in range(4)]
needs_ray = pytest.mark.skipif(bool(cluster.missing("")), reason="Ray is not installed: pip install 'limo[ray]'")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "cores", lambda: 2)
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        with cluster.joined("the tests"):
            yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(path=str(tiny.model(tmp_path_factory.mktemp("model"))), dtype="float32")


def pool(path: Path, rows: int, seed: int = 0) -> Path:
    """Questions of random words; every fifth nearly repeats, and every seventh repeats, one before it."""
    rng = random.Random(seed)
    held: list[str] = []
    for n in range(rows):
        words = [rng.choice(NOUNS) + str(rng.randint(1, 99)) for _ in range(20)]
        text = " ".join(words) if (n % 7 and n % 5) or not n else held[rng.randrange(n)] + " and more" * (n % 7 > 0)
        held.append(text)
    return jsonl(path, *(f'{{"question": "{text}", "answer": "{n % 2}"}}' for n, text in enumerate(held)))


@needs_ray
def test_a_pool_cleaned_by_ray_is_the_same_to_the_byte(
    two_workers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 30)
    path = pool(tmp_path / "pool.jsonl", 300)
    protect = {
        "bench": Files(path=pool(tmp_path / "bench.jsonl", 5)),
        "other": Files(path=pool(tmp_path / "o.jsonl", 9, 1)),
    }
    for engine in ("local", "ray"):
        (tmp_path / engine).mkdir()
        DataStage(data=Files(path=path, near=0.8, engine=engine), protect=protect).run(tmp_path / engine)  # type: ignore[arg-type]
    for name in ("problems.jsonl", "dropped.jsonl", "solutions.jsonl", "summary.json"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    dropped = (tmp_path / "ray/dropped.jsonl").read_text()
    assert all(reason in dropped for reason in ("duplicate", "near duplicate", "benchmark question"))


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=needs_ray)])
def test_scores_of_many_processes_are_those_of_one(
    engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["so " * (n % 5) + "check it. " * (n % 3) + "x" for n in range(50)] + [""]
    examples = [Example(id=f"{n}#0", problem=f"{n}", question="q", answer="1", solution=t) for n, t in enumerate(texts)]
    traits = {"steps": Trait(weight=0.3, words=("so",)), "checks": Trait(weight=0.4, words=("check", "check it"))}
    alone = Quality(traits=traits).score(examples, 0)
    if engine == "ray":
        request.getfixturevalue("two_workers")
    monkeypatch.setattr(hardware, "cores", lambda: 2)
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr(module, "CHUNK", 7)
    assert Quality(traits=traits, engine=engine).score(examples, 0) == alone  # type: ignore[arg-type]


def ask(store: Path, model: Model, engine: Engine) -> list[Attempt]:
    return sample(engine, model, QUESTIONS, Sampling(samples=4, temperature=1.0, max_tokens=8), 0, "sums", store)


@needs_ray
def test_actors_answer_as_processes_do(two_workers: None, tmp_path: Path, model: Model) -> None:
    meeting = tmp_path / "meeting"
    assert ask(tmp_path / "ray", model, Echo(launcher="ray", replicas=2, meeting=meeting)) == ask(
        tmp_path / "local", model, Echo()
    )
    assert len(list(meeting.iterdir())) == 2, "both worked"


@needs_ray
def test_weights_in_actors_draw_what_they_draw_here(two_workers: None, tmp_path: Path, model: Model) -> None:
    ray = ask(tmp_path / "ray", model, Transformers(batch_size=3, replicas=2, launcher="ray"))
    assert ray == ask(tmp_path / "local", model, Transformers(batch_size=5))
    assert len({a.text for a in ray}) > 8


@needs_ray
def test_an_actor_that_dies_is_started_again_and_one_that_dies_twice_under_a_request_ends_the_work(
    two_workers: None, tmp_path: Path, model: Model
) -> None:
    token = prompt_ids(load_tokenizer(model), model, QUESTIONS[2][1])[2]
    once = Echo(launcher="ray", fatal=token, grave=tmp_path / "grave")
    assert ask(tmp_path / "once", model, once) == ask(tmp_path / "well", model, Echo())
    assert (tmp_path / "grave").is_file()
    with pytest.raises(UserError, match=r"^engine\.launcher=ray: an actor died twice .*; finished answers are kept$"):
        ask(tmp_path / "twice", model, Echo(launcher="ray", fatal=token))


@needs_ray
def test_what_keeps_an_actor_from_its_weights_is_said_in_one_sentence(
    two_workers: None, tmp_path: Path, model: Model
) -> None:
    with pytest.raises(UserError, match=r"^engine: give it more memory$"):
        ask(tmp_path, model, Echo(launcher="ray", refusal="engine: give it more memory"))
    with pytest.raises(UserError, match=r"^engine=echo: RuntimeError: no such kernel"):
        ask(tmp_path, model, Echo(launcher="ray", crash="no such kernel"))


def title(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


@needs_ray
def test_a_run_that_is_ended_leaves_no_process_of_its_cluster_and_no_file_that_the_next_does_not_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["stages=[data]", "data=files", f"data.path={pool(tmp_path / 'pool.jsonl', 60_000)}", "data.engine=ray"]
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        env = os.environ | {"RAY_TMPDIR": home}
        command = [sys.executable, "-m", "limo", *words, "data.decontamination=null"]
        run = psutil.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)

        def works() -> list[psutil.Process]:
            below = run.children(recursive=True)
            return below if any(title(p).startswith("ray::Map") for p in below) else []

        below = until("a worker of Ray", works, lambda: run.poll() is None)
        run.send_signal(signal.SIGTERM)
        said = run.communicate()[1]
        assert run.returncode == 143
        gone(p.pid for p in below)
        monkeypatch.setenv("RAY_TMPDIR", home)
        with cluster._folder() as own:  # Ray's processes, which die after their run, may have made files anew
            assert {path.stem for path in Path(home).iterdir()} == {Path(own).name}
        assert "Traceback" not in said and "ray" not in said.lower().replace("data.engine=ray", ""), said


def test_without_ray_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    monkeypatch.chdir(tmp_path)
    words = ["data=files", f"data.path={jsonl(tmp_path / 'pool.jsonl', GOOD)}", "stages=[data]"]
    assert limo(*words, "data.engine=ray") == 2
    assert "data.engine=ray needs Ray; pip install 'limo[ray]'" in "".join(capfd.readouterr())
    assert Transformers(launcher="ray").missing(Model(path="lab:base")) == [
        "engine.launcher=ray needs Ray; pip install 'limo[ray]', or leave the key at local"
    ]
