"""The engines on real weights: vLLM and transformers side by side, seeds, replicas, adapters, the end of a vLLM process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import tiny
from waiting import LAST, gone, until

from limo import pipeline
from limo.compose import compose
from limo.config import Config
from limo.engine import Engine, Sampling
from limo.engine.asking import Group
from limo.engine.auto import AutoEngine
from limo.engine.sampling import sample, sample_all
from limo.engine.transformers import Transformers
from limo.engine.vllm import Vllm
from limo.hardware import Gpu
from limo.models import Model
from limo.plan import plan
from limo.records import Attempt, AttemptsSummary
from limo.rehearse.start import StartStage
from limo.stage import summary
from limo.store import Store

pytestmark = pytest.mark.real

THINGS = ["apples", "books", "coins", "eggs", "marbles", "pens", "shells", "stamps"]
QUESTIONS = [
    (f"{thing}-{kind}", text.format(thing))
    for thing in THINGS
    for kind, text in {
        "sum": "Tom has 3 {0} and buys 5 more. How many {0} does he have?",
        "word": "Write one sentence about {0}.",
    }.items()
]
TOO_LONG = ("long", "word " * 9000)
GREEDY = Group("greedy", [*QUESTIONS, TOO_LONG], Sampling(max_tokens=40))
DRAWN = Group("drawn", QUESTIONS[:6], Sampling(samples=3, temperature=0.8, top_p=0.95, max_tokens=24))


@cache
def composed(model: str) -> Config:
    return compose(["+experiment=limo817", f"model={model}", "stages=[evaluation]"])


def answers(engine: Engine, folder: Path, store: Path) -> tuple[list[Attempt], list[Attempt]]:
    """Greedy and drawn attempts from one start of the engine."""
    greedy, drawn = sample_all(engine, Model(path=str(folder), dtype="float32"), [GREEDY, DRAWN], 0, store)
    return greedy, drawn


@pytest.fixture(scope="module")
def served(smollm2: Path, vllm: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Attempt], list[Attempt]]:
    return answers(Vllm(), smollm2, tmp_path_factory.mktemp("vllm"))


@pytest.fixture(scope="module")
def batched(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Attempt], list[Attempt]]:
    return answers(Transformers(), smollm2, tmp_path_factory.mktemp("transformers"))


def test_vllm_and_transformers_agree_on_nearly_all_greedy_answers(
    served: tuple[list[Attempt], list[Attempt]], batched: tuple[list[Attempt], list[Attempt]]
) -> None:
    ours, theirs = batched[0], served[0]
    assert [(a.problem, a.prompt_tokens) for a in ours] == [(a.problem, a.prompt_tokens) for a in theirs]
    same = sum(a == b for a, b in zip(ours, theirs, strict=True))
    print(f"{same} of {len(ours)} greedy answers are the same in text, finish and number of tokens")
    assert same >= len(ours) - 1 == 16
    assert {"stop", "length", "prompt_too_long"} == {a.finish for a in theirs}


def test_what_the_plan_places_passes_vllm_s_own_check_of_the_cache_or_is_refused(vllm: None) -> None:
    """Beside weights and cache lie, as vLLM measures them on a GPU: the widest layer over all prompt tokens that it takes in at
    once, the stream between the layers, logits, and 1.3 GiB of graphs and messages."""
    import torch
    from vllm.v1.core.kv_cache_utils import _check_enough_kv_cache_memory, max_memory_usage_bytes
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    passed = 0
    for size, card, count in product(("3b", "7b", "14b", "32b", "72b"), (24, 40, 80, 141), (1, 2, 4, 8)):
        config = composed(f"qwen2.5-{size}-instruct")
        made = plan(config, {"evaluation/base": None}, (Gpu("NVIDIA H100 80GB HBM3", card << 30),) * count)
        one, shape = made.generations[0], config.model.architecture
        if one.lacks:
            assert "GiB, and" in one.lacks[0] and one.lacks[0] in made.refused
            continue
        split, batched = one.placed.tensor_parallel, 16384 if card >= 70 else 8192
        wide = (3 * shape.intermediate_size + shape.queries + 2 * shape.keys) / split + 4 * shape.hidden_size
        beside = 2 * batched * wide + 256 * shape.vocab_size * 6 + 1.3 * 2**30
        heads = max(1, shape.num_key_value_heads // split)
        layer = FullAttentionSpec(block_size=16, num_kv_heads=heads, head_size=shape.head, dtype=torch.bfloat16)
        asked = SimpleNamespace(
            model_config=SimpleNamespace(max_model_len=shape.max_position_embeddings),
            parallel_config=SimpleNamespace(decode_context_parallel_size=1),
        )
        needed = max_memory_usage_bytes(asked, [layer] * shape.num_hidden_layers)
        free = int(card * 2**30 * 0.9 - 2 * shape.parameters / split - beside)
        _check_enough_kv_cache_memory(free, lambda needed=needed: needed, 32768, lambda _: 0)
        passed += 1
    assert 50 < passed < 80, "some of each"


def test_auto_takes_vllm_for_real_weights(smollm2: Path, vllm: None) -> None:
    assert isinstance(AutoEngine().pick(Model(path=str(smollm2))), Vllm)


def test_vllm_draws_from_a_queue_longer_than_it_takes_in_at_once(vllm: None, tmp_path: Path) -> None:
    """More than 4,096 prompt tokens wait: on a CPU, vLLM by default takes one of the prompts in pieces and dies of its seed."""
    folder = tiny.model(tmp_path / "base", hidden_size=128)
    questions = [(str(i), "x" * 150 + str(i)) for i in range(60)]
    drawn = Sampling(samples=1, temperature=0.7, max_tokens=4)
    model = Model(path=str(folder), dtype="float32")
    got = sample(Vllm(batch_size=64), model, questions, drawn, 0, "queue", tmp_path)
    assert len(got) == 60 and sum(a.prompt_tokens for a in got) > 2 * 4096


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Path]]:
    """A tiny model, a LoRA adapter of it that changes its answers, and the two merged."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    root = tmp_path_factory.mktemp("adapter")
    base = tiny.model(root / "base", hidden_size=128)
    wrapped = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=4, target_modules=["q_proj", "v_proj", "down_proj"])
    )
    torch.manual_seed(1)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    wrapped.save_pretrained(root / "adapter")
    merged = tiny.model(root / "merged", hidden_size=128)
    wrapped.merge_and_unload().save_pretrained(merged)
    yield base, root / "adapter", merged


