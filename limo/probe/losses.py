"""What a model pays for a text: the loss of each answer token with the true tokens before it, and whether it was the first choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from limo.models.encode import Encoded
from limo.scores.forward import Cost, cost

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@torch.inference_mode()
def score(net: PreTrainedModel, answer: Encoded, before: Sequence[int] = ()) -> Cost:
    """What `answer` costs given its prompt, and before that the tokens of a longer context."""
    ids = torch.tensor([*before, *answer.tokens], device=net.device)
    body = getattr(net, net.base_model_prefix)
    hidden = body(input_ids=ids[None], use_cache=False).last_hidden_state[0]
    start = len(before) + answer.prompt
    return cost(net, hidden[start - 1 : -1], ids[start:])
