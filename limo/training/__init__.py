"""Training: examples become weights; packed or padded batches, one exact loss, any strategy, resumable, exported for engines."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from limo import UserError
from limo.config import component, runtime
from limo.hardware import Gpu, gpus, memory
from limo.models import Architecture, Model
from limo.optimizers import Optimizer
from limo.records import Example, read
from limo.stage import Stage
from limo.training.batches import uneven
from limo.training.disk import lacking
from limo.training.loggers import Csv
from limo.training.strategies import Auto, Strategy, Zero, title

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PIECE = 512
"""Tokens whose logits are made together at least: every piece costs a gradient of the whole head, which fewer are not worth."""


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
        head = shape.head_dim or shape.hidden_size // shape.num_attention_heads
        queries, keys = shape.num_attention_heads * head, shape.num_key_value_heads * head
        width, inner = shape.hidden_size, shape.intermediate_size
        sides = {"q_proj": (width, queries), "k_proj": (width, keys), "v_proj": (width, keys), "o_proj": (queries, width),
                 "gate_proj": (width, inner), "up_proj": (width, inner), "down_proj": (inner, width)}  # fmt: skip
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


@component
class Training:
    """How examples become weights."""

    epochs: int | None = None
    steps: int | None = None
    """Optimizer steps, in place of epochs."""
    global_batch: int
    """Examples in an optimizer step, over all processes; the last step of an epoch may have fewer."""
    micro_batch: int | None = None
    """Examples that go through the model together on one process; null fills each micro-batch with up to `max_tokens`."""
    max_tokens: int | None = None
    """Tokens of a micro-batch where `micro_batch` is null; null is `max_length`."""
    max_length: int
    """Longest example in tokens, prompt included."""
    overlong: Literal["error", "drop", "truncate"] = "error"
    """What happens to longer ones; `truncate` cuts the end, so those never show how to stop."""
    packing: bool = True
    """Examples end to end in one row, each attending to itself only; false pads rows to the longest."""
    reduction: Literal["token", "sample"] = "token"
    """Every supervised token of a step weighs the same, or every example does."""
    max_grad_norm: float | None = 1.0
    """Largest gradient norm; null does not clip."""
    precision: Literal["32-true", "bf16-mixed", "bf16-true"] = "bf16-mixed"
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more work."""
    logit_chunks: int = 16
    """Most pieces in which the head's logits are made, used and forgotten, of PIECE tokens or more each; 1 keeps them."""
    liger: bool = False
    """Fused Triton kernels for norms, rotary embedding and MLP (GPU)."""
    checkpoint_every: int | Literal["epoch"] = runtime(default="epoch")
    """Optimizer steps between checkpoints to resume from."""
    keep_checkpoints: int = runtime(default=1)
    """How many of those are kept while training."""
    keep_after: bool = runtime(default=False)
    """Leave the checkpoints in the result; else they go once the exported weights are verified."""
    export_from: Literal["last", "best"] = "last"
    """Which weights are exported: after the last step, or where `validation` had the lowest loss."""
    validation: Path | None = None
    """Examples (JSONL) that are never trained on, for the validation loss at each checkpoint; never a test benchmark."""
    export: Literal["bfloat16", "float32"] = "bfloat16"
    adapter: Lora | None = None
    """null trains every weight."""
    strategy: Strategy = Auto()

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"epochs={self.epochs} and steps={self.steps}: give one of them, null for the other")
        for name in (
            "epochs",
            "steps",
            "global_batch",
            "micro_batch",
            "max_tokens",
            "max_length",
            "logit_chunks",
            "checkpoint_every",
            "keep_checkpoints",
        ):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{name}={value} must be 1 or more")
        if self.max_tokens is not None and self.max_tokens < self.max_length:
            raise ValueError(
                f"max_tokens={self.max_tokens} is less than max_length={self.max_length}: the longest example would not fit"
            )
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm={self.max_grad_norm} must be above 0, or null")
        if self.export_from == "best" and self.validation is None:
            raise ValueError(
                "export_from=best needs validation=<examples.jsonl> (never a test benchmark), or export_from=last"
            )

    def trained(self, shape: Architecture) -> int:
        """Weights that change, in a model of this shape."""
        return self.adapter.size(shape) if self.adapter else shape.parameters

    def resolve(self, shape: Architecture | None, devices: Sequence[Gpu] | None = None) -> Strategy:
        """The strategy that runs for a model of this shape, on this machine's GPUs or others."""
        weights, trained = (shape.parameters, self.trained(shape)) if shape else (0, 0)
        bits = 4 if self.adapter is not None and self.adapter.quantize else 16
        return self.strategy.resolve(trained, (weights - trained) * bits // 8, devices)


@component
class TrainingStage(Stage):
    """Examples in, `model/` (Hugging Face folder) and `metrics.csv` out."""

    module: ClassVar[str] = "limo.training"
    version: ClassVar[int] = 1

    training: Training
    model: Model
    optimizer: Optimizer
    logger: Csv = runtime(default=Csv())
    examples: Path
    seed: int

    @property
    def strategy(self) -> Strategy:
        """The strategy that runs on this machine."""
        return self.training.resolve(self.model.shape())

    @property
    def ranks(self) -> int:
        return self.strategy.ranks

    @property
    def nodes(self) -> int:
        return self.strategy.nodes

    def missing(self) -> list[str]:
        how, strategy = self.training, self.strategy
        lacks = [*strategy.missing(), *self.optimizer.missing(), *self.logger.missing(), *self.model.missing()]
        if lack := uneven(how.global_batch, strategy.ranks * strategy.nodes, how.micro_batch):
            lacks.append(lack)
        if self.optimizer.whole and isinstance(strategy, Zero):
            lacks.append(
                f"optimizer={type(self.optimizer).__name__.lower()} works on whole matrices, which training/strategy={title(strategy)} "
                "cuts up; choose training/strategy=ddp or optimizer=adamw"
            )
        if how.adapter is not None and how.adapter.quantize and isinstance(strategy, Zero) and strategy.stage == 3:
            lacks.append(
                f"training=qlora: training/strategy={title(strategy)} cannot split 4-bit weights; choose zero2, ddp or single"
            )
        if how.adapter is not None:
            lacks += how.adapter.missing()
        if how.validation is not None:
            try:
                if not read(how.validation, Example):
                    lacks.append(f"training.validation={how.validation}: no examples in it; give others, or null")
            except UserError as mistake:
                lacks.append(f"training.validation: {mistake}")
        if how.liger and importlib.util.find_spec("liger_kernel") is None:
            lacks.append(
                "training.liger=true: liger-kernel is not installed; pip install liger-kernel, or set it to false"
            )
        if self.model.attention == "flash_attention_2" and how.precision == "32-true":
            lacks.append(
                "model.attention=flash_attention_2 has no float32; set training.precision=bf16-mixed, or model.attention=auto"
            )
        if self.model.attention == "flash_attention_2" and importlib.util.find_spec("flash_attn") is None:
            lacks.append(
                "model.attention=flash_attention_2: flash-attn is not installed; install it, or set model.attention=auto"
            )
        if how.adapter is not None and how.adapter.quantize and not gpus():
            lacks.append("training=qlora: 4-bit weights need a CUDA GPU; choose training=lora")
        if shape := self.model.shape():
            if lack := lacking(self.store, how, shape.parameters):
                lacks.append(lack)
            # weights, gradients and two moments in 4 bytes each, or frozen weights in 2
            need = shape.parameters * (16 if how.adapter is None else 2)
            if not gpus() and need > memory():
                lacks.append(
                    f"training: {shape.parameters / 1e9:.1f} billion weights take {need / 2**30:.0f} GiB or more, and this machine has "
                    f"no GPU and {memory() / 2**30:.0f} GiB; run it where nvidia-smi shows GPUs, or choose a smaller model"
                )
        return lacks

    def run(self, folder: Path) -> None:
        from limo.training.stage import train

        train(self, folder)


__all__ = ["Lora", "Training", "TrainingStage", "title"]
