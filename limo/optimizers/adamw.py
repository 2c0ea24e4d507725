"""AdamW (arXiv 1711.05101): torch's own, and one that keeps its states in 8 bits."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, ClassVar

from limo.config import component
from limo.optimizers.base import Decay, Named, Optimizer
from limo.optimizers.schedule import NotNegative

if TYPE_CHECKING:
    import torch


@component
class AdamW(Optimizer):
    """torch.optim.AdamW."""

    name: ClassVar[str] = "adamw"

    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NotNegative = 1e-8
    fused: bool = False
    """One kernel for all parameters: faster, same formula."""

    @property
    def title(self) -> str:
        return "adamw_fused" if self.fused and type(self) is AdamW else super().title

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

    name: ClassVar[str] = "adamw_8bit"
    moments: ClassVar[float] = 2.0

    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: NotNegative = 1e-8

    def missing(self) -> list[str]:
        if importlib.util.find_spec("bitsandbytes") is None:
            return [
                f"optimizer={self.title}: bitsandbytes is not installed; pip install 'limo[qlora]', or choose optimizer=adamw"
            ]
        return []

    def open(self, named: Named) -> torch.optim.Optimizer:
        from bitsandbytes.optim import AdamW8bit as Live

        optimizer: torch.optim.Optimizer = Live(self.groups(named), lr=self.lr, betas=self.betas, eps=self.eps)
        return optimizer
