"""The next token of each row of a batch, drawn by the row's own rules and random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from limo.engine.transformers import Row


def draw(logits: torch.Tensor, rows: Sequence[Row | None]) -> torch.Tensor:
    """One token id per row, [rows], from logits [rows, vocabulary]; None is a row that has finished.

    Temperature first, then `top_k`, then `top_p` over what is left, as vLLM does. A row depends on its own logits.
    """
    tokens = logits.argmax(-1)
    plain = [i for i, row in enumerate(rows) if row and row.request.temperature > 0 and not _cut(row)]
    cut = [i for i, row in enumerate(rows) if row and row.request.temperature > 0 and _cut(row)]
    for places in (plain, cut):
        if not places:
            continue
        chosen = [row for i in places if (row := rows[i])]
        device = logits.device
        heat = torch.tensor([row.request.temperature for row in chosen], device=device).unsqueeze(1)
        shares = (logits[places].float() / heat).softmax(-1).double()
        order = None
        if places is cut:
            shares, order = shares.sort(dim=-1, descending=True, stable=True)
            top_k = torch.tensor([row.request.top_k or shares.shape[1] for row in chosen], device=device).unsqueeze(1)
            shares = shares.masked_fill(torch.arange(shares.shape[1], device=device) >= top_k, 0.0)
            top_p = torch.tensor([row.request.top_p for row in chosen], device=device, dtype=torch.float64).unsqueeze(1)
            before = shares.cumsum(-1) - shares
            shares = shares.masked_fill(before >= top_p * shares.sum(-1, keepdim=True), 0.0)
        ladder = shares.cumsum(-1)
        height = torch.tensor([row.uniform() for row in chosen], device=device, dtype=torch.float64).unsqueeze(1)
        # the first step above the height: a token without weight is no step
        found = torch.searchsorted(ladder, height * ladder[:, -1:], right=True).clamp(max=shares.shape[1] - 1)
        tokens[places] = (found if order is None else order.gather(1, found)).squeeze(1)
    return tokens


def _cut(row: Row) -> bool:
    return row.request.top_k > 0 or row.request.top_p < 1
