"""Attention over packed examples, each alone: exact on every device, quadratic in an example and not in the pack."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import torch
from torch.nn import functional

from limo import UserError

NAME = "limo_segments"


class OtherAttentionError(UserError):
    """Layers attend in a way that is not computed here."""


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

    Returns [rows, length, heads, dim]. Raises OtherAttentionError for a kind of attention that it does not compute.
    """
    if attention_mask is not None or any(
        kwargs.get(name) is not None for name in ("softcap", "s_aux", "position_bias")
    ):
        raise OtherAttentionError(f"{type(module).__name__} attends in a way that packing does not cover")
    if segments and not dropout and one_kernel(query.device.type, query.dtype):
        return _varlen(query, key, value, segments, scaling, sliding_window), None
    return _segments(query, key, value, segments or (query.shape[2],), dropout, scaling, sliding_window), None


def _segments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: tuple[int, ...],
    dropout: float,
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """Segment after segment: [rows, heads, length, dim] to [rows, length, heads, dim]."""
    cut = (torch.split(tensor, list(lengths), 2) for tensor in (query, key, value))
    parts = [_causal(q, k, v, dropout, scaling, window) for q, k, v in zip(*cut, strict=True)]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
    return whole.transpose(1, 2).contiguous()


@cache
def one_kernel(device: str, dtype: torch.dtype) -> bool:
    """Whether PyTorch's attention over many segments in one kernel works here: tried once, forward and backward, against ours."""
    if device != "cuda" or dtype not in (torch.float16, torch.bfloat16):
        return False
    q, k, v = (torch.randn(1, n, 12, 64, device=device, dtype=dtype, requires_grad=True) for n in (4, 2, 2))

    def slopes(found: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (found, *torch.autograd.grad(found.float().square().sum(), (q, k, v)))

    try:
        one = slopes(_varlen(q, k, v, (5, 7), None, None))
        ours = slopes(_segments(q, k, v, (5, 7), 0.0, None, None))
        return all(torch.allclose(a, b, 0.05, 0.05) for a, b in zip(one, ours, strict=True))
    except (ImportError, RuntimeError):
        return False


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    lengths: tuple[int, ...],
    scaling: float | None,
    window: int | None,
) -> torch.Tensor:
    """All segments in one kernel: [1, heads, length, dim] to [1, length, heads, dim]."""
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor((0, *lengths), dtype=torch.int32, device=query.device).cumsum(0, dtype=torch.int32)
    q, k, v = (tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value))
    back = -1 if window is None else window - 1
    groups = query.shape[1] != key.shape[1]
    longest = max(lengths)
    found = varlen_attn(q, k, v, ends, ends, longest, longest, scale=scaling, window_size=(back, 0), enable_gqa=groups)
    return cast("torch.Tensor", found)[None]


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
        query,
        key,
        value,
        attn_mask=band,
        dropout_p=dropout,
        is_causal=band is None,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _band(query: torch.Tensor, window: int) -> torch.Tensor:
    place = torch.arange(query.shape[2], device=query.device)
    back = place[:, None] - place[None, :]
    return (back >= 0) & (back < window)


def flash() -> bool:
    """Whether transformers can use FlashAttention-2 here; a module `flash_attn` alone may be FlashAttention-4's."""
    from transformers.utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available())


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
