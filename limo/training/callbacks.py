"""What happens at the end of an optimizer step: a row of metrics, a check that the loss is sane, a checkpoint that is whole or absent."""

from __future__ import annotations

import csv
import json
import logging
import math
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from tqdm import tqdm

from limo import UserError
from limo.records import write_json
from limo.training.batches import Batch
from limo.training.encode import Encoded
from limo.training.module import Module
from limo.training.strategies import Zero

COLUMNS = (
    "step", "epoch", "loss", "lr", "grad_norm", "tokens", "supervised_tokens", "tokens_per_second", "memory_gib", "mfu", "seconds",
    "validation_loss",
)  # fmt: skip
log = logging.getLogger(__name__)

PREFIX = "step-"
BEST = "best.json"
"""Step and validation loss of the weights that `export_from=best` exports."""


class Record(lightning.Callback):
    """Writes `metrics.csv` (one row per optimizer step), feeds the loggers and the progress bar, stops when the loss goes wrong."""

    def __init__(
        self, headline: str, path: Path, checkpoints: Path, encoded: Sequence[Encoded], peak: float | None, flops: int
    ) -> None:
        self.headline = headline
        """What runs, in one line."""
        self.path = path
        self.checkpoints = checkpoints
        self.encoded = encoded
        self.peak = peak
        """FLOP/s that the devices of all ranks can do, where known."""
        self.flops = flops
        """FLOP of one token, forward and backward, without attention."""
        self.row: dict[str, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Module)
        run, start = pl_module.run, trainer.global_step
        self.sizes = [
            (
                sum(len(self.encoded[place].tokens) for place in step.members),
                sum(self.encoded[place].supervised for place in step.members),
            )
            for step in run.steps
        ]
        self.tokens = sum(size for size, _ in self.sizes[:start])
        self.supervised = sum(size for _, size in self.sizes[:start])
        self.begun = time.perf_counter()
        self.earlier = 0.0
        if not trainer.is_global_zero:
            return
        every, trained = pl_module.sizes()
        log.info(
            f"{self.headline}; {trained:,} of {every:,} weights trained, "
            f"about {pl_module.states() / 2**30:.1f} GiB for weights, gradients and optimizer on each process"
        )
        rows = self._before(start)
        self.earlier = float(rows[-1]["seconds"]) if rows else 0.0
        fresh = self.path.with_name(self.path.name + ".partial")
        self.handle = fresh.open("w", newline="", encoding="utf-8")
        self.table = csv.DictWriter(self.handle, COLUMNS)
        self.table.writeheader()
        self.table.writerows(rows)
        self.handle.flush()
        fresh.replace(self.path)  # the handle stays with it; a kill before the next step keeps the rows
        self.bar = tqdm(
            total=len(run.steps), initial=start, desc="training", unit="step", mininterval=1.0, dynamic_ncols=True
        )

    def _before(self, step: int) -> list[dict[str, str]]:
        """Rows of an interrupted run up to the checkpoint that this one continues from."""
        if not self.path.is_file() or step == 0:
            return []
        with self.path.open(newline="", encoding="utf-8") as handle:
            return [
                row
                for row in csv.DictReader(handle)
                if row["step"].isdigit() and int(row["step"]) <= step and row["seconds"]
            ]

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Module)
        if batch_idx % pl_module.run.accumulation == 0:
            self.before = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Module)
        if (batch_idx + 1) % pl_module.run.accumulation:
            return
        step = trainer.global_step
        loss = (
            float(trainer.strategy.reduce(pl_module.loss, reduce_op="sum"))
            if pl_module.ranks > 1
            else float(pl_module.loss)
        )
        if isinstance(pl_module.strategy_config, Zero):
            pl_module.norm = float(trainer.strategy.deepspeed_engine.get_global_grad_norm() or 0.0)  # type: ignore[attr-defined]
        done = pl_module.run.steps[step - 1]
        if not (
            math.isfinite(loss)
            and math.isfinite(pl_module.norm)
            and loss <= 3 * math.log(pl_module.causal.config.vocab_size)
        ):
            names = ", ".join(self.encoded[place].id for place in done.members)
            good = found(self.checkpoints)
            raise UserError(
                f"training: at step {step} the loss is {loss:.4g} and the gradient norm {pl_module.norm:.4g} over the examples {names}; "
                f"{f'the last checkpoint before it is {good[-1]}' if good else 'there is no checkpoint yet'}; "
                "lower optimizer.lr, or look at those examples"
            )
        now = time.perf_counter()
        size, supervised = self.sizes[step - 1]
        self.tokens += size
        self.supervised += supervised
        speed = size / (now - self.before)
        self.row = {
            "step": step,
            "epoch": round(step / pl_module.run.per_epoch, 4),
            "loss": loss,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "grad_norm": pl_module.norm,
            "tokens": self.tokens,
            "supervised_tokens": self.supervised,
            "tokens_per_second": round(speed, 1),
            "memory_gib": round(memory() / 2**30, 3),
            "mfu": round(speed * self.flops / self.peak, 4) if self.peak else "",
            "seconds": round(self.earlier + now - self.begun, 3),
            "validation_loss": "",
        }

    def write(self, trainer: lightning.Trainer) -> None:
        """Put the row of this step down; called once the checkpoint callback had its chance to add to it."""
        if not trainer.is_global_zero or not self.row:
            return
        self.table.writerow(self.row)
        self.handle.flush()
        numbers = {k: float(v) for k, v in self.row.items() if v != "" and k != "step"}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, self.row["step"])
        self.bar.set_postfix(
            {"loss": f"{self.row['loss']:.3f}", "tok/s": f"{self.row['tokens_per_second']:.0f}"}, refresh=False
        )
        self.bar.update(1)
        self.row = {}

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.close()

    def close(self) -> None:
        if hasattr(self, "handle"):
            self.handle.close()
            self.bar.close()


