"""What an optimizer step leaves: a row of `metrics.csv`, numbers for the loggers and the bar, and a check that the loss is sane."""

from __future__ import annotations

import csv
import logging
import math
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import pytorch_lightning as lightning
import torch
from tqdm import tqdm

from limo import UserError
from limo.models.encode import Encoded
from limo.records import replacing
from limo.training.checkpoints import CHECKPOINTS, METRICS, found
from limo.training.module import Module
from limo.training.watch import Watch

COLUMNS = (
    *("step", "epoch", "loss", "token_accuracy", "lr", "grad_norm", "tokens", "supervised_tokens"),
    *("tokens_per_second", "memory_gib", "mfu", "seconds", "validation_loss"),
)
log = logging.getLogger(__name__)


class StepLog(lightning.Callback):
    """Writes `metrics.csv` (one row per optimizer step), feeds the loggers and the progress bar, stops when the loss goes wrong."""

    def __init__(
        self,
        module: Module,
        headline: str,
        folder: Path,
        encoded: Sequence[Encoded],
        peak: float | None,
        flops: int,
        watch: Watch,
        interval: float | None,
    ) -> None:
        self.module = module
        self.headline = headline
        """What runs, in one line."""
        self.path = folder / METRICS
        self.encoded = encoded
        self.peak = peak
        """FLOP/s that the devices of all ranks can do, where known."""
        self.flops = flops
        """FLOP of one token, forward and backward, without attention."""
        self.sizes = module.batch_plan.tokens(encoded)
        self.watch = watch
        self.interval = interval
        """Seconds from one checkpoint to the next, where they are counted so."""
        self.row: dict[str, float | str] = {}
        self.rows: list[dict[str, Any]] = []
        """Of every step, on the first rank."""
        self.told = False
        """Whether a rank was told to end before the end of this step: the same on all."""
        self.due = False
        """Whether the first rank's clock says that a checkpoint is due: the same on all."""

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        start = trainer.global_step
        self.watch.begin(start)
        self.tokens = sum(size for size, _ in self.sizes[:start])
        self.supervised = sum(size for _, size in self.sizes[:start])
        self.begun = self.saved = time.perf_counter()
        self.earlier = 0.0
        if not trainer.is_global_zero:
            return
        every, trained = self.module.sizes()
        log.info(
            f"{self.headline}; {trained:,} of {every:,} weights trained, "
            f"about {self.module.states() / 2**30:.1f} GiB for weights, gradients and optimizer on each process"
        )
        if start:  # there are the rows of the checkpoint
            with self.path.open(newline="", encoding="utf-8") as handle:
                self.rows = list(csv.DictReader(handle))
            self.earlier = float(self.rows[-1]["seconds"])
        self._open()
        total = len(self.module.batch_plan.steps)
        self.bar = tqdm(total=total, initial=start, desc="training", unit="step", mininterval=1.0, dynamic_ncols=True)

    def _open(self) -> None:
        """Begin the table with the rows there are; its handle stays with it, and a kill before the next step keeps them."""
        with replacing(self.path) as fresh:
            self.handle, self.table = self._table(fresh)

    def _table(self, path: Path) -> tuple[TextIO, csv.DictWriter[str]]:
        handle = path.open("w", newline="", encoding="utf-8")
        table = csv.DictWriter(handle, COLUMNS)
        table.writeheader()
        table.writerows(self.rows)
        handle.flush()
        return handle, table

    def save(self, path: Path) -> None:
        """Write the table as far as it is, for a checkpoint."""
        self._table(path)[0].close()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch.first:
            self.before = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.watch.beat()
        if not batch.last:
            return
        own = self.module.loss
        since = time.perf_counter() - self.saved
        late = trainer.is_global_zero and self.interval is not None and since > self.interval
        parts = (own, self.module.hits, own.new_tensor(float(self.watch.told)), own.new_tensor(float(late)))
        loss, hits, told, due = self.module.over_ranks(*parts)
        step, norm, self.told, self.due = trainer.global_step, self.module.grad_norm(), told > 0, due > 0
        self.refuse_divergence(step, loss, norm)
        now = time.perf_counter()
        self.watch.step(now - self.before)
        size, supervised = self.sizes[step - 1]
        self.tokens += size
        self.supervised += supervised
        speed = size / (now - self.before)
        self.row = {
            "step": step,
            "epoch": round(step / self.module.batch_plan.per_epoch, 4),
            "loss": loss,
            "token_accuracy": round(hits, 5),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "grad_norm": norm,
            "tokens": self.tokens,
            "supervised_tokens": self.supervised,
            "tokens_per_second": round(speed, 1),
            "memory_gib": round(peak_memory() / 2**30, 3),
            "mfu": round(speed * self.flops / self.peak, 4) if self.peak else "",
            "seconds": round(self.earlier + now - self.begun, 3),
            "validation_loss": "",
        }

    def refuse_divergence(self, step: int, loss: float, norm: float) -> None:
        """Raise UserError where a step's loss or gradient norm is no number, or the loss far above that of a guess."""
        highest = 3 * math.log(self.module.causal.config.vocab_size)
        if math.isfinite(loss) and math.isfinite(norm) and loss <= highest:
            return
        names = ", ".join(self.encoded[place].id for place in self.module.batch_plan.steps[step - 1].members)
        good = found(self.path.parent / CHECKPOINTS)
        before = f"the last checkpoint before it is {good[-1]}" if good else "there is no checkpoint yet"
        raise UserError(
            f"training: at step {step} the loss is {loss:.4g} and the gradient norm {norm:.4g} over the examples {names}; "
            f"{before}; lower optimizer.lr, or look at those examples"
        )

    def write(self, trainer: lightning.Trainer) -> None:
        """Put the row of this step down; called once the checkpoint callback had its chance to add to it."""
        if not trainer.is_global_zero or not self.row:
            return
        self.rows.append(self.row)
        self.table.writerow(self.row)
        self.handle.flush()
        numbers = {k: float(v) for k, v in self.row.items() if v != "" and k != "step"}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, int(self.row["step"]))
        said = {"loss": f"{numbers['loss']:.3f}", "tok/s": f"{numbers['tokens_per_second']:.0f}"}
        self.bar.set_postfix(said, refresh=False)
        self.bar.update(1)
        self.row = {}

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.watch.finish()
        self.close()
        if trainer.is_global_zero and not self.path.is_file():  # somebody deleted the store meanwhile
            self.save(self.path)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.close()

    def close(self) -> None:
        if hasattr(self, "handle"):
            self.handle.close()
            self.bar.close()


def peak_memory() -> float:
    """Peak bytes of this process: of its GPU where it has one, else resident."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