def texts(engine: Engine, folder: Path, store: Path) -> list[str]:
    questions = [(str(i), f"{i}+{i}?") for i in range(12)]
    model = Model(path=str(folder), dtype="float32")
    return [a.text for a in sample(engine, model, questions, Sampling(max_tokens=16), 0, "adapter", store)]


def test_a_rehearsal_starts_vllm_with_a_recipes_own_weights_and_room_for_its_longest_answer(
    smollm2: Path, vllm: None, tmp_path: Path
) -> None:
    model = Model(path=str(smollm2), dtype="float32")
    made = pipeline.make("start", StartStage(model=model, engine=Vllm(), longest=777), Store(tmp_path))
    assert summary(made, AttemptsSummary).attempts == 2
    assert "777" in "".join(re.findall(r"max_(?:seq|model)_len=\d+", (made / "engine.0.log").read_text()))


@pytest.mark.parametrize("kind", [Transformers, Vllm])
def test_an_adapter_answers_as_the_merged_weights_do(
    adapter: tuple[Path, Path, Path], kind: type[Transformers | Vllm], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind is Vllm:
        request.getfixturevalue("vllm")
    base, lora, merged = adapter
    expected = texts(Transformers(), merged, tmp_path)
    found = texts(kind(adapter=lora), base, tmp_path)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 11
    plain = texts(Transformers(), base, tmp_path)
    assert sum(a != b for a, b in zip(found, plain, strict=True)) >= 11, "the adapter makes a difference"


def test_a_killed_run_leaves_no_vllm_process_behind(smollm2: Path, vllm: None, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from limo.engine import Sampling
from limo.engine.sampling import sample
from limo.engine.vllm import Vllm
from limo.hardware import Gpu
from limo.models import Model
from limo.plan import plan
if __name__ == "__main__":
    questions = [(str(i), "Count to " + str(i)) for i in range(64)]
    sample(Vllm(), Model(path={str(smollm2)!r}, dtype="float32"), questions, Sampling(max_tokens=2000), 0, "x", Path({str(tmp_path)!r}))
"""
    run = subprocess.Popen([sys.executable, "-c", code])
    try:
        until("vLLM's own process", lambda: cores(run.pid), lambda: run.poll() is None)
        family = [process.pid for process in psutil.Process(run.pid).children(recursive=True)]
    finally:
        run.kill()
        run.wait()
    assert len(family) >= 2, "the engine process and vLLM's own"
    gone(family)


def cores(pid: int) -> list[psutil.Process]:
    """vLLM's own processes among the descendants of a process."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "EngineCore" in process.name() or "EngineCore" in "".join(process.cmdline()):
                found.append(process)
    return found


def test_replicas_of_vllm_draw_what_one_draws_even_where_one_dies(
    smollm2: Path, served: tuple[list[Attempt], list[Attempt]], tmp_path: Path
) -> None:
    _, drawn = served
    assert len({a.text for a in drawn}) >= len(drawn) - 1 == 17
    logs, killed = tmp_path / "completions", []

    def kill() -> None:
        """End vLLM's own process of the replica that is up first, when its first answers are there."""
        until("answers", lambda: any(path.stat().st_size > 2000 for path in logs.glob("*.jsonl")))
        first = cores(os.getpid())[0]
        first.kill()
        killed.append(first.pid)

    watcher = threading.Thread(target=kill, daemon=True)
    watcher.start()
    # two at a time, so that the first answers are there before the last ones are begun
    assert answers(Vllm(replicas=2, batch_size=2), smollm2, tmp_path) == served
    watcher.join(LAST)
    assert killed
    said = [log.read_text() for log in sorted(logs.glob("*.log"))]
    # the second starts when the first is up; on a busy machine all may be answered before it can
    assert len(said) == 2
    assert any("a process of the engine, ended" in text or "EngineDeadError" in text for text in said)
