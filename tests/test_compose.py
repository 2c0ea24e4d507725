"""From overrides to a live Config: what a config may name, and what is wrong with it in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from limo import UserError
from limo.compose import compose, jobs, rebuild, tree
from limo.serial import dump, fingerprint, load, plugins

PLUGIN = """
import pydantic.dataclasses

from limo.config import component

class Plain:
    def score(self, pool, seed): return {}

@component
class Mine:
    factor: float = 2.0
    def score(self, pool, seed): return {}

@component
class Crooked:
    def score(self, candidates): return {}

@component
class Silent:
    def scores(self, pool, seed): return {}

class Heir(Mine):
    pass

@pydantic.dataclasses.dataclass
class Foreign:
    factor: float = 2.0

def wipe(**_): raise SystemExit("called")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "limo_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "limo_plugin", raising=False)
    return "limo_plugin"


def test_a_class_of_the_users_is_a_step_like_any_other(plugin: str) -> None:
    config = compose([f"plugins=[{plugin}]", f"+selection.steps.mine={{_target_: {plugin}.Mine, factor: 3}}"])
    assert dump(config.selection)["steps"]["mine"] == {"_target_": f"{plugin}.Mine", "factor": 3.0}


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        ("{_target_: limo_plugin.Plain}", "steps.mine._target_: limo_plugin.Plain is no component; decorate its class"),
        ("{_target_: limo_plugin.wipe}", "steps.mine._target_: limo_plugin.wipe is no component"),
        ("{_target_: limo_plugin.Gone}", "steps.mine._target_: limo_plugin.Gone cannot be imported"),
        ("{_target_: limo.store.shutil.rmtree}", "steps.mine._target_: limo.store.shutil.rmtree cannot be imported"),
        ("{_target_: limo.store.Store}", "steps.mine._target_: limo.store.Store is no component"),
        ("{_target_: limo_plugin.Heir}", "steps.mine._target_: limo_plugin.Heir is no component"),
        ("{_target_: limo_plugin.Foreign}", "steps.mine._target_: limo_plugin.Foreign is no component"),
        ("{_target_: limo_plugins.Mine}", "steps.mine._target_: limo_plugins.Mine is outside limo, limo_plugin;"),
        ("{_target_: limo_plugin.Mine, _partial_: true}", "steps.mine._partial_: there is no such key"),
        ("{_target_: limo_plugin.Mine, _args_: [1]}", "steps.mine._args_: there is no such key"),
        ("{_target_: shutil.rmtree}", "steps.mine._target_: shutil.rmtree is outside limo, limo_plugin"),
        ("{_target_: limo_plugin.Mine, factr: 1}", "steps.mine.factr: there is no such key"),
        ("{_target_: limo_plugin.Mine, factor: x}", "steps.mine.factor: must be a number"),
        ("{_target_: limo_plugin.Crooked}", r"Crooked is no Score: score\(candidates\) must be score\(pool, seed\)"),
        ("{_target_: limo_plugin.Silent}", r"Silent is no Score: it lacks score\(pool, seed\)"),
    ],
)
def test_a_step_that_is_none_is_refused_with_its_key_before_any_work(plugin: str, step: str, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"selection.*{sentence}"):
        compose([f"plugins=[{plugin}]", f"+selection.steps.mine={step}"])


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer={_target_: limo.models.Model, path: x}", "optimizer: Model is no Optimizer; give a subclass of it"),
        ("logger={_target_: limo.optimizers.AdamW, lr: 1}", "logger: AdamW is no Csv; give a subclass of it"),
        ("engine={_target_: limo.optimizers.AdamW, lr: 1}", "engine: AdamW is no Engine: it lacks "),
    ],
)
def test_a_member_of_another_group_is_refused(override: str, sentence: str) -> None:
    group, _, node = override.partition("=")
    with pytest.raises(UserError, match=sentence):
        compose([f"~{group}", f"+{group}={node}"])


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["optimizer.lrr=3"], r"optimizer.lrr: there is no such key; did you mean optimizer.lr\?"),
        (["sed=3"], r"sed: there is no such key; did you mean seed\?"),
        (["training.strateg.nodes=3"], r"training.strateg: there is no such key; did you mean training.strategy\?"),
        (["~sed"], "sed: there is no such key"),
        (["xyzzy=1"], "xyzzy: there is no such key; `python -m limo --cfg job`"),
        (["+slection=limo"], r"slection: there is no such key; did you mean selection"),
        (["+selection/ordr=quotas"], r"selection/ordr: there is no such key; did you mean selection/order"),
        (["+training.epoch=3"], r"training.epoch: there is no such key; did you mean training.epochs\?"),
        (["optimizer.learning_rate=1"], r"there is no such key; did you mean optimizer.lr\?"),
        (["lr=1e-5"], r"lr: there is no such key; did you mean optimizer.lr\?"),
        (["selection=lmio"], r"selection=lmio does not exist; did you mean limo\?; choose one of: all, "),
        (
            ["+experiment=limo871"],
            r"experiment=limo871 does not exist; did you mean limo817 or limo800\?; choose one of: ",
        ),
        (["+experiment=zzz/none"], r"\+experiment=zzz/none does not exist; choose one of: .*lab/size"),
        (["selection.size=abc"], "selection.size: must be a whole number, not 'abc'"),
        (["training.packing=maybe"], "training.packing: must be true or false, not 'maybe'"),
        (["selection=null"], "null is no member of a group"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_may_have_been_meant(overrides: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        compose(overrides)


@pytest.mark.parametrize(
    ("expected", "sentence"),
    [
        ("order: ['selecton=random', 'selection=limo']", r"order: selecton=random: there is no such key; did you mean selection or"),
        ("order: ['selection=randm', 'selection=limo']", r"order: selection=randm: no such member; did you mean random or"),
        ("order: [foo, bar]", "order: foo: neither an arm nor key=value; write base, tuned, or overrides"),
        ("order: [tuned, '']", "order: '': neither an arm nor key=value"),
        ("order: [bsae, tuned]", r"order: bsae: neither an arm nor key=value; did you mean base\?"),
        ("order: [base, 'optimizer.lr=1 optimizer.lrr=1']", r"order: optimizer.lrr=1: there is no such key; did you mean optimizer.lr"),
        ("order: [base, 'lr=1']", r"order: lr=1: there is no such key; did you mean optimizer.lr\?"),
        ("order: [base, '+experiment=lab/few_many/mny']", "mny: no such member; did you mean lab/few_many/many or"),
        ("order: [base, 'experiment=lab/size']", r"a run is given its recipe with a sign before it; write \+experiment=lab/size"),
        ("order: [base, 'training/strategy=zro3']", r"zro3: no such member; did you mean zero3"),
        ("order: [base, 'selection.steps.quality.wight=1']", r"quality.wight=1: there is no such key"),
        ("order: [base, tuned], benchmark: lab_mian", r"benchmark=lab_mian: there is no such benchmark; did you mean lab_main"),
        ("oder: [base, tuned]", r"order: has no value; give it one; expect.a.oder: there is no such key; did you mean expect.a.order\?$"),
        ("order: [base, tuned], nosuch: 1", "nosuch: there is no such key; there are order, gap, benchmark, source"),
        ("order: base", "order: must be a list, not 'base'"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_in_what_a_study_expects_is_refused_before_any_work(expected: str, sentence: str) -> None:
    for look in (compose, jobs):
        with pytest.raises(UserError, match=rf"^expect\.a\..*{sentence}"):
            look([f"+expect.a={{{expected}}}"])


@pytest.mark.parametrize(
    "words",
    [
        ["+expect.a={order: [base, tuned, 'selection=limo selection.size=100', 'data.levels=[1,0,0,0,0]'], benchmark: mean}"],
        ["+expect.a={order: ['+experiment=lab/few_many/many', '~selection.steps.correct'], benchmark: lab_hard}"],
        ["selection=random", "+expect.a={order: ['selection.steps.quality.weight=0.1', '+python.training=here']}"],
        ["evaluation=gsm8k", "+expect.a={order: [base, 'training.check_memory=true training/strategy=zero3'], benchmark: aime24}"],
        ["+expect.a={order: ['selection/transform@selection.transforms.damage=shuffle', base]}"],
    ],
)  # fmt: skip
def test_arms_that_other_runs_of_the_study_have_are_left_to_them(words: list[str]) -> None:
    assert compose(words).expect["a"]["order"]


def test_a_member_of_a_folder_that_the_command_names_can_be_an_arm(tmp_path: Path) -> None:
    (tmp_path / "selection").mkdir()
    (tmp_path / "selection/mine.yaml").write_text("defaults: [random, _self_]\n")
    words = ["--config-dir", str(tmp_path), "+expect.a={order: ['selection=mine', 'selection=%s']}"]
    assert compose([*words[:2], words[2] % "random"]).expect
    with pytest.raises(UserError, match=r"selection=mines: no such member; did you mean mine\?"):
        compose([*words[:2], words[2] % "mines"])


def test_a_run_is_composed_again_whatever_its_study_expected() -> None:
    words = ["+expect.a={order: [base, tuned]}"]
    assert rebuild(tree(words) | {"expect": {"a": {"order": ["+experiment=gone/by", "base"]}}}).expect == {}


def test_who_gives_a_key_that_is_none_is_told_those_that_there_are() -> None:
    member = "+selection/transform@selection.transforms.damage=shuffle"
    with pytest.raises(UserError, match=r"transforms.damage.nosuch: there is no such key; there is share$"):
        compose([member, "+selection.transforms.damage.nosuch=1"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes"])
def test_what_has_no_fingerprint_is_refused_with_its_key(value: object) -> None:
    settings = {"steps": [{"weight": value}]}
    for refuse in (dump, lambda node: fingerprint(node, str)):
        with pytest.raises(UserError, match=r"^steps\[0\]\.weight: .*; use texts, finite numbers"):
            refuse(settings)


def test_a_stages_request_calls_components_alone() -> None:
    for target, why in (
        ("os.system", "is outside limo;"),
        ("limo_plugin.Mine", "is outside limo;"),
        ("limo.store.Store", "is no component"),
        ("limo.serial.dump", "is no component"),
    ):
        with pytest.raises(UserError, match=rf"^model._target_: {target} {why}"):
            load({"model": {"_target_": target, "command": "true"}})


def test_a_stage_may_load_what_the_process_that_starts_it_had_at_work(
    plugin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = compose([f"plugins=[{plugin}]", f"+selection.steps.mine={{_target_: {plugin}.Mine}}"]).selection.steps[
        "mine"
    ]
    for name, value in plugins(dump({"step": [step]})).items():
        monkeypatch.setenv(name, value)
    assert load(dump(step)) == step


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["seed=1"], 1),
        (["-m", "seed=1,2", "selection=random,limo"], 4),
        (["seed=range(1,4)", "-m"], 3),
        (["+experiment=rq5_sample_count"], 12),
        (["+experiment=rq5_sample_count", "selection.size=100"], 3),
    ],
)
def test_the_jobs_of_a_sweep_are_those_that_the_command_or_the_recipe_asks_for(
    overrides: list[str], count: int
) -> None:
    found = jobs(overrides)
    configs = [dump(compose(job)) for job in found]
    assert len(found) == count and len({str(config) for config in configs}) == count
