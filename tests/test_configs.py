"""Every member of every group and every recipe composes and builds, shows exactly the fields of its classes, and is there once."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hydra
import pytest
from compare_configs import compositions
from omegaconf import OmegaConf
from pydantic.dataclasses import is_pydantic_dataclass

import limo.compose
from limo.compose import build, compose
from limo.config import Config, locate
from limo.plan.command import main as plan
from limo.rehearse.small import Few
from limo.serial import dump, load
from limo.stage import Stage

ROOT = Path(__file__).parents[1]
GROUPS = ("data", "attempts", "selection", "model", "optimizer", "training", "evaluation", "engine", "logger")
SHIPPED = compositions(ROOT)
"""Overrides of every member, recipe and job of a recipe."""
MEMBERS = [what for what in SHIPPED if not what.startswith("+")]
RECIPES = [what for what in SHIPPED if what.startswith("+") and " " not in what]
COUNT_MEMBERS = 164
COUNT_RECIPES = 44
BASES = {
    "data/_base": "limo.data.Hub",
    "engine/_base": "limo.engine.auto.AutoEngine",
    "optimizer/_base": "limo.optimizers.AdamW",
    "training/strategy/_base": "limo.training.strategies.AutoStrategy",
}
"""A class of the members, for the bases of several."""
SHARED = sorted(
    f.relative_to(ROOT / "conf").with_suffix("").as_posix()
    for f in (ROOT / "conf").rglob("_*.yaml")
    if f.stem == "_base" or f.parent == ROOT / "conf"
)
CHOSEN = {"model/_base.system", "training/_base.epochs"}
"""What our members share where the class leaves it open."""


@cache
def composed(what: str) -> Any:
    """The composed YAML of one of SHIPPED, interpolations resolved."""
    limo.compose.register_configs()
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return hydra.compose("config", SHIPPED[what])


def components(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node with a `_target_`, with its key."""
    for name, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if isinstance(child, dict) and "_target_" in child:
            yield f"{key}{name}", child
        yield from components(child, f"{key}{name}.")


def fields(target: str) -> dict[str, Any]:
    """The settable fields of a class, each with its default as YAML has it, or MISSING."""
    found = {}
    for f in dataclasses.fields(locate(target)):
        if f.init:
            default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
            found[f.name] = default if default is dataclasses.MISSING else json.loads(json.dumps(dump(default)))
    return found


def test_every_group_has_at_least_two_members() -> None:
    for group in GROUPS:
        members = [m for m in MEMBERS if m.startswith(f"{group}=")]
        assert len(members) >= 2, f"{group}: {members}"


@pytest.mark.parametrize("what", [*MEMBERS, *RECIPES])
def test_every_member_and_recipe_shows_exactly_the_fields_of_its_classes_and_builds(what: str) -> None:
    config = build(composed(what))
    assert load(dump(config)) == config
    wrong = {}
    for key, node in components(OmegaConf.to_container(composed(what), resolve=True)):
        shown, known = node.keys() - {"_target_"}, fields(node["_target_"]).keys()
        if shown != known:
            wrong[key] = f"{node['_target_']} has {sorted(known - shown)} beside, and not {sorted(shown - known)}"
    assert not wrong


def test_no_member_or_recipe_is_passed_over() -> None:
    assert len(MEMBERS) == COUNT_MEMBERS
    assert len(RECIPES) == COUNT_RECIPES


def test_every_component_of_the_package_is_in_some_member() -> None:
    reached = {node["_target_"] for what in MEMBERS for _, node in components(OmegaConf.to_container(composed(what)))}
    missed = []
    for file in (ROOT / "limo").rglob("*.py"):
        if "\n@component\n" in file.read_text(encoding="utf-8"):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            classes = vars(importlib.import_module(name)).values()
            own = [c for c in classes if is_pydantic_dataclass(c) and c.__module__ == name]
            missed += [c for c in own if not c.__subclasses__() and not issubclass(c, Stage | Config)]
    assert set(missed) - {Few} <= {locate(target) for target in reached}  # which a rehearsal puts around a member


