"""Every YAML choice and every recipe composes and builds; the counts are asserted, so that none is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from limo.compose import compose
from limo.config import Config
from limo.serial import dump, load

ROOT = Path(__file__).parents[1]
GROUPS = ("data", "attempts", "selection", "model", "optimizer", "training", "evaluation", "engine", "logger")
CHOICES = sorted(f.relative_to(ROOT / "conf").with_suffix("").as_posix() for f in (ROOT / "conf").glob("*/**/*.yaml"))
RECIPES = sorted(
    f.relative_to(ROOT / "experiments").with_suffix("").as_posix() for f in (ROOT / "experiments").rglob("*.yaml")
)


def test_every_group_has_at_least_two_members() -> None:
    for group in GROUPS:
        members = [c for c in CHOICES if c.startswith(f"{group}/")]
        assert len(members) >= 2, f"{group}: {members}"


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_builds(choice: str) -> None:
    group, _, name = choice.rpartition("/")
    placed = {"evaluation/benchmark": "+evaluation/benchmark@evaluation.benchmarks.one"}
    assert isinstance(compose([f"{placed.get(group, group)}={name}"]), Config)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_composes_and_builds_and_survives_the_hand_over(recipe: str) -> None:
    config = compose([f"+experiment={recipe}"])
    assert load(dump(config)) == config


def test_no_choice_or_recipe_is_passed_over() -> None:
    assert len(CHOICES) == COUNT_CHOICES
    assert len(RECIPES) == COUNT_RECIPES


COUNT_CHOICES = 91
COUNT_RECIPES = 10


def test_any_setting_of_a_recipe_can_be_overridden() -> None:
    config = compose([
        "+experiment=limo817", "selection=random", "selection.size=400", "model=qwen2.5-7b-instruct", "training=lora", "optimizer.lr=1e-5",
        "~evaluation.benchmarks.amc23", "evaluation.benchmarks.aime24.samples=4", "seed=1", "engine=transformers", "logger=tensorboard",
    ])  # fmt: skip
    assert (config.selection.size, config.seed, config.optimizer.lr) == (400, 1, 1e-5)
    assert config.model.path == "Qwen/Qwen2.5-7B-Instruct"
    assert config.training.adapter.rank > 0
    assert config.evaluation.benchmarks["aime24"].samples == 4
    assert "amc23" not in config.evaluation.benchmarks


@pytest.mark.parametrize(
    ("recipe", "batch", "samples", "temperature"), [("limo817", 32, 16, 0.7), ("limo800", 64, 4, 0.6)]
)
def test_the_papers_runs_are_what_the_paper_says(recipe: str, batch: int, samples: int, temperature: float) -> None:
    config = compose([f"+experiment={recipe}"])
    training, optimizer = config.training, config.optimizer
    assert config.model.path == "Qwen/Qwen2.5-32B-Instruct"
    assert config.model.attention == "flash_attention_2"
    assert (training.epochs, training.global_batch, training.max_length, training.precision) == (
        15,
        batch,
        16384,
        "bf16-mixed",
    )
    assert (training.strategy.stage, training.adapter) == (3, None)
    assert (optimizer.lr, optimizer.schedule.shape, optimizer.schedule.warmup) == (5e-6, "cosine", 0.0)
    suite = config.evaluation.benchmarks
    assert len(suite) == 10
    assert all(b.max_tokens == 32768 for b in suite.values())
    many = {name for name, b in suite.items() if b.samples > 1}
    assert many == {"aime24", "amc23", "chmath"}
    assert {(suite[name].samples, suite[name].temperature) for name in many} == {(samples, temperature)}
    assert all(b.temperature == 0 for name, b in suite.items() if name not in many)
