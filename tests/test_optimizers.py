"""Learning rates over a run, and the optimizers of the libraries behind one interface."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from pydantic import ValidationError

from limo.config import describe
from limo.optimizers import Adafactor, AdamW, AdamW8bit, Muon, Optimizer, Schedule

SHAPES = ["constant", "linear", "cosine", "wsd"]


@given(some.sampled_from(SHAPES), some.integers(0, 20), some.floats(0, 1), some.integers(1, 200))
def test_a_rate_stays_between_nothing_and_the_peak_and_never_rises_after_warm_up(
    shape, warmup: int, final: float, steps: int
) -> None:
    shares = [Schedule(shape=shape, warmup=warmup, final=final).at(step, steps) for step in range(steps)]
    assert all(0 <= share <= 1 + 1e-9 for share in shares)
    assert shares[0] > 0
    assert all(a >= b - 1e-9 for a, b in pairwise(shares[warmup:]))
    assert all(a < b for a, b in pairwise(shares[:warmup]))


def test_warm_up_is_in_steps_or_in_a_share_of_them() -> None:
    in_steps = [Schedule(warmup=10, shape="linear").at(step, 100) for step in range(100)]
    in_share = [Schedule(warmup=0.1, shape="linear").at(step, 100) for step in range(100)]
    assert in_steps == in_share
    assert in_steps[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert in_steps[10] == 1


def test_shapes_pass_through_the_points_they_are_named_for() -> None:
    assert Schedule(shape="linear", final=0.02).at(50, 100) == pytest.approx(0.51)
    assert Schedule(shape="cosine").at(50, 100) == pytest.approx(0.5)
    assert Schedule(shape="wsd", decay=0.2).at(79, 100) == 1
    assert Schedule(shape="wsd", decay=0.2).at(90, 100) == pytest.approx(0.5)


@pytest.mark.parametrize("bad", [{"warmup": 1.5}, {"warmup": -1}, {"warmup": math.nan}, {"final": 2}, {"decay": 0}])
def test_a_schedule_that_makes_no_sense_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Schedule(**bad)


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        (kind, bad)
        for kind in (AdamW, AdamW8bit, Muon)
        for bad in ({"lr": 0}, {"betas": (0.9, 1.5)}, {"weight_decay": -1})
    ]
    + [(AdamW, {"eps": -1}), (AdamW, {"lr": math.inf}), (Muon, {"momentum": 1}), (Muon, {"adamw_lr": 0})],
)
def test_a_setting_that_no_library_would_take_is_refused_by_name(kind: type[Optimizer], bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(**{"lr": 1e-3} | bad)
    assert describe(caught.value, "optimizer").startswith(f"optimizer.{next(iter(bad))}")


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.ModuleDict(
        {"embed": torch.nn.Embedding(8, 6), "inner": torch.nn.Linear(6, 6), "norm": torch.nn.LayerNorm(6)}
    )


def step(made: torch.nn.Module, live: torch.optim.Optimizer, times: int) -> None:
    for index in range(times):
        loss = made["norm"](made["inner"](made["embed"](torch.arange(8)))).pow(3).sum() * (index + 1)
        live.zero_grad()
        loss.backward()
        live.step()


@pytest.mark.parametrize(
    "optimizer",
    [AdamW(lr=1e-2), AdamW(lr=1e-2, fused=True), Muon(lr=1e-2), Adafactor(lr=1e-2)],
    ids=["adamw", "fused", "muon", "adafactor"],
)
def test_every_optimizer_moves_every_weight_and_goes_on_from_its_saved_state(optimizer: Optimizer) -> None:
    whole, cut = net(), net()
    start = [p.detach().clone() for p in whole.parameters()]
    live = optimizer.open(list(whole.named_parameters()))
    step(whole, live, 3)
    assert all(not torch.equal(a, b) for a, b in zip(start, whole.parameters(), strict=True))
    first = optimizer.open(list(cut.named_parameters()))
    step(cut, first, 3)
    second = optimizer.open(list(cut.named_parameters()))
    second.load_state_dict(first.state_dict())
    step(whole, live, 2)
    step(cut, second, 2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), cut.parameters(), strict=True))


def test_a_fused_step_is_the_plain_one() -> None:
    one, two = net(), net()
    step(one, AdamW(lr=1e-2).open(list(one.named_parameters())), 3)
    step(two, AdamW(lr=1e-2, fused=True).open(list(two.named_parameters())), 3)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_weight_decay_shrinks_matrices_and_leaves_norms_and_biases() -> None:
    made = net()
    live = AdamW(lr=0.1, weight_decay=0.5).open(list(made.named_parameters()))
    before = {n: p.detach().clone() for n, p in made.named_parameters()}
    for parameter in made.parameters():
        parameter.grad = torch.zeros_like(parameter)
    live.step()
    moved = {n for n, p in made.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"embed.weight", "inner.weight"}


def test_muon_turns_inner_matrices_only() -> None:
    made = net()
    groups = Muon(lr=1e-2, adamw_lr=1e-3).open(list(made.named_parameters())).param_groups
    assert [(len(g["params"]), g["lr"]) for g in groups] == [(1, 1e-2), (1, 1e-3), (3, 1e-3)]
    assert groups[0]["params"][0] is made["inner"].weight


def test_a_rate_set_on_a_group_reaches_the_part_that_uses_it() -> None:
    made = net()
    live = Muon(lr=1e-2).open(list(made.named_parameters()))
    before = [p.detach().clone() for p in made.parameters()]
    for group in live.param_groups:
        group["lr"] = 0.0
    step(made, live, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, made.parameters(), strict=True))
