"""Muon (arXiv 2502.16982): orthogonal updates of matrices, AdamW for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from limo.config import component
from limo.optimizers.base import Decay, Named, Optimizer, Positive

if TYPE_CHECKING:
    import torch


@component
class Muon(Optimizer):
    """torch.optim.Muon on the matrices of the blocks, AdamW on embeddings, head, norms and biases."""

    name: ClassVar[str] = "muon"
    whole: ClassVar[bool] = True
    moments: ClassVar[float] = 5.0

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
