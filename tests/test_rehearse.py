from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from safetensors.torch import load_file

from limo import hardware, records
from limo.compose import compose
from limo.hardware import Gpu
from limo.models import Model
from limo.placement import Machine
from limo.records import AttemptsSummary, Example, TrainingSummary
from limo.rehearse import real
from limo.stage import summary
from limo.store import content_digest
from limo.training.needs import Needs
from tests.command import limo


def pieces(told: str) -> dict[str, str]:
    """Piece -> what came of it; that of the recipe apart from what stood in for it."""
    found = re.findall(r"^(held|failed|not tried) +(\S.*?)  ", told, re.MULTILINE)
    return {name + " (not tried)" * (state == "not tried"): state for state, name in found}


def test_a_recipe_whose_parts_are_elsewhere_is_rehearsed_without_a_word_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forced = ("evaluation/forcing=think", "evaluation.forcing.waits=2", "evaluation.forcing.thinking=8000")
    assert limo("rehearse", "+experiment=limo817", "training/strategy=single", "engine=transformers", *forced) == 0
    told = capfd.readouterr().out
    assert pieces(told) == {
        "data": "held",
        "candidates": "held",
        "selection": "held",
        "training, killed after a checkpoint": "held",
        "training, resumed, exported": "held",
        "evaluation/base": "held",
        "evaluation/tuned": "held",
        "report": "held",
        "data (not tried)": "not tried",
        "benchmarks (not tried)": "not tried",
        "GPUs (not tried)": "not tried",
        "tokenizer, chat template, weights (not tried)": "not tried",
        "own weights (not tried)": "not tried",
    }
    assert "not tried own weights  they are not on this machine; `python -m limo fetch`" in told
    assert "not tried data  repo=GAIR/LIMO" in told
    assert (tmp_path / "outputs/rehearsals/limo817/report.html").is_file()
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["rehearsals"]


def test_a_piece_that_fails_leaves_out_only_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert limo("rehearse", "attempts=none", "optimizer.lr=1e30", "engine=transformers") == 1
    ended = capfd.readouterr()
    found = pieces(ended.out)
    assert found["evaluation/base"] == "held" and "evaluation/tuned" not in found
    assert {state for name, state in found.items() if name.startswith("training")} >= {"failed"}
    assert found["own weights, two full steps, exported (not tried)"] == "not tried", "what failed tiny is not paid for"
    assert found["own weights, served"] == "held"
    assert "limo: 1 of" in ended.err


def test_a_recipes_own_weights_are_trained_in_full_and_served_and_everything_stands_beside_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    own = tiny.model(tmp_path / "own")
    before = content_digest(own / "model.safetensors")
    words = (
        "model.system=null",
        "attempts=none",
        "engine=transformers",
        "training.micro_batch=2",
        "training.packing=true",
    )
    assert limo("rehearse", f"model.path={own}", *words, "training.max_length=200", "training.global_batch=64") == 0
    told = capfd.readouterr().out
    found = pieces(told)
    assert {state for name, state in found.items() if "(not tried)" not in name} == {"held"}
    assert list(found)[-3:-1] == ["own weights, two full steps, exported", "own weights, served"]
    beside = r"^held +{}  +[\d.]+ s( \(plan [\d.]+\))? +[\d.]+ GiB( \(plan [\d.]+\))?"
    for name, plans in (("training, resumed, exported", 2), ("own weights, two full steps, exported", 2), ("data", 0)):
        line = re.search(beside.format(name), told, re.MULTILINE)
        assert line and sum(part is not None for part in line.groups()) == plans, (name, told)
    store = tmp_path / "outputs/rehearsals/lab/.store"
    trained = [summary(place, TrainingSummary) for place in (store / "training").iterdir() if place.is_dir()]
    (full,) = [one for one in trained if one.steps == 2]
    assert (full.tokens, full.parameters) == (
        2 * 4 * 200,
        sum(t.numel() for t in load_file(own / "model.safetensors").values()),
    )
    (started,) = [summary(place, AttemptsSummary) for place in (store / "start").iterdir() if place.is_dir()]
    assert started.attempts == 2
    assert content_digest(own / "model.safetensors") == before


def test_where_nothing_can_be_served_what_needs_no_engine_is_tried_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "limo.engine.transformers.Transformers.missing", lambda self, model, longest=None: ["no engine"]
    )
    assert limo("rehearse", "attempts=none", "engine=transformers", "training.micro_batch=2") == 0
    found = pieces(capfd.readouterr().out)
    assert found["evaluation/base (not tried)"] == found["own weights, served (not tried)"] == "not tried"
    assert found["training, resumed, exported"] == found["own weights, two full steps, exported"] == "held"


def test_large_weights_wait_for_a_gpu_and_absent_ones_for_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Model(path=str(tiny.model(tmp_path / "own")))
    assert real.untried(own) is None
    monkeypatch.setattr(real, "SMALL", 100)
    assert real.untried(own) == "this machine has no GPU for them"
    monkeypatch.setattr(hardware, "gpus", lambda: (Gpu("NVIDIA H200", 141 << 30),))
    assert real.untried(own) is None
    assert "limo fetch" in str(real.untried(Model(path="some/where")))


def test_on_gpus_the_full_steps_have_the_recipes_strategy_on_one_machine_and_fill_each_micro_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: (Gpu("NVIDIA H100 80GB HBM3", 80 << 30),) * 8)
    config = compose(["+experiment=limo817", "training.strategy.nodes=4", "training.max_tokens=32768"])
    stage = real.trained(config, tiny.examples(3), tmp_path)
    how = stage.training
    assert (how.strategy, how.steps, how.max_length) == (
        replace(config.training.strategy, nodes=1, devices=8),
        2,
        16384,
    )
    assert how.global_batch == 2 * 2 * 8, "two micro-batches of two full examples on each of eight"
    rows = records.read(stage.examples, Example)
    assert len(rows) == how.global_batch and min(len(row.solution) for row in rows) >= 8 * how.max_length
    assert (
        real.planned(config, stage).bytes
        == Needs(how, config.optimizer, config.model.shape(), False, Machine.here()).memory.peak
    )
    assert [lack for lack in stage.missing() if "training needs about" in lack]


def test_too_few_problems_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert limo("rehearse", "--problems", "1") == 2
    assert "--problems 1: it takes 2 or more" in capfd.readouterr().err
