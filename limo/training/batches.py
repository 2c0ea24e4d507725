"""Who is trained when: a plan of every micro-batch of a run from its seed, the same on all ranks, and the tensors of each."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from limo import UserError
from limo.models.encode import Encoded

if TYPE_CHECKING:
    import torch

Pack = tuple[int, ...]
"""Places in the list of examples that go through the model together; empty where a rank has nothing left in a step."""


@dataclass(frozen=True)
class Step:
    """One optimizer step: `packs[rank][micro]`, as many on every rank, none empty on all of them."""

    epoch: int
    packs: tuple[tuple[Pack, ...], ...]

    @cached_property
    def members(self) -> list[int]:
        return [place for rank in self.packs for pack in rank for place in pack]


@dataclass(frozen=True)
class BatchPlan:
    """All optimizer steps of a run."""

    steps: tuple[Step, ...]
    per_epoch: int
    """Optimizer steps in an epoch; the last of an epoch may hold fewer examples than the others."""
    efficiency: float
    """Tokens of examples among those that all ranks have time for, where each waits for the slowest at every micro-batch."""

    @property
    def accumulation(self) -> int:
        """Most micro-batches per rank in a step."""
        return max(len(step.packs[0]) for step in self.steps)

    @property
    def packs(self) -> int:
        """Micro-batches that hold examples, over all steps and ranks."""
        return sum(bool(pack) for step in self.steps for rank in step.packs for pack in rank)

    @property
    def sizes(self) -> str:
        """How many examples a step has, `16`, or `9 to 16` where the last of an epoch has fewer."""
        sizes = sorted({len(step.members) for step in self.steps})
        return " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))

    def tokens(self, encoded: Sequence[Encoded]) -> list[tuple[int, int]]:
        """Tokens of each step, and those of them with loss."""
        members = [[encoded[place] for place in step.members] for step in self.steps]
        return [(sum(len(e.tokens) for e in step), sum(e.supervised for e in step)) for step in members]


@dataclass(frozen=True)
class Layout:
    """How the examples of a step are laid out in micro-batches."""

    global_batch: int
    ranks: int
    micro_batch: int | None
    """Examples in a micro-batch; None fills each up to `max_tokens`."""
    max_tokens: int
    """Tokens in a micro-batch, padding included."""
    packed: bool


def uneven(global_batch: int, ranks: int, micro_batch: int | None) -> str | None:
    """One sentence where processes and micro-batches cannot make the global batch; None where they can."""
    if micro_batch is None or global_batch % (ranks * micro_batch) == 0:
        return None
    return (
        f"training.global_batch={global_batch} is not a multiple of {ranks} process(es) × training.micro_batch={micro_batch} = "
        f"{ranks * micro_batch}; change one of them, or set micro_batch=null to fill micro-batches by tokens"
    )


def plan_batches(lengths: Sequence[int], layout: Layout, seed: int, epochs: int | None, steps: int | None) -> BatchPlan:
    """Shuffle the examples, given by their tokens, per epoch from the seed, cut into steps of `global_batch`, lay each out over
    ranks and micro-batches.

    Raises UserError, with the arithmetic, where ranks × accumulation × micro-batch cannot give the global batch.
    """
    if lack := uneven(layout.global_batch, layout.ranks, layout.micro_batch):
        raise UserError(lack)
    per_epoch = -(-len(lengths) // layout.global_batch)
    total = steps if steps is not None else per_epoch * (epochs or 0)
    laid: list[tuple[int, list[Pack]]] = []
    for epoch in range(-(-total // per_epoch)):
        order = list(range(len(lengths)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for start in range(0, len(order), layout.global_batch):
            laid.append((epoch, _bins(order[start : start + layout.global_batch], lengths, layout)))
    laid = laid[:total]
    useful = sum(lengths[place] for _, bins in laid for pack in bins for place in pack)
    paid = sum(_paid(bins, lengths, layout) for _, bins in laid)
    return BatchPlan(
        tuple(Step(epoch, _deal(bins, layout.ranks)) for epoch, bins in laid), per_epoch, useful / max(1, paid)
    )


def cost(pack: Sequence[int], lengths: Sequence[int], packed: bool) -> int:
    """Tokens a micro-batch puts through the model, padding included."""
    own = [lengths[place] for place in pack]
    return sum(own) if packed else len(own) * max(own, default=0)


def _bins(members: list[int], lengths: Sequence[int], layout: Layout) -> list[Pack]:
    """Split one step into micro-batches, the most work first: by number; else best fit into `max_tokens`, or as many for every
    rank filled evenly, whichever keeps the ranks waiting less.
    """
    order = sorted(members, key=lambda place: (-lengths[place], place))
    if layout.micro_batch is not None:
        bins = [order[i : i + layout.micro_batch] for i in range(0, len(order), layout.micro_batch)]
        return _sorted(bins, lengths, layout)
    bins = []
    for place in order:
        room = [b for b in bins if cost([*b, place], lengths, layout.packed) <= layout.max_tokens]
        # best fit: the fullest that still takes it; for padded batches the order makes that the one of nearest length
        best = max(room, key=lambda b: cost(b, lengths, layout.packed), default=None)
        if best is None:
            bins.append([place])
        else:
            best.append(place)
    fitted = _sorted(bins, lengths, layout)
    even = _evenly(order, lengths, layout, -(-len(bins) // layout.ranks) * layout.ranks)
    return min((fitted, even), key=lambda tried: _paid(tried, lengths, layout)) if even else fitted


def _evenly(order: list[int], lengths: Sequence[int], layout: Layout, count: int) -> list[Pack] | None:
    """So many micro-batches, each example into the one with the least work; None where one would be too full."""
    bins: list[list[int]] = [[] for _ in range(count)]
    for place in order:
        min(bins, key=lambda b: cost([*b, place], lengths, layout.packed)).append(place)
    full = any(cost(b, lengths, layout.packed) > layout.max_tokens for b in bins)
    return None if full else _sorted(bins, lengths, layout)


def _sorted(bins: list[list[int]], lengths: Sequence[int], layout: Layout) -> list[Pack]:
    return sorted((tuple(b) for b in bins if b), key=lambda b: -cost(b, lengths, layout.packed))


def _paid(bins: list[Pack], lengths: Sequence[int], layout: Layout) -> int:
    """Tokens that all ranks have time for: in every round that of the most work."""
    return layout.ranks * sum(cost(pack, lengths, layout.packed) for pack in bins[:: layout.ranks])


def _deal(bins: list[Pack], ranks: int) -> tuple[tuple[Pack, ...], ...]:
    """Give sorted micro-batches to ranks in rounds, so that those of one round are alike; the order turns with each round, so
    that the ranks' sums are too. Empty ones fill up the last.
    """
    rounds = [bins[start : start + ranks] for start in range(0, len(bins), ranks)]
    turned = [(one + [()] * (ranks - len(one)))[:: -1 if number % 2 else 1] for number, one in enumerate(rounds)]
    return tuple(zip(*turned, strict=True))


Reduction = Literal["token", "sample"]


class Batch:
    """The tensors of one micro-batch. Not a dict or dataclass: Lightning would cast its weights to the training precision."""

    ids: torch.Tensor
    """[rows, length] token ids: one row of examples end to end when packed, else a row each with pads last (they need no mask)."""
    lengths: tuple[int, ...]
    """Length of each example, in order."""
    where: torch.Tensor
    """[n] flat places in `ids` whose next token has loss."""
    targets: torch.Tensor
    """[n] those next tokens."""
    weights: torch.Tensor
    """[n] float32 share of each in the loss of the whole optimizer step; they sum to 1 over its micro-batches and ranks."""

    first = last = True
    """Whether the rank's optimizer step begins with it, ends with it."""

    def __init__(
        self, pack: Pack, encoded: Sequence[Encoded], step: Step, packed: bool, reduction: Reduction, pad: int
    ) -> None:
        import torch

        members = [encoded[place] for place in pack] or [Encoded("", (pad, pad), 2)]
        self.lengths = tuple(len(m.tokens) for m in members)
        longest = max(self.lengths)
        rows: list[int] = []
        places: list[int] = []
        targets: list[int] = []
        weights: list[float] = []
        total = sum(encoded[place].supervised for place in step.members)
        offset = 0
        for member in members:
            rows.extend(member.tokens)
            places.extend(range(offset + member.prompt - 1, offset + len(member.tokens) - 1))
            targets.extend(member.tokens[member.prompt :])
            share = 1 / total if reduction == "token" else 1 / (len(step.members) * max(1, member.supervised))
            weights.extend([share] * member.supervised)
            if not packed:
                rows.extend([pad] * (longest - len(member.tokens)))
            offset = len(rows)
        self.ids = torch.tensor(rows).view(1 if packed else len(members), -1)
        self.where = torch.tensor(places, dtype=torch.long)
        self.targets = torch.tensor(targets, dtype=torch.long)
        self.weights = torch.tensor(weights, dtype=torch.float32)

    def to(self, device: torch.device | str, **_: object) -> Batch:
        """Lightning moves what has this method."""
        self.ids, self.where, self.targets, self.weights = (
            tensor.to(device, non_blocking=True) for tensor in (self.ids, self.where, self.targets, self.weights)
        )
        return self


def batches(
    batch_plan: BatchPlan,
    encoded: Sequence[Encoded],
    layout: Layout,
    reduction: Reduction,
    pad: int,
    rank: int,
    start: int,
) -> Iterator[Batch]:
    """The micro-batches of one rank from optimizer step `start` on."""
    for step in batch_plan.steps[start:]:
        packs = step.packs[rank]
        for number, pack in enumerate(packs, 1):
            batch = Batch(pack, encoded, step, layout.packed, reduction, pad)
            batch.first, batch.last = number == 1, number == len(packs)
            yield batch
