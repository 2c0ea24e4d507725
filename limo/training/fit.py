"""One training run in one folder: prepare, fit or go on, export, say what was done."""

from __future__ import annotations

import csv
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader, IterableDataset

from limo import UserError, hardware
from limo.placement import chip, unknown
from limo.records import TrainingSummary, replacing
from limo.stage import SUMMARY, summarise
from limo.training.batches import Batch
from limo.training.checkpoints import BEST, CHECKPOINTS, METRICS, STATE, Cut, best, remove, step_of, usable
from limo.training.examples import Prepared, prepare, validation
from limo.training.export import export
from limo.training.module import Module
from limo.training.needs import disk_lack
from limo.training.ranks import Ranks, enter, share_threads
from limo.training.saving import Saving
from limo.training.step_log import StepLog, peak_memory
from limo.training.strategies import Zero, title
from limo.training.watch import Watch

if TYPE_CHECKING:
    from limo.training.stage import TrainingStage

log = logging.getLogger(__name__)


class Stream(IterableDataset[Batch]):
    """The micro-batches of this rank, from where the run stands; without a length, so that Lightning counts by steps alone."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Batch]:
        return self.make()


def train(stage: TrainingStage, folder: Path, watch: Watch) -> None:
    """Train `stage.examples`; a folder that an interrupted run left is continued from its last whole checkpoint, or is done."""
    begun, rank, training = time.perf_counter(), enter(), stage.training
    if (folder / SUMMARY).is_file():  # killed after its last word, before the result was in the store
        _tidy(stage, folder, rank)
        return
    prepared = prepare(stage, rank.count)
    cut = Cut(title(stage.strategy), rank.count)
    saved = usable(folder, cut, rank)
    watch.kept = start = step_of(saved) if saved else 0
    if rank.first:
        _restore(folder, saved)
    module = Module(training, stage.model, stage.optimizer, stage.strategy, prepared.batch_plan, rank.count, stage.seed)
    weights = _weights(stage)
    share_threads(weights, rank.local)
    if rank.first and (lack := disk_lack(training, stage.optimizer, stage.model, folder, weights)):
        raise UserError(lack)
    work = (6 if training.adapter is None else 4) * weights  # frozen weights have no gradient of their own
    headline = _headline(module, prepared, start)
    step_log = StepLog(module, headline, folder, prepared.encoded, _peak(rank.count), work, watch, training.interval)
    tried = list(prepared.every[0].tokens[:64])

    def write(name: str) -> None:
        export(module, folder, name, tried)

    asked = training.checkpoint_every
    every = asked if isinstance(asked, int) else prepared.batch_plan.per_epoch if asked == "epoch" else None
    better = (lambda: write("best")) if training.export_from == "best" else None
    held = validation(stage, prepared, rank)
    saving = Saving(module, folder, rank, cut, every, training.keep_checkpoints, step_log, held, better)
    trainer = _trainer(stage, module, folder, rank, [step_log, saving])
    stream = Stream(lambda: prepared.batches(training.reduction, rank.number, start))
    trainer.fit(module, DataLoader(stream, batch_size=None), ckpt_path=str(saved / STATE) if saved else None)
    if trainer.global_step != len(prepared.batch_plan.steps):
        raise RuntimeError(f"training stopped at step {trainer.global_step} of {len(prepared.batch_plan.steps)}")
    if training.export_from == "last":
        write("model")
    elif rank.first:
        _take_best(folder)
    if rank.first:
        _summarise(stage, folder, module, prepared, time.perf_counter() - begun)
    _tidy(stage, folder, rank)
    trainer.strategy.barrier()


def _restore(folder: Path, saved: Path | None) -> None:
    """Make the folder as it was at a checkpoint, or at the start."""
    if saved is None:
        (folder / BEST).unlink(missing_ok=True)
        return
    with replacing(folder / METRICS) as fresh:
        shutil.copyfile(saved / METRICS, fresh)


def _take_best(folder: Path) -> None:
    """The best weights are the result; an interrupted run may have come this far already."""
    if (folder / "best").is_dir():
        remove(folder / "model")
        (folder / "best").rename(folder / "model")


def _headline(module: Module, prepared: Prepared, start: int) -> str:
    """What will be done, in one line."""
    training, encoded, batch_plan = module.training_config, prepared.encoded, prepared.batch_plan
    steps, rising = len(batch_plan.steps), module.optimizer_config.schedule.warming(len(batch_plan.steps))
    return (
        f"training: {len(encoded)} examples, {sum(len(e.tokens) for e in encoded):,} tokens "
        f"({sum(e.supervised for e in encoded):,} supervised), {steps} steps of {batch_plan.sizes} examples, "
        f"{batch_plan.packs} {'packs' if training.packing else 'batches'} on {module.ranks} process(es) "
        f"({100 * batch_plan.efficiency:.0f} % of their time for examples), "
        f"{title(module.strategy_config)}, {training.precision}"
        + (f"; going on from step {start}" if start else "")
        + ("; the warm-up is not over before the last step" if rising >= steps else "")
    )


def _trainer(
    stage: TrainingStage, module: Module, folder: Path, rank: Ranks, callbacks: list[lightning.Callback]
) -> lightning.Trainer:
    training, strategy = stage.training, module.strategy_config
    how: dict[str, Any] = {"strategy": "auto", "precision": training.precision}
    if isinstance(strategy, Zero):
        from limo.training.zero import open_strategy

        frozen = training.adapter is not None
        how = {"strategy": open_strategy(strategy, training.precision, training.max_grad_norm, frozen)}
    elif rank.count > 1:
        from pytorch_lightning.strategies import DDPStrategy

        how["strategy"] = DDPStrategy(gradient_as_bucket_view=True)
    return lightning.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=rank.local,
        num_nodes=rank.nodes,
        max_steps=len(module.batch_plan.steps),
        max_epochs=-1,
        accumulate_grad_batches=module.batch_plan.accumulation,
        callbacks=callbacks,
        logger=stage.logger.open(folder) or False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **how,
    )


def _summarise(stage: TrainingStage, folder: Path, module: Module, prepared: Prepared, took: float) -> None:
    with (folder / METRICS).open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    last, epoch = rows[-1], rows[-max(1, round(prepared.batch_plan.per_epoch)) :]
    weights, trained = module.sizes()
    batch_plan, sizes = prepared.batch_plan, prepared.batch_plan.tokens(prepared.encoded)
    lowest = best(folder) if stage.training.export_from == "best" else None
    said = TrainingSummary(
        examples=len(prepared.encoded),
        overlong=len(prepared.overlong),
        overlong_share=len(prepared.overlong) / len(prepared.every),
        overlong_policy=stage.training.overlong,
        longest=max(len(e.tokens) for e in prepared.encoded),
        tokens=sum(tokens for tokens, _ in sizes),
        supervised_tokens=sum(supervised for _, supervised in sizes),
        steps=len(batch_plan.steps),
        epochs=round(len(batch_plan.steps) / batch_plan.per_epoch, 3),
        packs=batch_plan.packs,
        accumulation=batch_plan.accumulation,
        ranks=module.ranks,
        strategy=title(module.strategy_config),
        parameters=weights,
        parameters_trained=trained,
        final_loss=float(last["loss"]),
        token_accuracy=round(fmean(float(row["token_accuracy"]) for row in epoch), 5),
        checkpoint=stage.training.export_from,
        exported_step=lowest.step if lowest else len(batch_plan.steps),
        memory_gib=round(peak_memory() / 2**30, 3),
        training_seconds=float(last["seconds"]),
        seconds=round(took, 3),
    )
    summarise(folder, said)


def _tidy(stage: TrainingStage, folder: Path, rank: Ranks) -> None:
    if rank.first and not stage.training.keep_after:
        remove(folder / CHECKPOINTS)


def _weights(stage: TrainingStage) -> int:
    """Number of weights: from the architecture, else from the size of the files (two bytes each at least)."""
    if shape := stage.model.shape():
        return shape.parameters
    return sum(file.stat().st_size for file in stage.model.folder().glob("*.safetensors")) // 2


def _peak(ranks: int) -> float | None:
    if not torch.cuda.is_available():
        return None
    if (sheet := chip(torch.cuda.get_device_name())) is None:
        log.info(unknown(hardware.gpus()))
        return None
    return sheet.flops * ranks
