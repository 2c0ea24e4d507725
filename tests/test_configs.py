"""Every YAML choice and every recipe composes and builds; the counts are asserted, so that none is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from limo.__main__ import compose
from limo.config import Config, dump, load

ROOT = Path(__file__).parents[1]
GROUPS = ("data", "attempts", "selection", "model", "optimizer", "training", "evaluation", "engine", "logger")
CHOICES = sorted(f.relative_to(ROOT / "conf").with_suffix("").as_posix() for f in (ROOT / "conf").glob("*/**/*.yaml"))
RECIPES = sorted(f.relative_to(ROOT / "experiments").with_suffix("").as_posix() for f in (ROOT / "experiments").rglob("*.yaml"))


def test_every_group_has_at_least_two_members() -> None:
    for group in GROUPS:
        members = [c for c in CHOICES if c.startswith(f"{group}/")]
        assert len(members) >= 2, f"{group}: {members}"


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_composes_and_builds(choice: str) -> None:
    group, _, name = choice.rpartition("/")
    if group == "evaluation/benchmark":
        override = f"+evaluation/benchmark@evaluation.benchmarks.one={name}"
    else:
        override = f"{group}={name}"
    assert isinstance(compose([override]), Config)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_composes_and_builds_and_survives_the_hand_over(recipe: str) -> None:
    config = compose([f"+experiment={recipe}"])
    assert load(dump(config)) == config


def test_no_choice_or_recipe_is_passed_over() -> None:
    assert len(CHOICES) == COUNT_CHOICES
    assert len(RECIPES) == COUNT_RECIPES


COUNT_CHOICES = 0
COUNT_RECIPES = 0
