"""The stage that trains: what it takes, what this machine lacks for it, and the process that does it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import ClassVar

from limo import UserError
from limo.config import component, runtime
from limo.hardware import gpus, memory
from limo.models import Model
from limo.optimizers import Optimizer
from limo.records import Example, read
from limo.stage import Input, Stage
from limo.training.batches import uneven
from limo.training.disk import lacking
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
    examples: Input
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
        from limo.training.fit import train

        train(self, folder)
