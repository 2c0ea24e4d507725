"""The stage that trains: what it takes, what this machine lacks for it, and the process that does it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import ClassVar

from limo import UserError, hardware
from limo.config import component, runtime
from limo.models import Model
from limo.optimizers import Optimizer
from limo.placement import Machine
from limo.records import Example, read
from limo.stage import Stage
from limo.training import needs
from limo.training.loggers import Csv
from limo.training.recipe import Training
from limo.training.strategies import Strategy, Zero, title


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
        here = Machine.here(self.nodes)
        return [*lacks, *needs.lacks(how, self.optimizer, self.model, here, self.store, hardware.free_disk(self.store))]

    def run(self, folder: Path) -> None:
        from limo.training.fit import train

        train(self, folder)
