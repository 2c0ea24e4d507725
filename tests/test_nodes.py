"""Every recipe on every kind of node: no traceback, no arithmetic about what the user never set, GPUs of the driver or one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from test_hardware import EIGHT, SLICED, driver

from limo import hardware, pipeline, tasks
from limo.compose import compose
from limo.config import Config
from limo.plan import plan
from limo.store import Store

ROOT = Path(__file__).parents[1]
RECIPES = [
    "",
    *sorted(
        str(f.relative_to(ROOT / "experiments").with_suffix("")) for f in (ROOT / "experiments").rglob("[!_]*.yaml")
    ),
]
FEW = ["", "limo817", "gsm8k", "optimizer", "rq4_size", "lab/size"]
"""One of each kind, for the nodes that differ from others only in what they have to say of themselves."""
CARDS = [f"{gpu.name}, 81559, {gpu.id}" for gpu in EIGHT]
A100 = "NVIDIA A100-SXM4-40GB, 40960, GPU-aa\nNVIDIA A100-SXM4-40GB, 40960, GPU-bb"
NODES: dict[str, tuple[str, str | None, int, int]] = {
    "no GPU": ("", None, 0, 0),
    "one": (CARDS[0], None, 1, 1),
    "two": ("\n".join(CARDS[:2]), None, 2, 2),
    "eight": ("\n".join(CARDS), None, 8, 8),
    "memory that is the processor's": ("NVIDIA GB10, [N/A], GPU-a", None, 1, 1),
    "a slice": (A100, "MIG-b1", 1, 1),
    "by name": ("\n".join(CARDS), f"{EIGHT[5].id},GPU-111", 2, 2),
    "none wanted": ("\n".join(CARDS), "-1", 0, 0),
    "none given by SLURM": ("\n".join(CARDS), "NoDevFiles", 0, 0),
    "out of range": ("\n".join(CARDS), "0,9,1", 1, 1),
    "a driver too old for torch": ("\n".join(CARDS[:2]), None, 2, 0),
}
"""What nvidia-smi says, CUDA_VISIBLE_DEVICES, how many GPUs that makes, how many of them torch can use."""
UNSET = re.compile(r"not a multiple|must divide|needs as many GPUs|engine\.replicas")
HARDWARE = re.compile(r"GPU|nvidia-smi|GiB")


@pytest.fixture(autouse=True)
def no_gpus_left() -> Iterator[None]:
    """What a node had is not there for the tests after it."""
    yield
    hardware.gpus.cache_clear()


@cache
def composed(recipe: str, pool: Path) -> Config:
    own = [f"data.path={pool}"] if recipe == "rq1_quality" else []
    return compose([*([f"+experiment={recipe}"] if recipe else []), *own])


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pool") / "pool.jsonl"
    path.write_text('{"question": "1+1?", "answer": "2", "solution": "2"}\n', encoding="utf-8")
    return path


@pytest.mark.parametrize("node", NODES)
def test_every_recipe_is_taken_or_refused_for_what_the_node_is(
    node: str, pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, asked, count, usable = NODES[node]
    driver(tmp_path, monkeypatch, lines, SLICED if node == "a slice" else "")
    if asked is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    hardware.gpus.cache_clear()
    monkeypatch.setattr(hardware, "_torch", lambda _: ("torch 2.13.0 for CUDA 13.0", usable))
    monkeypatch.setattr(hardware, "memory", lambda: 2000 << 30)
    monkeypatch.setattr(hardware, "free_disk", lambda _: 1 << 50)
    for place in ("limo.hub.Snapshot.refusal", "limo.hub.RemoteFile.refusal"):
        monkeypatch.setattr(place, lambda _: None)
    for place in ("limo.engine.vllm.build", "limo.engine.auto.build"):
        monkeypatch.setattr(place, lambda: f"vllm{'' if count else '-cpu'} 0.32.0")
    assert len(hardware.gpus()) == count
    for recipe in RECIPES if node in ("no GPU", "two", "eight") else FEW:
        config = composed(recipe, pool)
        said = pipeline.missing(config, Store(tmp_path))
        unused = [sentence for sentence in said if "the driver shows" in sentence]
        assert len(unused) == (count != usable), recipe
        names = [*tasks.TASKS, *(f"{task}/{name}" for task in ("attempts", "grades") for name in config.attempts)]
        made = plan(config, dict.fromkeys(names), hardware.gpus(), 2000 << 30)
        assert set(made.refused) == set(said), recipe
        assert not [sentence for sentence in said if UNSET.search(sentence)], recipe
        assert all(HARDWARE.search(sentence) for sentence in said), (recipe, said)
        if not recipe or recipe.startswith("lab/"):
            assert said == unused
    hardware.gpus.cache_clear()
