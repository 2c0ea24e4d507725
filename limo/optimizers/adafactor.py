"""Adafactor (arXiv 1804.04235): little memory, by second moments in factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from limo.config import component
from limo.optimizers.base import Named, Optimizer

if TYPE_CHECKING:
    import torch


@component
class Adafactor(Optimizer):
    """torch.optim.Adafactor: second moments kept as one row and one column per matrix."""

    name: ClassVar[str] = "adafactor"
    whole: ClassVar[bool] = True
    moments: ClassVar[float] = 0.1

    def open(self, named: Named) -> torch.optim.Optimizer:
        from torch.optim import Adafactor as Live

        return Live(self.groups(named), lr=self.lr)
