"""How examples become weights: every setting of a training, and what it says of the model's shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from limo import hardware
from limo.config import component, runtime
from limo.hardware import Gpu
from limo.models import Architecture
from limo.placement import fed
from limo.training.adapter import Lora
from limo.training.strategies import AutoStrategy, Strategy


@component
class Training:
    """How examples become weights."""

    epochs: int | None = None
    steps: int | None = None
    """Optimizer steps, in place of epochs."""
    tokens: float | None = None
    """Tokens with loss, over all steps, in place of epochs: as many steps as come nearest to them on average."""
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
    checkpoint_every: int | Annotated[str, Field(pattern=r"^(epoch|[1-9]\d*m)$")] = runtime(default="30m")
    """Between checkpoints to resume from: minutes (`30m`), optimizer steps, or `epoch`; the end always has one."""
    keep_checkpoints: int = runtime(default=2)
    """How many of those are kept while training; the one before the last is there in case the last is damaged."""
    grace: int = runtime(default=100)
    """Seconds that a training told to end has for its step and checkpoint; fewer than `hydra.launcher.signal_delay_s`."""
    patience: float = runtime(default=30.0)
    """Minutes without a step, or twenty median steps where those are longer, after which it is ended as one that hangs."""
    expandable_segments: bool = runtime(default=True)
    """Let torch's allocator grow its blocks on GPUs: packs of ever different lengths fragment memory otherwise."""
    check_memory: bool = runtime(default=True)
    """Refuse before any work what is estimated not to fit in memory; false tries it."""
    keep_after: bool = runtime(default=False)
    """Leave the checkpoints in the result; else they go once the exported weights are verified."""
    export_from: Literal["last", "best"] = "last"
    """Which weights are exported: after the last step, or where `validation` had the lowest loss."""
    validation: Path | None = None
    """Examples (JSONL) that are never trained on, for the validation loss at each checkpoint, after each epoch where those are
    counted in minutes; never a test benchmark."""
    export: Literal["bfloat16", "float32"] = "bfloat16"
    adapter: Lora | None = None
    """null trains every weight."""
    strategy: Strategy = AutoStrategy()
    largest: float | None = runtime(default=None)
    """Weights of the largest model that these settings were made for; a larger one is refused. Null asks nothing."""

    def __post_init__(self) -> None:
        amounts: dict[str, float | None] = {"epochs": self.epochs, "steps": self.steps, "tokens": self.tokens}
        if sum(value is not None for value in amounts.values()) != 1:
            given = ", ".join(f"{name}={'null' if value is None else f'{value:g}'}" for name, value in amounts.items())
            raise ValueError(f"{given}: how much to train is one of these; give one, null for the others")
        counts = {**amounts, "global_batch": self.global_batch}
        counts |= {"micro_batch": self.micro_batch, "max_tokens": self.max_tokens, "max_length": self.max_length}
        counts |= {"logit_chunks": self.logit_chunks, "keep_checkpoints": self.keep_checkpoints}
        counts["checkpoint_every"] = None if isinstance(self.checkpoint_every, str) else self.checkpoint_every
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be 1 or more")
        if self.grace < 0 or not self.patience > 0:
            raise ValueError(f"grace={self.grace} must be 0 or more and patience={self.patience} above 0")
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

    def updates(self, examples: int, supervised: float) -> int:
        """Optimizer steps for so many examples with so many tokens with loss in all."""
        if self.steps is not None:
            return self.steps
        per_epoch = -(-examples // self.global_batch)
        if self.tokens is not None:
            return max(1, round(self.tokens * per_epoch / supervised))
        return per_epoch * (self.epochs or 0)

    @property
    def interval(self) -> float | None:
        """Seconds between checkpoints, where they are counted so."""
        often = str(self.checkpoint_every)
        return 60.0 * int(often[:-1]) if often.endswith("m") else None

    def trained(self, shape: Architecture) -> int:
        """Weights that change, in a model of this shape."""
        return self.adapter.size(shape) if self.adapter else shape.parameters

    def resolve(self, shape: Architecture | None, devices: Sequence[Gpu] | None = None) -> Strategy:
        """The strategy that runs for a model of this shape, on this machine's GPUs or others."""
        weights, trained = (shape.parameters, self.trained(shape)) if shape else (0, 0)
        bits = 4 if self.adapter is not None and self.adapter.quantize else 16
        strategy, devices = self.strategy, hardware.gpus() if devices is None else devices
        if isinstance(strategy, AutoStrategy) and not strategy.devices:
            busy = fed(len(devices), strategy.nodes, self.global_batch, self.micro_batch)
            strategy = replace(strategy, devices=busy) if busy < len(devices) else strategy
        return strategy.resolve(trained, (weights - trained) * bits // 8, devices)