class Checkpoints(lightning.Callback):
    """Saves what a run needs to go on, at every `save` steps and at the end: written beside, then renamed, so it is whole or absent.

    With validation batches it measures their loss first, and calls `best` where it is lower than ever.
    """

    def __init__(
        self,
        folder: Path,
        save: int,
        keep: int,
        record: Record,
        validation: Sequence[Batch] = (),
        best: Callable[[], None] | None = None,
    ) -> None:
        self.folder = folder
        self.save = save
        self.keep = keep
        self.record = record
        self.validation = validation
        self.best = best

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Module)
        if (batch_idx + 1) % pl_module.run.accumulation:
            return
        step, due = (
            trainer.global_step,
            trainer.global_step % self.save == 0 or trainer.global_step == len(pl_module.run.steps),
        )
        if due and self.validation:
            self.record.row["validation_loss"] = loss = pl_module.validate(self.validation)
            known = self.folder.parent / BEST
            lowest = json.loads(known.read_text(encoding="utf-8"))["loss"] if known.is_file() else math.inf
            if self.best is not None and loss < lowest:
                self.best()
                if trainer.is_global_zero:
                    write_json(known, {"step": step, "loss": loss})
                trainer.strategy.barrier()
        self.record.write(trainer)
        if due:
            self.write(trainer, step)

    def write(self, trainer: lightning.Trainer, step: int) -> None:
        final = self.folder / f"{PREFIX}{step:08d}"
        partial = final.with_name(final.name + ".partial")
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove(partial)
        trainer.strategy.barrier()
        trainer.save_checkpoint(partial)
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            remove(final)
            partial.rename(final)
            for old in found(self.folder)[: -self.keep]:
                remove(old)
        trainer.strategy.barrier()


def found(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())


def remove(path: Path) -> None:
    gone = path.with_name(path.name + ".gone")
    shutil.rmtree(gone, ignore_errors=True)
    if path.is_dir():
        # renamed first: a kill in the middle must not leave a checkpoint that looks whole
        path.rename(gone)
        shutil.rmtree(gone)
    else:
        path.unlink(missing_ok=True)


def memory() -> float:
    """Peak bytes of this process: of its GPU where it has one, else resident."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
