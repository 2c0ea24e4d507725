"""The training stage whole: what it leaves, what it survives, what it refuses."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import torch
from waiting import until

from limo import EndedError, StageError, UserError, hardware, launch
from limo.compose import compose
from limo.models import Architecture, Model, load_tokenizer, prompt_ids
from limo.optimizers import AdamW, Muon, Optimizer, Schedule
from limo.records import Example, TrainingSummary, write
from limo.serial import dump, plugins
from limo.stage import END, request, summary
from limo.training import Lora, Training, TrainingStage
from limo.training.batches import Batch
from limo.training.checkpoints import found
from limo.training.compare import ExportError, alone, compare
from limo.training.examples import prepare
from limo.training.export import same_tensors
from limo.training.loggers import MLflow, TensorBoard, Wandb
from limo.training.module import Module
from limo.training.saving import Saving
from limo.training.strategies import AutoStrategy, Ddp, Single, Strategy, Zero
from limo.training.watch import Watch
from limo.training.weights import offloaded


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "plain"
    tiny.stage(folder, base, steps=6).run(folder)
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").open()))


def test_it_leaves_a_model_folder_that_transformers_loads_with_tokenizer_template_and_end_token(
    trained: Path, base: Path
) -> None:
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_pretrained(trained / "model")
    exported = Model(path=str(trained / "model"))
    assert exported.missing() == []
    tokenizer = load_tokenizer(exported)
    assert prompt_ids(tokenizer, exported, "1?") == prompt_ids(tiny.tokenizer(), Model(path=str(base)), "1?")
    assert net.generation_config.eos_token_id == [tokenizer.eos_token_id]
    assert net.get_input_embeddings().weight is net.get_output_embeddings().weight
    assert net.config.use_cache
    assert (
        tiny.furthest(tiny.weights(trained), dict(AutoModelForCausalLM.from_pretrained(base).named_parameters())) > 1e-3
    )


def test_it_learns_and_says_what_it_did(trained: Path) -> None:
    said, table = summary(trained, TrainingSummary), rows(trained)
    losses = [float(row["loss"]) for row in table]
    assert losses[-1] < losses[0]
    assert said.final_loss == losses[-1]
    accuracies = [float(row["token_accuracy"]) for row in table]
    assert accuracies[0] < accuracies[-1] <= said.token_accuracy * 2 <= 2
    assert (said.steps, said.examples, said.strategy, said.overlong) == (6, 12, "single", 0)
    assert int(table[-1]["tokens"]) == said.tokens > said.supervised_tokens == int(table[-1]["supervised_tokens"])
    assert [int(row["step"]) for row in table] == list(range(1, 7))
    assert float(table[0]["lr"]) == pytest.approx(0.5e-3)
    assert not (trained / "checkpoints").exists()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    base: Path, trained: Path, tmp_path: Path
) -> None:
    for seed in (0, 1):
        tiny.stage(tmp_path / str(seed), base, steps=6, seed=seed).run(tmp_path / str(seed))
    assert tiny.furthest(tiny.weights(trained), tiny.weights(tmp_path / "0")) == 0
    assert tiny.furthest(tiny.weights(trained), tiny.weights(tmp_path / "1")) > 1e-4


def test_long_and_short_examples_are_trained_on_for_as_many_tokens(base: Path, tmp_path: Path) -> None:
    seen = {}
    for name, times in (("short", 1), ("long", 6)):
        rows = [replace(e, solution=" ".join([e.solution] * times)) for e in tiny.examples()]
        stage = tiny.stage(tmp_path / name, base, rows, steps=None, tokens=2000, max_length=400)
        prepared = prepare(stage, ranks=1)
        per_step = [supervised for _, supervised in prepared.batch_plan.tokens(prepared.encoded)]
        assert abs(sum(per_step) - 2000) <= max(per_step) / 2 + max(per_step) - min(per_step)
        seen[name] = len(per_step)
    assert seen["short"] > 2 * seen["long"]


@pytest.mark.parametrize("how", [{"steps": 3, "tokens": 100}, {"steps": None}, {"epochs": 2, "steps": 3}], ids=str)
def test_how_much_to_train_is_said_once(how: dict[str, object]) -> None:
    usual = {"epochs": None, "global_batch": 4, "max_length": 100}
    with pytest.raises(ValueError, match="give one, null for the others"):
        Training(**usual | how)


@pytest.mark.parametrize(
    "how",
    [
        {"packing": False},
        {"packing": False, "micro_batch": 2},
        {"micro_batch": 1},
        {"max_tokens": 2000},
        {"logit_chunks": 1},
        {"activation_checkpointing": True},
    ],
    ids=str,
)
def test_weights_do_not_depend_on_how_a_step_is_computed(how: dict[str, object], base: Path, tmp_path: Path) -> None:
    for name, more in (("one", {}), ("two", how)):
        tiny.stage(tmp_path / name, base, optimizer=tiny.Sgd(lr=1.0), steps=2, **more).run(tmp_path / name)
    assert tiny.furthest(tiny.weights(tmp_path / "one"), tiny.weights(tmp_path / "two")) < 1e-5
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), abs=1e-5)
        assert float(one["grad_norm"]) == pytest.approx(float(two["grad_norm"]), rel=1e-4)


def test_clipping_bounds_the_step_and_the_norm_in_the_table_is_the_one_before_it(base: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    before = dict(AutoModelForCausalLM.from_pretrained(base).named_parameters())
    moved = {}
    for clip in (None, 0.5):
        folder = tmp_path / str(clip)
        tiny.stage(folder, base, optimizer=tiny.Sgd(lr=1.0), steps=1, max_grad_norm=clip, max_tokens=200).run(folder)
        after = tiny.weights(folder)
        moved[clip] = float(torch.stack([(after[n] - before[n].detach()).pow(2).sum() for n in after]).sum().sqrt())
        assert float(rows(folder)[0]["grad_norm"]) == pytest.approx(moved[None], rel=1e-3)
    assert moved[None] > 1
    assert moved[0.5] == pytest.approx(0.5, rel=1e-3)


def interrupted(stage: TrainingStage, folder: Path, when: Callable[[], bool]) -> None:
    """Run the stage in its own process, which halts after its second checkpoint, and kill -9 it when `when` says so."""
    request(stage, folder)
    command = [sys.executable, "-m", "limo.training", str(folder)]
    env = os.environ | plugins(dump(stage)) | {"HALT_AFTER": str(folder / "checkpoints/step-00000004")}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent, env=env)
    until("the moment to kill it", when, lambda: process.poll() is None)
    process.kill()
    process.wait()


@pytest.mark.parametrize("optimizer", [tiny.Slow(lr=1e-3), Muon(lr=1e-3)], ids=lambda o: type(o).__name__)
def test_killed_and_run_again_it_ends_with_the_weights_of_an_uninterrupted_run(
    optimizer: Optimizer, base: Path, tmp_path: Path
) -> None:
    how = {"steps": 9, "checkpoint_every": 2, "adapter": None, "packing": False, "micro_batch": 4}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    tiny.stage(whole, base, optimizer=optimizer, **how).run(whole)
    stage = tiny.stage(cut, base, optimizer=optimizer, **how)
    if isinstance(optimizer, tiny.Slow):
        interrupted(stage, cut, lambda: len(found(cut / "checkpoints")) > 0 and len(rows(cut)) > 2)
    else:  # the same without a process: the run ends by an error in the middle of a step
        with pytest.raises(ZeroDivisionError), breaking_at(5):
            stage.run(cut)
    assert found(cut / "checkpoints")
    stage.run(cut)
    assert tiny.furthest(tiny.weights(whole), tiny.weights(cut)) == 0
    timeless = [
        [(k, v) for k, v in row.items() if k not in ("seconds", "tokens_per_second", "memory_gib")] for row in rows(cut)
    ]
    assert timeless == [
        [(k, v) for k, v in row.items() if k not in ("seconds", "tokens_per_second", "memory_gib")]
        for row in rows(whole)
    ]


def test_told_to_end_it_does_so_at_a_checkpoint_and_the_same_command_goes_on_from_there(
    base: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, heard = signal.getsignal(signal.SIGTERM), threading.Event()
    step, hear = Module.training_step, Watch._hear

    def told(module: Module, batch: Batch, index: int) -> torch.Tensor:
        if module.trainer.global_step == 2 and not heard.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
            heard.wait()
        return step(module, batch, index)

    monkeypatch.setattr(Watch, "_hear", lambda *a: (hear(*a), heard.set())[0])
    monkeypatch.setattr(Module, "training_step", told)
    stage = tiny.stage(tmp_path, base, steps=6, checkpoint_every=9)
    with pytest.raises(EndedError, match="told to end at step 3; the same command goes on from there"):
        stage.run(tmp_path)
    assert [checkpoint.name for checkpoint in found(tmp_path / "checkpoints")] == ["step-00000003"]
    assert signal.getsignal(signal.SIGTERM) is before
    stage.run(tmp_path)
    assert tiny.furthest(tiny.weights(tmp_path), tiny.weights(trained)) == 0


@pytest.mark.parametrize(
    ("how", "ask", "error", "sentence"),
    [
        ({"grace": 1}, True, EndedError, r"told to end, with no end of the step in 1 s \(training.grace\)"),
        (
            {"patience": 0.01},
            False,
            StageError,
            r"no step in .* minutes, where one takes .* s \(training.patience\); ended",
        ),
    ],
    ids=["told to end", "hanging"],
)
def test_a_step_that_never_ends_is_ended_and_what_was_saved_before_it_is_gone_on_from(
    how: dict[str, float],
    ask: bool,
    error: type[StageError],
    sentence: str,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkpoint = tmp_path / "checkpoints/step-00000002"
    stage = tiny.stage(tmp_path, base, optimizer=tiny.Slow(lr=1e-3), checkpoint_every=2, **how)
    request(stage, tmp_path)
    monkeypatch.setenv("HALT_AFTER", str(checkpoint))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    asking = threading.Thread(target=lambda: (until("a checkpoint", checkpoint.exists), (tmp_path / END).touch()))
    if ask:
        asking.start()
    with pytest.raises(error, match=f"^training: {sentence}; the same command goes on from step 2$"):
        launch.run("training", stage, tmp_path, sys.executable)
    monkeypatch.delenv("HALT_AFTER")
    (tmp_path / END).unlink(missing_ok=True)
    stage.run(tmp_path)
    assert summary(tmp_path, TrainingSummary).steps == 4


@pytest.fixture(scope="module")
def cut(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the length of `trained` that broke off at its fifth step, with the checkpoints of steps 2 and 4."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    with pytest.raises(ZeroDivisionError), breaking_at(5):
        tiny.stage(folder, base, steps=6, checkpoint_every=2).run(folder)
    return folder


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("state", lambda path: os.truncate(path, 1000), "state has 1000 of "),
        ("state", lambda path: os.truncate(path, 0), "state has 0 of "),
        ("state", flipped, "state is not as it was written"),
        ("state", Path.unlink, "state is gone"),
        ("metrics.csv", lambda path: os.truncate(path, 100), "metrics.csv has 100 of "),
        ("rank-00000.json", lambda path: os.truncate(path, 0), "its manifest cannot be read"),
        ("rank-00000.json", Path.unlink, "its manifest cannot be read"),
    ],
)
@pytest.mark.parametrize("all_of_them", [False, True], ids=["the newest", "every one"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_gone_on_from(
    name: str,
    damage: Callable[[Path], None],
    said: str,
    all_of_them: bool,
    base: Path,
    trained: Path,
    cut: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = shutil.copytree(cut, tmp_path / "run")
    for checkpoint in found(folder / "checkpoints")[0 if all_of_them else -1 :]:
        damage(checkpoint / name)
    with caplog.at_level("INFO"):
        tiny.stage(folder, base, steps=6, checkpoint_every=2).run(folder)
    assert f"checkpoint step-00000004 is not used: {said}" in caplog.text
    assert ("going on from step 2" in caplog.text) is not all_of_them
    assert tiny.furthest(tiny.weights(folder), tiny.weights(trained)) == 0
    assert [row["loss"] for row in rows(folder)] == [row["loss"] for row in rows(trained)]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 50)], ids=["gone", "short"])
def test_the_rows_of_the_steps_before_come_from_the_checkpoint(
    damage: Callable[[Path], None], base: Path, trained: Path, cut: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(cut, tmp_path / "run")
    damage(folder / "metrics.csv")
    tiny.stage(folder, base, steps=6, checkpoint_every=2).run(folder)
    assert [row["loss"] for row in rows(folder)] == [row["loss"] for row in rows(trained)]


def test_a_folder_that_is_deleted_while_it_trains_is_whole_at_the_end(
    base: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, step = tmp_path / "run", Module.training_step

    def deleting(module: Module, batch: Batch, index: int) -> torch.Tensor:
        if module.trainer.global_step == 3:
            shutil.rmtree(folder, ignore_errors=True)
        return step(module, batch, index)

    monkeypatch.setattr(Module, "training_step", deleting)
    tiny.stage(folder, base, steps=6).run(folder)
    assert tiny.furthest(tiny.weights(folder), tiny.weights(trained)) == 0
    assert [row["loss"] for row in rows(folder)] == [row["loss"] for row in rows(trained)]


def test_the_rows_before_are_on_disk_when_a_resumed_run_begins(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tiny.stage(tmp_path, base, checkpoint_every=2)
    with pytest.raises(ZeroDivisionError), breaking_at(3):
        stage.run(tmp_path)
    kept, seen = Module.training_step, []
    monkeypatch.setattr(Module, "training_step", lambda *a: (seen.append(rows(tmp_path)), kept(*a))[1])
    stage.run(tmp_path)
    assert [row["step"] for row in seen[0]] == ["1", "2"]


class breaking_at:  # noqa: N801
    """Within it, training fails at an optimizer step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __enter__(self) -> None:
        self.kept = Module.training_step

        def failing(module, batch, index):
            if module.trainer.global_step == self.step:
                raise ZeroDivisionError
            return self.kept(module, batch, index)

        Module.training_step = failing

    def __exit__(self, *_: object) -> None:
        Module.training_step = self.kept


