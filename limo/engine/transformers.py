"""The transformers engine: continuous batches over a Hugging Face causal LM, own random numbers for each request."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from limo import hardware
from limo.config import component, runtime
from limo.engine.decode import dtype, unlaunchable, wanted
from limo.models import Architecture, Model, end_ids, load_tokenizer, load_weights
from limo.placement import kv_bytes, lacks

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from limo.engine.batch import TransformersSession

log = logging.getLogger(__name__)

LARGEST_BATCH = 256


@component
class Transformers:
    """Any Hugging Face causal LM with a key-value cache, on one GPU per replica or on the CPU."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: that of the model on a GPU, float32 on a CPU."""
    adapter: Path | None = None
    """A LoRA adapter folder (PEFT), applied without merging it into the weights."""
    batch_size: int = runtime(default=0)
    """Answers that grow at once; 0 takes what the key-value cache has memory for, at most 256."""
    replicas: int = runtime(default=0)
    """Engine processes that share the work; 0 is one per GPU, one on a CPU."""
    launcher: Literal["local", "ray"] = runtime(default="local")
    """What starts the replicas: this process, or Ray as actors on any node of the cluster of RAY_ADDRESS."""

    def __post_init__(self) -> None:
        if self.batch_size < 0 or self.replicas < 0:
            raise ValueError(
                f"batch_size={self.batch_size}, replicas={self.replicas}: 0 or more, 0 chooses by the machine"
            )

    @property
    def tensor_parallel(self) -> int:
        return 1

    def pick(self, model: Model, longest: int | None = None) -> Transformers:
        return self

    def missing(self, model: Model, longest: int | None = None) -> list[str]:
        found = [*unlaunchable(self), *lacks(hardware.gpus(), hardware.memory(), wanted(self, model, longest))]
        if self.adapter is not None and not (self.adapter / "adapter_config.json").is_file():
            found.append(f"engine.adapter={self.adapter}: no adapter_config.json in it; give a folder that PEFT saved")
        return found

    def open(self, model: Model, max_length: int, requests: int) -> TransformersSession:
        from limo.engine.batch import TransformersSession

        weights = load(model, self.dtype, self.adapter)
        tokenizer = load_tokenizer(model)
        batch = self.batch_size or _affordable(weights, max_length, max(1, self.replicas))
        ends = frozenset(end_ids(tokenizer, model))
        return TransformersSession(weights, tokenizer, ends, max(1, min(batch, requests)))


def load(model: Model, asked: str, adapter: Path | None = None) -> PreTrainedModel:
    """The weights for inference in the number format asked for (`auto` or a dtype), on the GPU where there is one."""
    import torch

    precision = dtype(asked, model)
    weights = load_weights(model, dtype=getattr(torch, precision), attn_implementation=_attention(model, precision))
    if adapter is not None:
        from peft import PeftModel

        weights = PeftModel.from_pretrained(weights, adapter)
    return weights.to("cuda" if hardware.gpus() else "cpu").eval()


def _attention(model: Model, precision: str) -> str:
    if model.attention != "auto":
        return model.attention
    from transformers.utils import is_flash_attn_2_available

    fits = hardware.gpus() and precision == "bfloat16" and is_flash_attn_2_available()
    return "flash_attention_2" if fits else "sdpa"


def _affordable(weights: PreTrainedModel, max_length: int, replicas: int) -> int:
    """Rows whose key-value cache fits in half of the free memory, at their longest."""
    import torch

    found = weights.config.get_text_config()
    shape = Architecture(
        hidden_size=found.hidden_size,
        num_hidden_layers=found.num_hidden_layers,
        num_attention_heads=found.num_attention_heads,
        num_key_value_heads=getattr(found, "num_key_value_heads", None) or found.num_attention_heads,
        head_dim=getattr(found, "head_dim", None),
        intermediate_size=0,
        vocab_size=found.vocab_size,
    )
    row = kv_bytes(shape, weights.dtype.itemsize) * max_length
    # growing the cache holds the old and the new copy for a moment, hence half
    free = torch.cuda.mem_get_info()[0] if hardware.gpus() else hardware.memory() // 4 // replicas
    return max(1, min(LARGEST_BATCH, int(free // 2 // row)))
