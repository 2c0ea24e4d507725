"""Saves what a run needs to go on, and measures the validation loss when it does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning

from limo.training.batches import Batch
from limo.training.checkpoints import CHECKPOINTS, Best, best, found, named, remove, write_best
from limo.training.module import Module
from limo.training.step_log import StepLog


class Saving(lightning.Callback):
    """A checkpoint at every `every` optimizer steps and at the end: written beside, then renamed, so it is whole or absent.

    With validation batches it measures their loss first, and calls `better` where it is lower than ever.
    """

    def __init__(
        self,
        module: Module,
        folder: Path,
        every: int,
        keep: int,
        step_log: StepLog,
        validation: Sequence[Batch] = (),
        better: Callable[[], None] | None = None,
    ) -> None:
        self.module = module
        self.folder = folder
        self.every = every
        self.keep = keep
        self.step_log = step_log
        self.validation = validation
        self.better = better

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batch_plan, step = self.module.batch_plan, trainer.global_step
        if (batch_idx + 1) % batch_plan.accumulation:
            return
        due = step % self.every == 0 or step == len(batch_plan.steps)
        if due and self.validation:
            self.validate(trainer, step)
        self.step_log.write(trainer)
        if due:
            self.write(trainer, step)

    def validate(self, trainer: lightning.Trainer, step: int) -> None:
        """Measure the validation loss, and keep the weights where it is the lowest so far."""
        self.step_log.row["validation_loss"] = loss = self.module.validate(self.validation)
        lowest = best(self.folder)
        if self.better is None or not loss < (lowest.loss if lowest else math.inf):
            return
        self.better()
        if trainer.is_global_zero:
            write_best(self.folder, Best(step, loss))
        trainer.strategy.barrier()

    def write(self, trainer: lightning.Trainer, step: int) -> None:
        folder = self.folder / CHECKPOINTS
        final = named(folder, step)
        partial = final.with_name(final.name + ".partial")
        if trainer.is_global_zero:
            folder.mkdir(parents=True, exist_ok=True)
            remove(partial)
        trainer.strategy.barrier()
        trainer.save_checkpoint(partial)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            remove(final)
            partial.rename(final)
            for old in found(folder)[: -self.keep]:
                remove(old)
        trainer.strategy.barrier()