def test_tokens_per_second_are_those_of_the_steps_without_the_checkpoints_between_them(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, clock, stopped = Saving.write, time.perf_counter, []
    monkeypatch.setattr("time.perf_counter", lambda: clock() + 10_000 * len(stopped))
    monkeypatch.setattr(Saving, "write", lambda *a: (write(*a), stopped.append(1))[1])
    tiny.stage(tmp_path, base, checkpoint_every=1).run(tmp_path)
    told = rows(tmp_path)
    tokens = [int(row["tokens"]) for row in told]
    took = [
        (now - before) / float(row["tokens_per_second"])
        for before, now, row in zip([0, *tokens], tokens, told, strict=False)
    ]
    assert max(took[1:]) < 5_000
    assert float(told[-1]["seconds"]) > 30_000


def test_layers_that_packing_does_not_cover_are_refused_by_its_key_and_trained_without_it(tmp_path: Path) -> None:
    capped = tiny.capped(tmp_path / "capped")
    with pytest.raises(UserError, match=r"training.packing: Gemma2Attention attends .*; set training.packing=false"):
        tiny.stage(tmp_path / "packed", capped).run(tmp_path / "packed")
    tiny.stage(tmp_path / "padded", capped, steps=1, packing=False).run(tmp_path / "padded")
    assert summary(tmp_path / "padded", TrainingSummary).steps == 1


def test_checkpoints_come_by_the_clock_and_at_the_end(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, steps in ((3600.0, [4]), (0.0, [1, 2, 3, 4])):
        monkeypatch.setattr(Training, "interval", property(lambda _, seconds=seconds: seconds))
        folder = tmp_path / str(seconds)
        tiny.stage(folder, base, keep_checkpoints=9, keep_after=True).run(folder)
        assert [int(at.name.removeprefix("step-")) for at in found(folder / "checkpoints")] == steps


def test_how_often_checkpoints_come_is_said_in_minutes_steps_or_epochs() -> None:
    said = {
        every: Training(epochs=1, global_batch=1, max_length=9, checkpoint_every=every) for every in ("5m", "epoch", 7)
    }
    assert [one.interval for one in said.values()] == [300.0, None, None]
    for wrong in ("5 m", "0m", "hour"):
        with pytest.raises(ValueError, match="checkpoint_every"):
            Training(epochs=1, global_batch=1, max_length=9, checkpoint_every=wrong)


def test_a_slower_update_in_main_memory_is_said(base: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    away = Zero(stage=2, devices=2, offload_optimizer=True)
    stage = TrainingStage(
        training=Training(epochs=1, global_batch=2, max_length=9, strategy=away),
        model=Model(path=str(base)), optimizer=AdamW(lr=1.0), examples=base, seed=0,
    )  # fmt: skip
    monkeypatch.setattr(hardware, "gpus", lambda: (hardware.Gpu("NVIDIA L4", 24 << 30),) * 2)
    monkeypatch.setattr(shutil, "which", lambda program, path=None: f"/bin/{program}")
    assert not [note for note in stage.notes() if "main memory" in note]
    monkeypatch.setattr(
        "limo.training.strategies.shutil.which", lambda program, path=None: None if program == "g++" else "ninja"
    )
    assert "optimizer=adamw: its states are in main memory" in stage.notes()[0] and "install g++" in stage.notes()[0]

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("failed to build")

    monkeypatch.setattr("limo.training.weights.plain_update", lambda _: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "deepspeed.ops.adam", SimpleNamespace(DeepSpeedCPUAdam=fail))
    live = offloaded(stage.optimizer, [("weight", torch.nn.Parameter(torch.zeros(2, 2)))])
    assert isinstance(live, torch.optim.AdamW) and "cannot be built (failed to build)" in caplog.text


@pytest.mark.parametrize(("adapter", "work"), [(None, 6), (Lora(rank=2), 4)], ids=["full", "lora"])
def test_mfu_counts_no_gradients_of_frozen_weights(
    adapter: Lora | None, work: int, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tiny.stage(tmp_path, base, adapter=adapter)
    monkeypatch.setattr("limo.training.fit._peak", lambda _: float(Model(path=str(base)).shape().parameters))
    stage.run(tmp_path)
    assert all(
        float(row["mfu"]) == pytest.approx(work * float(row["tokens_per_second"]), rel=0.01) for row in rows(tmp_path)
    )


def test_a_half_written_checkpoint_is_never_used(base: Path, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    stage = tiny.stage(folder, base, steps=6)
    (folder / "checkpoints" / "step-00000004.partial").mkdir(parents=True)
    (folder / "checkpoints" / "step-00000002.gone").mkdir()
    stage.run(folder)
    assert tiny.furthest(tiny.weights(folder), tiny.weights(trained)) == 0


def test_killed_after_its_last_word_it_is_not_trained_again(base: Path, tmp_path: Path) -> None:
    stage = tiny.stage(tmp_path, base)
    stage.run(tmp_path)
    (tmp_path / "checkpoints.gone").mkdir()  # killed while they were deleted
    with breaking_at(0):
        stage.run(tmp_path)
    assert not (tmp_path / "checkpoints.gone").exists()


def test_going_on_with_another_number_of_processes_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    stage = tiny.stage(folder, base, steps=6, checkpoint_every=2)
    with pytest.raises(ZeroDivisionError), breaking_at(3):
        stage.run(folder)
    for manifest in folder.glob("checkpoints/*/rank-00000.json"):
        share = json.loads(manifest.read_text())
        manifest.write_text(json.dumps(share | {"cut": share["cut"] | {"ranks": 2}}))
    with pytest.raises(UserError, match="delete its checkpoints"):
        stage.run(folder)


@pytest.mark.parametrize(("lr", "what"), [(1e5, "nan"), (5.0, r"loss is (1[4-9]|[2-9]\d|\d{3,})")])
def test_a_loss_gone_wrong_stops_with_step_examples_and_last_checkpoint(
    lr: float, what: str, base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(
        UserError, match=r"step [2-9] .*the examples e\d+, .*checkpoints/step-0000000[1-8].*lower optimizer.lr"
    ) as caught:
        tiny.stage(folder, base, optimizer=tiny.Sgd(lr=lr), steps=9, checkpoint_every=1, max_grad_norm=None).run(folder)
    assert re.search(what, str(caught.value))
    assert int(rows(folder)[-1]["step"]) == int(found(folder / "checkpoints")[-1].name[-8:])


def test_dropout_continues_where_it_stood(base: Path, tmp_path: Path) -> None:
    how = {"steps": 4, "checkpoint_every": 2, "adapter": Lora(rank=2, alpha=4, dropout=0.3)}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    tiny.stage(whole, base, **how).run(whole)
    stage = tiny.stage(cut, base, **how)
    with pytest.raises(ZeroDivisionError), breaking_at(3):
        stage.run(cut)
    torch.manual_seed(123)
    stage.run(cut)
    assert tiny.furthest(tiny.weights(whole), tiny.weights(cut)) == 0


def test_a_layer_that_shall_have_an_adapter_and_does_not_exist_is_named(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"targets=\[\]"):
        Lora(targets=())
    with pytest.raises(UserError, match=r"has no layer v_porj; choose of .*q_proj, .*v_proj, or all-linear"):
        tiny.stage(tmp_path, base, adapter=Lora(targets=("q_proj", "v_porj"))).run(tmp_path)
    tiny.stage(tmp_path, base, adapter=Lora(rank=2, targets=("q_proj", "mlp.up_proj"))).run(tmp_path)
    assert summary(tmp_path, TrainingSummary).parameters_trained == 2 * 2 * (2 * 32 + 32 + 64)


def test_the_number_of_adapter_weights_is_known_before_training(base: Path, tmp_path: Path) -> None:
    for name, targets in (("all", "all-linear"), ("two", ("q_proj", "down_proj"))):
        stage = tiny.stage(tmp_path / name, base, adapter=Lora(rank=4, targets=targets))
        stage.run(tmp_path / name)
        assert (
            stage.training.trained(stage.model.shape()) == summary(tmp_path / name, TrainingSummary).parameters_trained
        )


def test_an_adapter_is_exported_merged_and_on_its_own(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    tiny.stage(tmp_path, base, adapter=Lora(rank=4, alpha=8), optimizer=AdamW(lr=1e-2)).run(tmp_path)
    ids = torch.arange(20)[None]
    net = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "model")(ids).logits
        before = net(ids).logits
        adapted = PeftModel.from_pretrained(net, tmp_path / "adapter")(ids).logits
    assert torch.allclose(merged, adapted, atol=1e-4)
    assert not torch.allclose(merged, before, atol=1e-2)
    assert 0 < summary(tmp_path, TrainingSummary).parameters_trained < summary(tmp_path, TrainingSummary).parameters


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_sixteen_bits_train_and_export_with_rotary_frequencies_whole(
    precision: str, base: Path, tmp_path: Path
) -> None:
    seen = []
    kept = Module.training_step

    def watching(module, batch, index):
        seen.append(module.causal.model.rotary_emb.inv_freq.dtype)
        return kept(module, batch, index)

    Module.training_step = watching
    try:
        tiny.stage(tmp_path, base, precision=precision, export="bfloat16").run(tmp_path)
    finally:
        Module.training_step = kept
    assert set(seen) == {torch.float32}
    assert {t.dtype for t in tiny.weights(tmp_path).values()} == {torch.bfloat16}


def test_an_export_that_is_not_what_was_trained_is_noticed(trained: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    net = AutoModelForCausalLM.from_pretrained(trained / "model")
    probe = list(range(10))
    with torch.no_grad():
        reference = net(torch.tensor([probe])).logits[0]
    for check in (compare, alone):
        check(trained / "model", reference, probe, 1e-3)
        with pytest.raises(ExportError, match="logits differ"):
            check(trained / "model", reference + torch.randn_like(reference), probe, 1e-3)
    same_tensors(trained / "model", net)
    net.model.layers[0].mlp.up_proj.weight.data[0, 0] += 1
    with pytest.raises(ExportError, match=r"up_proj.*not what was written"):
        same_tensors(trained / "model", net)


def test_kernels_that_patch_the_library_do_not_reach_the_check_of_the_export(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    kind = type(AutoModelForCausalLM.from_pretrained(base))
    patch = tmp_path / "liger_kernel" / "transformers" / "monkey_patch.py"
    patch.parent.mkdir(parents=True)
    for package in (patch.parent, patch.parent.parent):
        (package / "__init__.py").touch()
    name = next(n for n in vars(sys.modules[kind.__module__]) if n.endswith("RMSNorm"))
    patch.write_text(
        f"import torch, {kind.__module__} as library\n"
        "class Kernel(torch.nn.Module):\n"
        "    def __init__(self, width, eps=1e-6):\n"
        "        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.ones(width))\n"
        "    def forward(self, states):\n"
        "        raise RuntimeError('0 active drivers')\n"
        "def _apply_liger_kernel_to_instance(net, **how):\n"
        f"    library.{name} = Kernel\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys.modules[kind.__module__], name, getattr(sys.modules[kind.__module__], name))
    plain, patched = tmp_path / "plain", tmp_path / "patched"
    for folder, liger in ((plain, False), (patched, True)):
        folder.mkdir()
        tiny.stage(folder, base, liger=liger).run(folder)
    assert (patched / "model/model.safetensors").read_bytes() == (plain / "model/model.safetensors").read_bytes()


def test_too_little_disk_is_said_before_training(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = tiny.stage(tmp_path, base)
    assert stage.missing() == []
    huge = Architecture(hidden_size=10**5, num_hidden_layers=1000, num_attention_heads=8, num_key_value_heads=8,
                        intermediate_size=10**6, vocab_size=10**5)  # fmt: skip
    monkeypatch.setattr(Model, "shape", lambda _: huge)
    assert re.search(r"needs about .* GiB of disk.*training.keep_checkpoints=1", " ".join(stage.missing()))
    with pytest.raises(UserError, match="GiB of disk"):
        stage.run(tmp_path)


def test_no_examples_are_a_mistake(base: Path, tmp_path: Path) -> None:
    stage = tiny.stage(tmp_path, base)
    stage.examples.write_text("")
    with pytest.raises(UserError, match="no examples"):
        stage.run(tmp_path)


def test_an_over_long_example_stops_the_run_by_name(base: Path, tmp_path: Path) -> None:
    long = Example(id="much", problem="p", question="1?", answer="1", solution="so " * 200)
    with pytest.raises(UserError, match=r"1 of 13 examples .*much"):
        tiny.stage(tmp_path, base, [*tiny.examples(), long]).run(tmp_path)
    tiny.stage(tmp_path, base, [*tiny.examples(), long], overlong="drop").run(tmp_path)
    assert (summary(tmp_path, TrainingSummary).overlong, summary(tmp_path, TrainingSummary).examples) == (1, 12)


def test_curves_go_to_the_logger_that_was_chosen(base: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tiny.stage(tmp_path, base, logger=TensorBoard()).run(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2, 3, 4]
    assert [e.value for e in events.Scalars("loss")] == pytest.approx([float(row["loss"]) for row in rows(tmp_path)])


def test_wandb_keeps_its_run_offline_under_the_name_of_the_result(base: Path, tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb", reason="pip install 'limo[wandb]'")
    tiny.stage(tmp_path, base, logger=Wandb()).run(tmp_path)
    wandb.teardown()  # as the end of a stage process does: `finish` returns before the file is written
    (offline,) = (tmp_path / "wandb").glob("offline-run-*")
    assert offline.name.endswith(tmp_path.name)
    text = next(offline.glob("*.wandb")).read_bytes()
    assert text.count(b"grad_norm") >= len(rows(tmp_path))


def test_mlflow_writes_its_curves_beside_the_weights(base: Path, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install 'limo[mlflow]'")
    tiny.stage(tmp_path, base, logger=MLflow()).run(tmp_path)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("limo").experiment_id])
    assert run.info.run_name == tmp_path.name
    losses = [m.value for m in client.get_metric_history(run.info.run_id, "loss")]
    assert losses == pytest.approx([float(row["loss"]) for row in rows(tmp_path)])


def test_one_process_without_gpus_and_as_many_as_asked_otherwise(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    assert tiny.stage(tmp_path, base).ranks == 1
    assert tiny.stage(tmp_path, base, strategy=Zero(stage=2, devices=2)).ranks == 2


def test_auto_takes_the_simplest_strategy_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    from limo.hardware import Gpu

    monkeypatch.setattr(hardware, "gpus", lambda: tuple(Gpu("H100", 80 * 2**30) for _ in range(8)))
    small, seven, large = 500_000_000, 7_600_000_000, 32_800_000_000
    assert isinstance(AutoStrategy(devices=1).resolve(large, 0), Single)
    assert isinstance(AutoStrategy().resolve(small, 0), Ddp)
    assert AutoStrategy().resolve(seven, 0) == Zero(stage=2)
    assert AutoStrategy().resolve(large, 0) == Zero(stage=3, offload_optimizer=True)
    assert AutoStrategy(nodes=4).resolve(large, 0) == Zero(stage=3, nodes=4)


def test_auto_knows_that_frozen_weights_in_four_bits_need_no_splitting(monkeypatch: pytest.MonkeyPatch) -> None:
    from limo.hardware import Gpu

    monkeypatch.setattr(hardware, "gpus", lambda: tuple(Gpu("H100", 80 * 2**30) for _ in range(8)))
    shape = compose(["model=qwen2.5-32b-instruct"]).model.shape()
    for quantize, strategy in ((None, Zero(stage=3)), ("nf4", Ddp())):
        how = Training(steps=1, global_batch=8, max_length=8, adapter=Lora(quantize=quantize))
        assert how.resolve(shape) == strategy


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"optimizer": Muon(lr=1.0)}, r"optimizer=muon works on whole matrices, which training/strategy=zero3 cuts up"),
        ({"adapter": Lora(quantize="nf4")}, r"training=qlora: training/strategy=zero3 cannot split 4-bit weights"),
        ({}, r"DeepSpeed is not installed"),
    ],
)
@pytest.mark.parametrize("strategy", [Zero(stage=3), AutoStrategy(devices=2)], ids=["zero3", "auto"])
def test_what_zero_cannot_do_is_refused_also_where_auto_chooses_it(
    strategy: Strategy,
    how: dict[str, object],
    sentence: str,
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AutoStrategy, "resolve", lambda *_: Zero(stage=3))
    if not how:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert re.search(sentence, "\n".join(tiny.stage(tmp_path, base, strategy=strategy, **how).missing()))


def test_the_best_weights_on_a_validation_set_are_exported_and_the_rule_is_said(base: Path, tmp_path: Path) -> None:

    held = [replace(e, id=f"v{e.id}", problem=f"v{e.problem}") for e in tiny.examples(6, seed=9)]
    write(tmp_path / "held.jsonl", held)
    how = {
        "steps": 8,
        "checkpoint_every": 1,
        "validation": tmp_path / "held.jsonl",
        "optimizer": AdamW(lr=0.1, schedule=Schedule(shape="constant")),
    }
    for choose in ("best", "last"):
        tiny.stage(tmp_path / choose, base, export_from=choose, **how).run(tmp_path / choose)
    losses = [float(row["validation_loss"]) for row in rows(tmp_path / "best")]
    assert losses == [float(row["validation_loss"]) for row in rows(tmp_path / "last")]
    lowest = losses.index(min(losses)) + 1
    assert lowest < 8, "the rate is chosen so high that the last weights are not the best"
    assert (
        summary(tmp_path / "best", TrainingSummary).checkpoint,
        summary(tmp_path / "best", TrainingSummary).exported_step,
    ) == ("best", lowest)
    assert (
        summary(tmp_path / "last", TrainingSummary).checkpoint,
        summary(tmp_path / "last", TrainingSummary).exported_step,
    ) == ("last", 8)
    tiny.stage(tmp_path / "then", base, **how | {"steps": 8}, export_from="last", keep_after=True).run(
        tmp_path / "then"
    )
    assert tiny.furthest(tiny.weights(tmp_path / "last"), tiny.weights(tmp_path / "then")) == 0
    assert tiny.furthest(tiny.weights(tmp_path / "last"), tiny.weights(tmp_path / "best")) > 1e-3


def test_a_run_begun_anew_knows_nothing_of_the_best_weights_before_it(base: Path, tmp_path: Path) -> None:

    write(tmp_path / "held.jsonl", [replace(e, problem=f"v{e.problem}") for e in tiny.examples(6, seed=9)])
    stage = tiny.stage(tmp_path, base, checkpoint_every=1, validation=tmp_path / "held.jsonl", export_from="best")
    with pytest.raises(ZeroDivisionError), breaking_at(3):
        stage.run(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "best.json").write_text('{"step": 3, "loss": 0}')
    stage.run(tmp_path)
    losses = [float(row["validation_loss"]) for row in rows(tmp_path)]
    assert summary(tmp_path, TrainingSummary).exported_step == losses.index(min(losses)) + 1


@pytest.mark.parametrize("lost", ["best", "best.json"])
def test_a_run_that_has_lost_its_best_weights_begins_anew(lost: str, base: Path, tmp_path: Path, caplog) -> None:
    write(tmp_path / "held.jsonl", [replace(e, problem=f"v{e.problem}") for e in tiny.examples(6, seed=9)])
    stage = tiny.stage(tmp_path, base, checkpoint_every=1, validation=tmp_path / "held.jsonl", export_from="best")
    with pytest.raises(ZeroDivisionError), breaking_at(2):
        stage.run(tmp_path)
    (tmp_path / lost).rename(tmp_path / "elsewhere")
    stage.run(tmp_path)
    assert "checkpoint step-00000002 is not used: the best weights, of step" in caplog.text
    losses = [float(row["validation_loss"]) for row in rows(tmp_path)]
    assert summary(tmp_path, TrainingSummary).exported_step == losses.index(min(losses)) + 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "held.jsonl: No such file"),
        ("", "held.jsonl: no examples in it"),
        ('{"id": "v0"}\n', "held.jsonl, line 1: Example lacks problem, question, answer, solution"),
    ],
)
def test_validation_examples_are_looked_at_before_any_work(
    content: str | None, sentence: str, base: Path, tmp_path: Path
) -> None:
    path = tmp_path / "held.jsonl"
    if content is not None:
        path.write_text(content)
    (told,) = tiny.stage(tmp_path, base, validation=path).missing()
    assert told.startswith("training.validation")
    assert sentence in told


def test_validation_examples_that_are_too_long_are_left_out_and_counted(base: Path, tmp_path: Path, caplog) -> None:
    held = [Example(f"v{i}", f"v{i}", "1?", "1", "so " * count) for i, count in enumerate((3, 5, 200))]
    write(tmp_path / "held.jsonl", held)
    with caplog.at_level("INFO"):
        tiny.stage(tmp_path, base, validation=tmp_path / "held.jsonl").run(tmp_path)
    assert "validation: 1 of 3 examples are longer" in caplog.text
    write(tmp_path / "held.jsonl", held[2:])
    with pytest.raises(UserError, match="every example is longer"):
        tiny.stage(tmp_path / "none", base, validation=tmp_path / "held.jsonl").run(tmp_path / "none")


def test_a_warm_up_that_outlasts_the_run_is_said(base: Path, tmp_path: Path, caplog) -> None:
    from limo.optimizers import AdamW, Schedule

    with caplog.at_level("INFO"):
        tiny.stage(tmp_path, base, optimizer=AdamW(lr=1e-3, schedule=Schedule(warmup=9))).run(tmp_path)
    assert "the warm-up is not over before the last step" in caplog.text


def test_a_validation_problem_that_is_trained_on_is_refused(base: Path, tmp_path: Path) -> None:

    write(tmp_path / "held.jsonl", tiny.examples(2))
    with pytest.raises(UserError, match="problem p0 is trained on too"):
        tiny.stage(tmp_path, base, validation=tmp_path / "held.jsonl").run(tmp_path)


class WholeRows(AdamW):
    """An optimizer of one's own that is no member of the group."""

    whole = True


@pytest.mark.parametrize("member", sorted(p.stem for p in Path("conf/optimizer").glob("[!_]*.yaml")))
def test_a_sentence_calls_an_optimizer_by_the_word_that_chooses_it(member: str) -> None:
    optimizer = compose([f"optimizer={member}"]).optimizer
    assert optimizer.title == ("adamw" if member == "lab" else member)


def test_an_optimizer_of_ones_own_is_called_by_its_class(base: Path, tmp_path: Path) -> None:
    stage = tiny.stage(tmp_path, base, strategy=Zero(stage=2), optimizer=WholeRows(lr=1.0))
    assert "optimizer=WholeRows works on whole matrices" in "\n".join(stage.missing())
