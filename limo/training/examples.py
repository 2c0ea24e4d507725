"""From the examples of a training to its batches: encoded, cut to length, planned; those for validation kept apart."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limo import UserError
from limo.models import load_tokenizer
from limo.models.encode import Encoded, encode_all
from limo.records import Example, read
from limo.training.batches import Batch, BatchPlan, Layout, Reduction, batches, plan_batches
from limo.training.length import cut_to_length
from limo.training.ranks import Ranks

if TYPE_CHECKING:
    from limo.training.stage import TrainingStage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The examples as this run trains on them."""

    problems: frozenset[str]
    every: list[Encoded]
    """All of them, over-long ones as they came."""
    encoded: list[Encoded]
    """Those that are trained on."""
    overlong: list[str]
    """Ids of those longer than `max_length`."""
    layout: Layout
    batch_plan: BatchPlan
    pad: int

    def batches(self, reduction: Reduction, rank: int, start: int) -> Iterator[Batch]:
        """The micro-batches of one rank from optimizer step `start` on."""
        return batches(self.batch_plan, self.encoded, self.layout, reduction, self.pad, rank, start)


def prepare(stage: TrainingStage, ranks: int) -> Prepared:
    """Read, encode and plan the examples of a stage for so many processes. Raises UserError where there is nothing to train on."""
    training = stage.training
    examples = read(stage.examples, Example)
    if not examples:
        raise UserError(f"{stage.examples}: no examples to train on; loosen the selection")
    tokenizer = load_tokenizer(stage.model)
    every = encode_all(tokenizer, stage.model, examples, stage.store / "tokens")
    encoded, overlong = cut_to_length(every, training.max_length, training.overlong)
    tokens = training.max_tokens or training.max_length
    layout = Layout(training.global_batch, ranks, training.micro_batch, tokens, training.packing)
    updates = training.updates(len(encoded), sum(e.supervised for e in encoded))
    batch_plan = plan_batches([len(e.tokens) for e in encoded], layout, stage.seed, None, updates)
    problems = frozenset(e.problem for e in examples)
    return Prepared(problems, every, encoded, overlong, layout, batch_plan, int(tokenizer.pad_token_id or 0))


def validation(stage: TrainingStage, trained: Prepared, rank: Ranks) -> list[Batch]:
    """This rank's batches of the validation examples, weighted so that their losses sum to the loss per token."""
    path, longest = stage.training.validation, stage.training.max_length
    if path is None:
        return []
    examples = read(path, Example)
    if both := sorted(trained.problems & {e.problem for e in examples}):
        raise UserError(
            f"training.validation={path}: problem {both[0]} is trained on too ({len(both)} such); keep the sets apart"
        )
    every = encode_all(load_tokenizer(stage.model), stage.model, examples, stage.store / "tokens")
    if all(len(e.tokens) > longest for e in every):
        raise UserError(
            f"training.validation={path}: every example is longer than training.max_length; give shorter ones"
        )
    encoded, long = cut_to_length(every, longest, "drop")
    if long and rank.first:
        log.info(f"validation: {len(long)} of {len(every)} examples are longer than training.max_length and left out")
    whole = replace(trained.layout, global_batch=len(encoded), micro_batch=None)
    step = plan_batches([len(e.tokens) for e in encoded], whole, 0, epochs=1, steps=None).steps[0]
    packed, pad = trained.layout.packed, trained.pad
    return [Batch(pack, encoded, step, packed, "token", pad) for pack in step.packs[rank.number]]
