"""The plan of a run: which examples, when, on which process; and the tensors of a micro-batch."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from limo import UserError
from limo.models.encode import Encoded
from limo.training.batches import Batch, Layout, cost, plan_batches


def sizes(members: list[Encoded]) -> list[int]:
    return [len(e.tokens) for e in members]


def encoded(lengths: list[int]) -> list[Encoded]:
    return [Encoded(f"e{i}", tuple(range(2, 2 + n)), 1 + i % (n - 1)) for i, n in enumerate(lengths)]


LENGTHS = some.lists(some.integers(2, 40), min_size=1, max_size=30)
LAYOUTS = some.builds(
    Layout,
    global_batch=some.integers(1, 12),
    ranks=some.integers(1, 3),
    micro_batch=some.none(),
    max_tokens=some.integers(40, 90),
    packed=some.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(LENGTHS, LAYOUTS, some.integers(0, 5))
def test_each_epoch_holds_every_example_once_whatever_the_layout(lengths: list[int], layout: Layout, seed: int) -> None:
    members = encoded(lengths)
    run = plan_batches(sizes(members), layout, seed, epochs=2, steps=None)
    for epoch in (0, 1):
        seen = [place for step in run.steps if step.epoch == epoch for place in step.members]
        assert sorted(seen) == list(range(len(members)))
    assert len(run.steps) == 2 * run.per_epoch


@settings(max_examples=60, deadline=None)
@given(LENGTHS, LAYOUTS)
def test_every_rank_has_the_same_number_of_micro_batches_in_every_step_and_none_is_too_large(
    lengths: list[int], layout: Layout
) -> None:
    members = encoded(lengths)
    run = plan_batches(sizes(members), layout, 0, epochs=1, steps=None)
    for step in run.steps:
        assert len(step.packs) == layout.ranks
        assert len({len(packs) for packs in step.packs}) == 1
        assert all(any(together) for together in zip(*step.packs, strict=True)), "none is empty on all ranks"
        assert all(
            cost(pack, sizes(members), layout.packed) <= layout.max_tokens for packs in step.packs for pack in packs
        )


@settings(max_examples=40, deadline=None)
@given(LENGTHS, LAYOUTS, some.booleans(), some.integers(1, 3))
def test_the_examples_of_a_step_do_not_depend_on_how_they_are_spread(
    lengths: list[int], layout: Layout, packed: bool, ranks: int
) -> None:
    members = encoded(lengths)
    one = plan_batches(sizes(members), layout, 3, epochs=2, steps=None)
    two = plan_batches(sizes(members), replace(layout, packed=packed, ranks=ranks), 3, epochs=2, steps=None)
    assert [sorted(s.members) for s in one.steps] == [sorted(s.members) for s in two.steps]


def test_the_same_seed_gives_the_same_plan_and_another_gives_another() -> None:
    members, layout = encoded([5] * 20), Layout(4, 2, None, 10, True)
    assert plan_batches(sizes(members), layout, 1, None, 9) == plan_batches(sizes(members), layout, 1, None, 9)
    assert plan_batches(sizes(members), layout, 1, None, 9) != plan_batches(sizes(members), layout, 2, None, 9)


def test_epochs_differ_in_order() -> None:
    run = plan_batches([5] * 20, Layout(4, 1, None, 20, True), 0, epochs=2, steps=None)
    assert [sorted(s.members) for s in run.steps[:5]] != [sorted(s.members) for s in run.steps[5:]]


def test_a_global_batch_that_processes_and_micro_batches_cannot_make_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(UserError, match=r"global_batch=10 .*2 process\(es\) × training.micro_batch=4 = 8"):
        plan_batches([5] * 20, Layout(10, 2, 4, 5, True), 0, epochs=1, steps=None)
    assert plan_batches([5] * 20, Layout(16, 2, 4, 5, True), 0, epochs=1, steps=None).accumulation == 2


def test_packs_are_filled_by_best_fit() -> None:
    run = plan_batches([30, 20, 10, 25, 15], Layout(5, 1, None, 50, True), 0, epochs=1, steps=None)
    assert run.accumulation == 2  # 100 tokens in two packs of 50: only the best fit does it


@settings(max_examples=40, deadline=None)
@given(LENGTHS, LAYOUTS, some.sampled_from(["token", "sample"]))
def test_the_weights_of_a_step_sum_to_one_over_micro_batches_and_ranks(
    lengths: list[int], layout: Layout, reduction
) -> None:
    members = encoded(lengths)
    run = plan_batches(sizes(members), layout, 0, epochs=1, steps=None)
    for step in run.steps:
        total = sum(
            float(Batch(pack, members, step, layout.packed, reduction, 0).weights.sum())
            for packs in step.packs
            for pack in packs
        )
        assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("packed", [True, False])
def test_every_target_is_the_token_after_its_place_in_the_same_example(packed: bool) -> None:
    members = [Encoded("a", (11, 12, 13, 14), 2), Encoded("b", (21, 22, 23), 1)]
    step = plan_batches(sizes(members), Layout(2, 1, 2, 7, packed), 0, epochs=1, steps=None).steps[0]
    batch = Batch(step.packs[0][0], members, step, packed, "token", 0)
    flat = batch.ids.flatten()
    pairs = list(zip(flat[batch.where].tolist(), batch.targets.tolist(), strict=True))
    # the last prompt token predicts the first of the answer; nothing predicts across the border 14 | 21
    assert pairs == [(12, 13), (13, 14), (21, 22), (22, 23)]
    assert torch.equal(flat[batch.where + 1], batch.targets)
    assert batch.ids.shape == ((1, 7) if packed else (2, 4))


def test_the_examples_of_a_step_are_said_as_they_are() -> None:
    for count, said in ((5, "5"), (32, "32"), (40, "8 to 32")):
        layout = Layout(global_batch=32, ranks=1, micro_batch=None, max_tokens=90, packed=True)
        assert plan_batches([5] * count, layout, 0, epochs=2, steps=None).sizes == said


def lengths(mean: int) -> list[int]:
    """817 lengths as long solutions have them: lognormal, the longest cut."""
    draw = random.Random(0)
    return [min(16384, int(draw.lognormvariate(math.log(mean), 0.6))) for _ in range(817)]


@pytest.mark.parametrize(("ranks", "batch", "least"), [(8, 32, 0.9), (16, 32, 0.74), (32, 64, 0.72)])
@pytest.mark.parametrize("mean", [5500, 8000])
def test_ranks_wait_little_for_each_other(mean: int, ranks: int, batch: int, least: float) -> None:
    sizes = lengths(mean)
    run = plan_batches(sizes, Layout(batch, ranks, None, 16384, True), 0, epochs=2, steps=None)
    paid = sum(
        ranks * max(cost(pack, sizes, True) for pack in together)
        for step in run.steps
        for together in zip(*step.packs, strict=True)
    )
    assert run.efficiency == pytest.approx(2 * sum(sizes) / paid) and run.efficiency > least
