"""How weights are changed: one optimizer of a library each, and the learning rate as a function of the step."""

from __future__ import annotations

import importlib.util
import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from limo.config import component

if TYPE_CHECKING:
    import torch

Named = list[tuple[str, "torch.nn.Parameter"]]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
"""What a running average keeps at each step."""


@component
class Schedule:
    """The learning rate over the run, as a share of its peak."""

    shape: Literal["constant", "linear", "cosine", "wsd"] = "cosine"
    """`wsd`: warm up, stay, decay linearly over the last `decay` of the steps."""
    warmup: NotNegative = 0.0
    """Steps of linear warm-up when 1 or more (a whole number), share of all steps below 1."""
    final: float = 0.0
    """Share of the peak that is left at the end."""
    decay: float = 0.2
    """Share of all steps that `wsd` decays over."""

    def __post_init__(self) -> None:
        if self.warmup >= 1 and self.warmup != int(self.warmup):
            raise ValueError(f"warmup={self.warmup} must be a whole number of steps, or a share of them below 1")
        if not 0 <= self.final <= 1:
            raise ValueError(f"final={self.final} must be between 0 and 1: the share of the peak left at the end")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay={self.decay} must be above 0 and at most 1: a share of all steps")

    def warming(self, steps: int) -> int:
        """Steps of warm-up in a run of so many."""
        return int(self.warmup) if self.warmup >= 1 else round(self.warmup * steps)

    def at(self, step: int, steps: int) -> float:
        """Share of the peak for optimizer step `step` (0-based) of `steps`: the first is never 0, the last is `final`'s neighbour."""
        warmup = self.warming(steps)
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, steps - warmup)
        match self.shape:
            case "constant":
                return 1.0
            case "linear":
                share = 1 - done
            case "cosine":
                share = (1 + math.cos(math.pi * done)) / 2
            case "wsd":
                share = min(1.0, (steps - step) / max(1.0, self.decay * steps))
        return self.final + (1 - self.final) * share


@component
class Optimizer:
    """Settings that every optimizer has."""

    whole: ClassVar[bool] = False
    """It looks at whole matrices, so ZeRO's flat partitions would change what it computes."""

    lr: Positive
    """Peak learning rate."""
    weight_decay: NotNegative = 0.0
    """Decoupled; on matrices and embeddings, not on norms and biases."""
    schedule: Schedule = Schedule()

    def missing(self) -> list[str]:
        """What this machine lacks for it, one sentence each."""
        return []

    def open(self, named: Named) -> torch.optim.Optimizer:
        """The live optimizer over named parameters."""
        raise NotImplementedError

    def groups(self, named: Named) -> list[dict[str, Any]]:
        """Parameters with and without weight decay."""
        with_decay = [p for _, p in named if matrix(p)]
        without = [p for _, p in named if not matrix(p)]
        pairs = ((with_decay, self.weight_decay), (without, 0.0))
        return [{"params": members, "weight_decay": decay} for members, decay in pairs if members]


@component
class AdamW(Optimizer):
    """torch.optim.AdamW."""

    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NotNegative = 1e-8
    fused: bool = False
    """One kernel for all parameters: faster, same formula."""

    def open(self, named: Named) -> torch.optim.Optimizer:
        from torch.optim import AdamW as Live

        # without fused, foreach: one call per operation instead of one per tensor
        return Live(
            self.groups(named),
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            fused=self.fused or None,
            foreach=None if self.fused else True,
        )


@component
class AdamW8bit(Optimizer):
    """bitsandbytes.optim.AdamW8bit: a quarter of the optimizer's memory."""

    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NotNegative = 1e-8

    def missing(self) -> list[str]:
        if importlib.util.find_spec("bitsandbytes") is None:
            return [
                "optimizer=adamw_8bit: bitsandbytes is not installed; pip install 'limo[qlora]', or choose optimizer=adamw"
            ]
        return []

    def open(self, named: Named) -> torch.optim.Optimizer:
        from bitsandbytes.optim import AdamW8bit as Live

        optimizer: torch.optim.Optimizer = Live(self.groups(named), lr=self.lr, betas=self.betas, eps=self.eps)
        return optimizer


@component
class Adafactor(Optimizer):
    """torch.optim.Adafactor: second moments kept as one row and one column per matrix."""

    whole: ClassVar[bool] = True

    def open(self, named: Named) -> torch.optim.Optimizer:
        from torch.optim import Adafactor as Live

        return Live(self.groups(named), lr=self.lr)


@component
class Muon(Optimizer):
    """torch.optim.Muon on the matrices of the blocks, AdamW on embeddings, head, norms and biases."""

    whole: ClassVar[bool] = True

    momentum: Decay = 0.95
    adamw_lr: Positive | None = None
    """Learning rate of the AdamW part; None takes `lr` (Muon's updates are scaled to the size of AdamW's)."""
    betas: tuple[Decay, Decay] = (0.9, 0.98)

    def open(self, named: Named) -> torch.optim.Optimizer:
        from torch.optim import AdamW as Rest
        from torch.optim import Muon as Live

        from limo.optimizers.joint import Joint

        inner = [(n, p) for n, p in named if p.ndim == 2 and not any(word in n for word in ("embed", "lm_head", "wte"))]
        chosen = {id(p) for _, p in inner}
        outer = [(n, p) for n, p in named if id(p) not in chosen]
        muon = Live(
            [p for _, p in inner],
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        )
        return Joint(
            [muon, *([Rest(self.groups(outer), lr=self.adamw_lr or self.lr, betas=self.betas)] if outer else [])]
        )


def matrix(parameter: torch.nn.Parameter) -> bool:
    """Whether weight decay applies; under ZeRO-3 a partitioned parameter still knows its shape."""
    shape = getattr(parameter, "ds_shape", parameter.shape)
    return len(shape) >= 2