@pytest.mark.parametrize("base", SHARED)
def test_a_base_says_the_defaults_of_its_class(base: str) -> None:
    text: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / f"{base}.yaml"))
    if base in BASES:
        text["_target_"] = BASES[base]
    for key, node in components({base: text}):
        defaults = fields(node["_target_"])
        for name in (node.keys() & defaults.keys()) - {k for k, v in node.items() if v == "???" or isinstance(v, dict)}:
            if f"{key}.{name}" not in CHOSEN:
                assert defaults[name] in (node[name], dataclasses.MISSING), f"{key}.{name}"


def test_no_two_members_of_a_group_and_no_two_recipes_compose_to_the_same_config() -> None:
    same: dict[str, list[str]] = {}
    for what in [*MEMBERS, *RECIPES]:
        group = what.partition("=")[0]
        config = OmegaConf.to_container(composed(what), resolve=True)
        same.setdefault(f"{group} {json.dumps(config, sort_keys=True)}", []).append(what)
    assert not [names for names in same.values() if len(names) > 1]


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("attempts.lab.rules.name=paper", lambda c: c.attempts["lab"].rules.name),
        ("selection.steps.correct.rules.tolerance=0.01", lambda c: c.selection.steps["correct"].rules.tolerance),
        ("data.decontamination.split=words", lambda c: c.data.decontamination.split),
        ("evaluation.judge.max_tokens=32", lambda c: c.evaluation.judge.max_tokens),
        ("evaluation.judge.prompt='{question} {gold} {answer} {mark}'", lambda c: c.evaluation.judge.prompt),
        ("evaluation.benchmarks.lab_main.rules.order=given", lambda c: c.evaluation.benchmarks["lab_main"].rules.order),
    ],
)
def test_every_key_can_be_overridden_without_a_sign_before_it(override: str, value: Any) -> None:
    config = compose(["evaluation/judge=qwen2.5-7b-instruct", override])
    assert str(value(config)) == override.partition("=")[2].strip("'")


def test_every_filter_and_score_can_be_added_as_a_step_by_its_name() -> None:
    config = compose(["selection=random", "+selection/step@selection.steps.few=bounds", "selection.steps.few.max=90"])
    assert list(config.selection.steps) == ["correct", "random", "few"]
    assert config.selection.steps["few"].max == 90


def commands(head: str, file: Path) -> list[list[str]]:
    """The words after `python -m limo` of every command in a recipe's head, with a file for each <file> of the reader's."""
    text = re.sub(r"<[^>]*>", str(file), re.sub(r"\\\n#\s+", "", head))
    return [shlex.split(line.partition("    ")[0]) for line in re.findall(r"python -m limo ([^`\n]*)", text)]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_opens_with_its_question_and_every_command_in_its_head_can_be_planned(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ROOT / "experiments" / f"{recipe.partition('=')[2]}.yaml"
    head = re.match(r"(#.*\n)+", file.read_text(encoding="utf-8"))
    assert head and "?" in head[0].splitlines()[0]
    for part in ("Command ", "Hardware ", "Expected ", "Obtained "):
        assert re.search(rf"^# {part} +\S", head[0], re.MULTILINE), part
    theirs = tmp_path / "rows.jsonl"
    theirs.write_text('{"question": "1+1?", "answer": "#### 2"}\n', encoding="utf-8")
    assert commands(head[0], theirs)[0][0] == recipe
    for words in commands(head[0], theirs):
        first, *_ = limo.compose.jobs([word for word in words if word not in ("plan", "--gpus", "4x8xH100")])
        plan(["--gpus", "4x8xH100", *first, "hydra.mode=RUN"])  # its other jobs are composed and built above
        assert "GPU hours" in capsys.readouterr().out


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
    assert config.model.attention == "auto" and optimizer.fused
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
