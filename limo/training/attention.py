"""Attention over packed examples, each alone: exact on every device, quadratic in an example and not in the pack."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch.nn import functional

from limo import UserError

NAME = "limo_segments"


def register() -> None:
    """Make it a choice of transformers (`attn_implementation`); transformers builds no mask for names it has no mask function for."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    segments: tuple[int, ...] | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each segment. query [rows, heads, length, dim]; `segments` sum to length; None is one segment.

    Returns [rows, length, heads, dim]. Raises UserError for a kind of attention that it does not compute.
    """
    if attention_mask is not None or any(
        kwargs.get(name) is not None for name in ("softcap", "s_aux", "position_bias")
    ):
        raise UserError(
            f"training.packing: {type(module).__name__} attends in a way that packing does not cover; set training.packing=false"
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    lengths = list(segments or (query.shape[2],))
    parts = [
        _causal(q, k, v, dropout, scaling, sliding_window)
        for q, k, v in zip(*(torch.split(tensor, lengths, 2) for tensor in (query, key, value)), strict=True)
    ]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
    return whole.transpose(1, 2).contiguous(), None


def _causal(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """One segment, [rows, heads, length, dim]; in the band of a sliding window where it is longer than that."""
    band = None if window is None or query.shape[2] <= window else _band(query, window)
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=band, dropout_p=dropout, is_causal=band is None, scale=scaling
    )


def _band(query: torch.Tensor, window: int) -> torch.Tensor:
    place = torch.arange(query.shape[2], device=query.device)
    back = place[:, None] - place[None, :]
    return (back >= 0) & (back < window)


def flash() -> bool:
    """Whether FlashAttention-2 can be used here."""
    return torch.cuda.is_available() and importlib.util.find_spec("flash_attn") is not None


def implementation(asked: str, packed: bool, precision: str) -> str:
    """What transformers is told: FlashAttention-2, which has no float32, where it can be used, else ours for packs, PyTorch's for rows."""
    if asked == "flash_attention_2" or (asked == "auto" and precision != "32-true" and flash()):
        return "flash_attention_2"
    if packed:
        return NAME
    return "sdpa" if asked == "auto" else asked


def isolation(chosen: str, lengths: tuple[int, ...], device: torch.device) -> dict[str, object]:
    """The arguments that tell the chosen attention where examples begin."""
    if chosen == NAME:
        return {"segments": lengths}
    ends = torch.tensor((0, *lengths), dtype=torch.int32, device=device).cumsum(0, dtype=torch.int32)
    return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": max(lengths), "max_length_k": max(lengths)}
