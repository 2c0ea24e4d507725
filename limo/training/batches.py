"""Who is trained when: a plan of every micro-batch of a run from its seed, the same on all ranks, and the tensors of each."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from limo import UserError
from limo.training.encode import Encoded

if TYPE_CHECKING:
    import torch

Pack = tuple[int, ...]
"""Places in the list of examples that go through the model together; empty where a rank has nothing left in a step."""


@dataclass(frozen=True)
class Step:
    """One optimizer step: `packs[rank][micro]`, as many on every rank."""

    epoch: int
    packs: tuple[tuple[Pack, ...], ...]

    @cached_property
    def members(self) -> list[int]:
        return [place for rank in self.packs for pack in rank for place in pack]


@dataclass(frozen=True)
class BatchPlan:
    """All optimizer steps of a run."""

    steps: tuple[Step, ...]
    accumulation: int
    """Micro-batches per rank in every step; a constant, because DeepSpeed and Lightning count steps by it."""
    per_epoch: int
    """Optimizer steps in an epoch; the last of an epoch may hold fewer examples than the others."""

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


def plan_batches(
    encoded: Sequence[Encoded], layout: Layout, seed: int, epochs: int | None, steps: int | None
) -> BatchPlan:
    """Shuffle per epoch from the seed, cut into steps of `global_batch` examples, lay each out over ranks and micro-batches.

    Raises UserError, with the arithmetic, where ranks × accumulation × micro-batch cannot give the global batch.
    """
    if lack := uneven(layout.global_batch, layout.ranks, layout.micro_batch):
        raise UserError(lack)
    per_epoch = -(-len(encoded) // layout.global_batch)
    total = steps if steps is not None else per_epoch * (epochs or 0)
    laid: list[tuple[int, list[Pack]]] = []
    for epoch in range(-(-total // per_epoch)):
        order = list(range(len(encoded)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for start in range(0, len(order), layout.global_batch):
            laid.append((epoch, _bins(order[start : start + layout.global_batch], encoded, layout)))
    laid = laid[:total]
    accumulation = max(-(-len(bins) // layout.ranks) for _, bins in laid)
    if layout.micro_batch is not None:
        accumulation = max(accumulation, 1)
    done = tuple(Step(epoch, _deal(bins, encoded, layout, accumulation)) for epoch, bins in laid)
    return BatchPlan(done, accumulation, per_epoch)


def cost(pack: Sequence[int], encoded: Sequence[Encoded], packed: bool) -> int:
    """Tokens a micro-batch puts through the model, padding included."""
    lengths = [len(encoded[place].tokens) for place in pack]
    return sum(lengths) if packed else len(lengths) * max(lengths, default=0)


def _bins(members: list[int], encoded: Sequence[Encoded], layout: Layout) -> list[Pack]:
    """Split one step into micro-batches, longest first: by number, else best fit into `max_tokens`."""
    order = sorted(members, key=lambda place: (-len(encoded[place].tokens), place))
    if layout.micro_batch is not None:
        return [tuple(order[i : i + layout.micro_batch]) for i in range(0, len(order), layout.micro_batch)]
    bins: list[list[int]] = []
    for place in order:
        room = [b for b in bins if cost([*b, place], encoded, layout.packed) <= layout.max_tokens]
        # best fit: the fullest that still takes it; for padded batches the order makes that the one of nearest length
        best = max(room, key=lambda b: cost(b, encoded, layout.packed), default=None)
        if best is None:
            bins.append([place])
        else:
            best.append(place)
    return [tuple(b) for b in bins]


def _deal(
    bins: list[Pack], encoded: Sequence[Encoded], layout: Layout, accumulation: int
) -> tuple[tuple[Pack, ...], ...]:
    """Give the micro-batches to ranks so that each has `accumulation` and the ranks' work is even; empty ones fill up."""
    ranks: list[list[Pack]] = [[] for _ in range(layout.ranks)]
    load = [0] * layout.ranks
    for pack in sorted(bins, key=lambda b: -cost(b, encoded, layout.packed)):
        rank = min((r for r in range(layout.ranks) if len(ranks[r]) < accumulation), key=lambda r: (load[r], r))
        ranks[rank].append(pack)
        load[rank] += cost(pack, encoded, layout.packed)
    return tuple(tuple(packs + [()] * (accumulation - len(packs))) for packs in ranks)


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
        for pack in step.packs[rank]:
            yield Batch(pack, encoded, step, layout.packed, reduction, pad)
