"""What a model pays for a text: the loss of each answer token with the true tokens before it, and whether it was the first choice."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from limo.engine.decode import dtype
from limo.models import Model
from limo.training.encode import Encoded
from limo.training.weights import refuse_other_heads

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS = 512
"""Positions whose logits exist at a time."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What one answer costs a model."""

    id: str
    loss: float
    """Nats, summed over the answer's tokens."""
    first: int
    """Tokens that were the model's first choice."""
    tokens: int
    """Tokens of the answer, its end token included."""


def load(model: Model, precision: str) -> PreTrainedModel:
    """The weights as an engine of this number format (`auto` or a dtype) would serve them, on the GPU where there is one."""
    import transformers
    from transformers import AutoModelForCausalLM

    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    net = AutoModelForCausalLM.from_pretrained(model.folder(), dtype=getattr(torch, dtype(precision, model)))
    refuse_other_heads(net)
    return net.to("cuda" if torch.cuda.is_available() else "cpu").eval()  # type: ignore[no-any-return]


@torch.inference_mode()
def pay(net: PreTrainedModel, answer: Encoded, before: Sequence[int] = ()) -> Paid:
    """The loss of `answer` given its prompt, and before that the tokens of a longer context."""
    device = net.device
    ids = torch.tensor([*before, *answer.tokens], device=device)
    body = getattr(net, net.base_model_prefix)
    hidden = body(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    start = len(before) + answer.prompt
    targets, states = ids[start:], hidden[start - 1 : -1]
    loss, first = 0.0, 0
    for part, wanted in zip(torch.split(states, ROWS), torch.split(targets, ROWS), strict=True):
        logits = net.get_output_embeddings()(part).float()
        loss += float(functional.cross_entropy(logits, wanted, reduction="sum"))
        first += int((logits.argmax(-1) == wanted).sum())
    return Paid(answer.id, loss, first, len(targets))
