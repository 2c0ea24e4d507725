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
from limo.stage import Input, Stage
from limo.training import needs
from limo.training.loggers import Csv
from limo.training.recipe import Training
from limo.training.strategies import Strategy, Zero, plain_update, title
from limo.training.watch import Watch


@component
class TrainingStage(Stage):
    """Examples in, `model/` (Hugging Face folder) and `metrics.csv` out."""

    module: ClassVar[str] = "limo.training"
    version: ClassVar[int] = 3
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ("model", "metrics.csv")

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

    @property
    def environment(self) -> dict[str, str]:
        grows = self.training.expandable_segments and hardware.gpus()
        return {"PYTORCH_ALLOC_CONF": "expandable_segments:True"} if grows else {}

    def missing(self) -> list[str]:
        how, strategy = self.training, self.strategy
        here = Machine.here(self.nodes)
        # what a training that broke off holds is there to go on from, or to be written over
        held = sum(f.stat().st_size for f in self.store.glob("training/*.partial/**/*") if f.is_file())
        return [
            *strategy.missing(),
            *self.optimizer.missing(),
            *self.logger.missing(),
            *self.model.missing(training=True),
            *(how.adapter.missing() if how.adapter else []),
            *_cannot_split(strategy, self.optimizer, how),
            *_validation(how.validation),
            *_kernels(how, self.model),
            *needs.lacks(how, self.optimizer, self.model, here, self.store, hardware.free_disk(self.store) + held),
        ]

    def notes(self) -> list[str]:
        shape, longest, strategy = self.model.shape(), self.training.max_length, self.strategy
        away = isinstance(strategy, Zero) and strategy.offload_optimizer and hardware.gpus()
        said = [plain] if away and (plain := plain_update(self.optimizer)) else []
        if shape is None or longest <= shape.max_position_embeddings:
            return said
        return [
            *said,
            f"training.max_length={longest:,} is beyond the context of {self.model.path}, {shape.max_position_embeddings:,} tokens: "
            "longer examples train positions that the model does not know",
        ]

    @property
    def grace(self) -> float:
        return self.training.grace

    def run(self, folder: Path) -> None:
        with Watch(folder, self.training.grace, self.training.patience) as watch:
            from limo.training.fit import train  # takes long enough to be told to end meanwhile

            train(self, folder, watch)


def _cannot_split(strategy: Strategy, optimizer: Optimizer, how: Training) -> list[str]:
    """What ZeRO would cut up and must not."""
    if not isinstance(strategy, Zero):
        return []
    lacks, named = [], f"training/strategy={title(strategy)}"
    if optimizer.whole:
        lacks.append(
            f"optimizer={optimizer.title} works on whole matrices, which {named} cuts up; "
            "choose training/strategy=ddp or optimizer=adamw"
        )
    if strategy.stage == 3 and how.adapter is not None and how.adapter.quantize:
        lacks.append(f"training=qlora: {named} cannot split 4-bit weights; choose zero2, ddp or single")
    return lacks


def _validation(path: Path | None) -> list[str]:
    """Whether there are examples to measure the validation loss on."""
    try:
        if path is None or read(path, Example):
            return []
    except UserError as mistake:
        return [f"training.validation: {mistake}"]
    return [f"training.validation={path}: no examples in it; give others, or null"]


def _kernels(how: Training, model: Model) -> list[str]:
    """What is asked for and not installed, or cannot compute in this precision."""
    flash, lacks = "model.attention=flash_attention_2", []
    if how.liger and importlib.util.find_spec("liger_kernel") is None:
        lacks.append("training.liger=true: liger-kernel is not installed; pip install liger-kernel, or set it to false")
    if model.attention != "flash_attention_2":
        return lacks
    if how.precision == "32-true":
        lacks.append(f"{flash} has no float32; set training.precision=bf16-mixed, or model.attention=auto")
    if not hardware.installed("flash-attn"):  # a module flash_attn may be that of flash-attn-4
        lacks.append(f"{flash}: flash-attn is not installed; install it, or set model.attention=auto")
    return lacks
