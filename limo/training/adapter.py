"""Adapters: a few weights beside frozen ones, and what they add to a model."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Literal

from limo import UserError
from limo.config import component
from limo.models import Architecture

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@component
class Lora:
    """Low-rank adapters beside frozen weights (arXiv 2106.09685), on a 4-bit base with `quantize` (QLoRA, arXiv 2305.14314)."""

    rank: int = 16
    alpha: int = 32
    """The adapter's output is scaled by alpha / rank."""
    dropout: float = 0.0
    targets: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names of the layers that get one; `all-linear` is every linear layer but the head."""
    quantize: Literal["nf4"] | None = None
    """Keep the frozen weights in 4 bits (bitsandbytes)."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 1:
            raise ValueError(f"rank={self.rank} and alpha={self.alpha} must be 1 or more")
        if not self.targets:
            raise ValueError("targets=[] gives no layer an adapter; name some, or all-linear")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be 0 or more and below 1")

    def size(self, shape: Architecture) -> int:
        """Weights of the adapters in a model of this shape."""
        width, inner, queries, keys = shape.hidden_size, shape.intermediate_size, shape.queries, shape.keys
        attention = {
            "q_proj": (width, queries),
            "k_proj": (width, keys),
            "v_proj": (width, keys),
            "o_proj": (queries, width),
        }
        mlp = {"gate_proj": (width, inner), "up_proj": (width, inner), "down_proj": (inner, width)}
        sides = attention | mlp
        chosen = sides.values() if isinstance(self.targets, str) else [s for n, s in sides.items() if n in self.targets]
        return shape.num_hidden_layers * sum(self.rank * (a + b) for a, b in chosen)

    def missing(self) -> list[str]:
        if self.quantize and importlib.util.find_spec("bitsandbytes") is None:
            return ["training=qlora: bitsandbytes is not installed; pip install 'limo[qlora]', or choose training=lora"]
        return []

    def quantization(self) -> dict[str, Any]:
        """Arguments of `from_pretrained`."""
        if self.quantize is None:
            return {}
        import torch
        from transformers import BitsAndBytesConfig

        settings = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=self.quantize,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        return {"quantization_config": settings}

    def wrap(self, net: PreTrainedModel, seed: int, mixed: bool) -> Any:
        """The model with fresh adapters; `mixed` keeps them in float32 over bf16 weights."""
        import torch
        from peft import LoraConfig, get_peft_model

        targets = self.targets if isinstance(self.targets, str) else list(self.targets)
        if isinstance(targets, list):  # of several, peft would pass over the one it does not find
            layers = [f".{name}" for name, _ in net.named_modules()]
            if absent := [one for one in targets if not any(name.endswith(f".{one}") for name in layers)]:
                linear = {name.rpartition(".")[2] for name, m in net.named_modules() if isinstance(m, torch.nn.Linear)}
                raise UserError(
                    f"training.adapter.targets: {type(net).__name__} has no layer {', '.join(absent)}; "
                    f"choose of {', '.join(sorted(linear))}, or all-linear"
                )
        torch.manual_seed(seed)
        settings = LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=targets, task_type="CAUSAL_LM"
        )
        return get_peft_model(net, settings, autocast_adapter_dtype=mixed)
