"""Saves what a run needs to go on, at its times and when it is told to end, and measures the validation loss when it is time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning

from limo import EndedError
from limo.training.batches import Batch
from limo.training.checkpoints import (
    CHECKPOINTS,
    METRICS,
    STATE,
    Best,
    Cut,
    best,
    found,
    named,
    remove,
    seal,
    sync,
    write_best,
)
from limo.training.module import Module
from limo.training.ranks import Ranks
from limo.training.step_log import StepLog


class Saving(lightning.Callback):
    """A checkpoint at every `every` optimizer steps, or when the step log says that one is due, and at the end: written beside,
    sealed, then renamed.

    With validation batches it measures their loss first, after each epoch where `every` is None, and calls `better` where it is
    lower than ever. Once a rank was told
    to end, all save at the end of the step and raise EndedError.
    """

    def __init__(
        self,
        module: Module,
        folder: Path,
        rank: Ranks,
        cut: Cut,
        every: int | None,
        keep: int,
        step_log: StepLog,
        validation: Sequence[Batch] = (),
        better: Callable[[], None] | None = None,
    ) -> None:
        self.module = module
        self.folder = folder
        self.rank = rank
        self.cut = cut
        self.every = every
        self.keep = keep
        self.step_log = step_log
        self.validation = validation
        self.better = better

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batch_plan, step = self.module.batch_plan, trainer.global_step
        if not batch.last:
            return
        end = step == len(batch_plan.steps)
        if self.validation and (end or step % (self.every or batch_plan.per_epoch) == 0):
            self.validate(trainer, step)
        self.step_log.write(trainer)
        due = step % self.every == 0 if self.every else self.step_log.due
        if end or due or self.step_log.told:
            self.write(trainer, step)
        if self.step_log.told:
            raise EndedError(f"told to end at step {step}; the same command goes on from there")

    def validate(self, trainer: lightning.Trainer, step: int) -> None:
        """Measure the validation loss, and keep the weights where it is the lowest so far."""
        watch = self.step_log.watch
        self.step_log.row["validation_loss"] = loss = self.module.validate(watch.beating(self.validation))
        watch.beat()
        lowest = best(self.folder)
        if self.better is None or not loss < (lowest.loss if lowest else math.inf):
            return
        self.better()
        watch.beat()
        if trainer.is_global_zero:
            write_best(self.folder, Best(step, loss))
        trainer.strategy.barrier()

    def write(self, trainer: lightning.Trainer, step: int) -> None:
        folder = self.folder / CHECKPOINTS
        final = named(folder, step)
        partial = final.with_name(final.name + ".partial")
        if self.rank.first:
            folder.mkdir(parents=True, exist_ok=True)
            remove(partial)
            partial.mkdir()
            self.step_log.save(partial / METRICS)
        trainer.strategy.barrier()
        trainer.save_checkpoint(partial / STATE)
        trainer.strategy.barrier()
        self.step_log.watch.beat()
        seal(partial, self.cut, best(self.folder), self.rank)
        trainer.strategy.barrier()
        if self.rank.first:
            remove(final)
            partial.rename(final)
            sync(folder)
            for old in found(folder)[: -self.keep]:
                remove(old)
        trainer.strategy.barrier()
        self.step_log.watch.kept = step
        self.step_log.saved = time.perf_counter()
        self.step_log.watch.beat()
