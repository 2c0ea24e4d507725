"""What a model pays for a text: the loss of each answer token with the true tokens before it, and whether it was the first choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from limo.models.encode import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS = 512
"""Positions whose logits exist at a time."""


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """What one answer costs a model."""

    id: str
    loss: float
    """Nats, summed over the answer's tokens."""
    first: int
    """Tokens that were the model's first choice."""
    tokens: int
    """Tokens of the answer, its end token included."""


@torch.inference_mode()
def score(net: PreTrainedModel, answer: Encoded, before: Sequence[int] = ()) -> TokenLoss:
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
    return TokenLoss(answer.id, loss, first, len(targets))
