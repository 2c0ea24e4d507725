"""One training run in one folder: encode, plan, fit or go on, export, say what was done."""

from __future__ import annotations

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
import transformers
from torch.utils.data import DataLoader, IterableDataset

from limo import UserError, hardware
from limo.hardware import cores
from limo.models import load_tokenizer
from limo.placement import chip, unknown
from limo.process import die_with_parent
from limo.records import Example, read
from limo.stage import SUMMARY, summarise
from limo.training.batches import Batch, BatchPlan, Layout, batches, plan
from limo.training.callbacks import BEST, Checkpoints, Record, found, memory, remove
from limo.training.encode import Encoded, encode_all, fit
from limo.training.export import export
from limo.training.module import Module
from limo.training.needs import disk_lack
from limo.training.recipe import Training
from limo.training.stage import TrainingStage
from limo.training.strategies import Strategy, Zero, title

log = logging.getLogger(__name__)

SMALL = 5_000_000
"""Weights below which threads cost more than they give: measured on the lab's base of 0.4 million."""


class Stream(IterableDataset[Batch]):
    """The micro-batches of this rank, from where the run stands; without a length, so that Lightning counts by steps alone."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Batch]:
        return self.make()


def train(stage: TrainingStage, folder: Path) -> None:
    """Train `stage.examples`; a folder that an interrupted run left is continued from its last whole checkpoint, or is done."""
    begun = time.perf_counter()
    # torchrun gives its workers sessions of their own: killed hard, it would leave them writing into this folder
    if "TORCHELASTIC_RUN_ID" in os.environ:
        die_with_parent()
    _quiet()
    training, rank, ranks = stage.training, int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if (folder / SUMMARY).is_file():  # killed after its last word, before the result was in the store
        if rank == 0:
            _tidy(folder, training)
        return
    strategy = stage.strategy
    examples = read(stage.examples, Example)
    if not examples:
        raise UserError(f"{stage.examples}: no examples to train on; loosen the selection")
    tokenizer = load_tokenizer(stage.model)
    every = encode_all(tokenizer, stage.model, examples, stage.store / "tokens")
    encoded, overlong = fit(every, training.max_length, training.overlong)
    layout = Layout(
        training.global_batch, ranks, training.micro_batch, training.max_tokens or training.max_length, training.packing
    )
    run = plan(encoded, layout, stage.seed, training.epochs, training.steps)
    checkpoints = folder / "checkpoints"
    saved = found(checkpoints)
    start = int(saved[-1].name.rpartition("-")[2]) if saved else 0
    _same_ranks(folder, rank, {"strategy": title(strategy), "ranks": ranks, "accumulation": run.accumulation}, start)
    if rank == 0 and not start:
        (folder / BEST).unlink(missing_ok=True)  # of a run whose checkpoints are gone
    weights = _weights(stage)
    _threads(weights)
    if rank == 0 and (lack := disk_lack(stage.training, stage.optimizer, stage.model, folder, weights)):
        raise UserError(lack)

    module = Module(training, stage.model, stage.optimizer, strategy, run, ranks, stage.seed)
    save = run.per_epoch if training.checkpoint_every == "epoch" else training.checkpoint_every
    whole = next((e for e in every if e.id not in set(overlong)), every[0])
    pad = int(tokenizer.pad_token_id or 0)

    def write(name: str) -> None:
        export(module, folder, name, list(whole.tokens[:64]), whole.tokens[-1])

    rising = stage.optimizer.schedule.warming(len(run.steps))
    headline = (
        f"training: {len(encoded)} examples, {sum(len(e.tokens) for e in encoded):,} tokens "
        f"({sum(e.supervised for e in encoded):,} supervised), {len(run.steps)} steps of {training.global_batch} examples, "
        f"{run.packs} {'packs' if training.packing else 'batches'} on {ranks} process(es), {title(strategy)}, {training.precision}"
        + (f"; going on from step {start}" if start else "")
        + ("; the warm-up is not over before the last step" if rising >= len(run.steps) else "")
    )
    work = (6 if training.adapter is None else 4) * weights  # frozen weights have no gradient of their own
    record = Record(headline, folder / "metrics.csv", checkpoints, encoded, _peak(ranks), work)
    held = _validation(stage, tokenizer, {e.problem for e in examples}, layout, rank, pad)
    best = (lambda: write("best")) if training.export_from == "best" else None
    saving = Checkpoints(checkpoints, save, training.keep_checkpoints, record, held, best)
    trainer = _trainer(stage, strategy, folder, run, ranks, [record, saving])
    stream = Stream(lambda: batches(run, encoded, layout, training.reduction, pad, rank, start))
    trainer.fit(module, DataLoader(stream, batch_size=None), ckpt_path=str(saved[-1]) if saved else None)
    if trainer.global_step != len(run.steps):
        raise RuntimeError(f"training stopped at step {trainer.global_step} of {len(run.steps)}")
    if training.export_from == "last":
        write("model")
    elif rank == 0 and (folder / "best").is_dir():  # else an interrupted run came this far already
        remove(folder / "model")
        (folder / "best").rename(folder / "model")
    if rank == 0:
        _finish(stage, folder, module, run, encoded, every, overlong, time.perf_counter() - begun)
    trainer.strategy.barrier()


def _validation(
    stage: TrainingStage, tokenizer: Any, trained: set[str], layout: Layout, rank: int, pad: int
) -> list[Batch]:
    """This rank's batches of the validation examples, weighted so that their losses sum to the loss per token."""
    path = stage.training.validation
    if path is None:
        return []
    examples = read(path, Example)
    if both := sorted(trained & {e.problem for e in examples}):
        raise UserError(
            f"training.validation={path}: problem {both[0]} is trained on too ({len(both)} such); keep the sets apart"
        )
    every = encode_all(tokenizer, stage.model, examples, stage.store / "tokens")
    if all(len(e.tokens) > stage.training.max_length for e in every):
        raise UserError(
            f"training.validation={path}: every example is longer than training.max_length; give shorter ones"
        )
    encoded, long = fit(every, stage.training.max_length, "drop")
    if long and rank == 0:
        log.info(f"validation: {len(long)} of {len(every)} examples are longer than training.max_length and left out")
    whole = replace(layout, global_batch=len(encoded), micro_batch=None)
    step = plan(encoded, whole, 0, epochs=1, steps=None).steps[0]
    return [Batch(pack, encoded, step, layout.packed, "token", pad) for pack in step.packs[rank]]


def _trainer(
    stage: TrainingStage,
    strategy: Strategy,
    folder: Path,
    run: BatchPlan,
    ranks: int,
    callbacks: list[lightning.Callback],
) -> lightning.Trainer:
    training = stage.training
    how: dict[str, Any] = {"strategy": "auto", "precision": training.precision}
    if isinstance(strategy, Zero):
        from limo.training.zero import open_strategy

        how = {
            "strategy": open_strategy(
                strategy, training.precision, training.max_grad_norm, training.adapter is not None
            )
        }
    elif ranks > 1:
        from pytorch_lightning.strategies import DDPStrategy

        how["strategy"] = DDPStrategy(gradient_as_bucket_view=True)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return lightning.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=local,
        num_nodes=max(1, ranks // local),
        max_steps=len(run.steps),
        max_epochs=-1,
        accumulate_grad_batches=run.accumulation,
        callbacks=callbacks,
        logger=stage.logger.open(folder) or False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **how,
    )


def _finish(
    stage: TrainingStage,
    folder: Path,
    module: Module,
    run: BatchPlan,
    encoded: list[Encoded],
    every: list[Encoded],
    overlong: list[str],
    took: float,
) -> None:
    rows = (folder / "metrics.csv").read_text(encoding="utf-8").splitlines()
    names = rows[0].split(",")
    last = dict(zip(names, rows[-1].split(","), strict=True))
    weights, trained = module.sizes()
    seen = [place for step in run.steps for place in step.members]
    summarise(
        folder,
        examples=len(encoded),
        overlong=len(overlong),
        overlong_share=len(overlong) / len(every),
        overlong_policy=stage.training.overlong,
        longest=max(len(e.tokens) for e in encoded),
        tokens=sum(len(encoded[p].tokens) for p in seen),
        supervised_tokens=sum(encoded[p].supervised for p in seen),
        steps=len(run.steps),
        epochs=round(len(run.steps) / run.per_epoch, 3),
        packs=run.packs,
        accumulation=run.accumulation,
        ranks=module.ranks,
        strategy=title(module.strategy_config),
        parameters=weights,
        parameters_trained=trained,
        final_loss=float(last["loss"]),
        checkpoint=stage.training.export_from,
        exported_step=json.loads((folder / BEST).read_text(encoding="utf-8"))["step"]
        if stage.training.export_from == "best"
        else len(run.steps),
        memory_gib=round(memory() / 2**30, 3),
        training_seconds=float(last["seconds"]),
        seconds=round(took, 3),
    )
    _tidy(folder, stage.training)


def _tidy(folder: Path, training: Training) -> None:
    if not training.keep_after:
        remove(folder / "checkpoints")


def _weights(stage: TrainingStage) -> int:
    """Number of weights: from the architecture, else from the size of the files (two bytes each at least)."""
    if shape := stage.model.shape():
        return shape.parameters
    return sum(file.stat().st_size for file in stage.model.folder().glob("*.safetensors")) // 2


def _same_ranks(folder: Path, rank: int, now: dict[str, Any], start: int) -> None:
    """A checkpoint is cut for its number of processes: refuse to go on with another."""
    path = folder / "layout.json"
    if start and path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != now:
            raise UserError(
                f"{folder}: this run was begun with {before} and would go on with {now}; "
                "use the same, or delete its checkpoints/ to start over"
            )
    elif rank == 0:
        path.write_text(json.dumps(now), encoding="utf-8")


def _threads(weights: int) -> None:
    """On a CPU: one thread for a model too small to share out, which also makes its result the same on any number of cores."""
    if torch.cuda.is_available():
        return
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if weights < SMALL:
        torch.set_num_threads(1)
    elif local > 1 or "OMP_NUM_THREADS" not in os.environ:  # torchrun sets it to 1 for its workers
        torch.set_num_threads(max(1, cores() // local))


def _peak(ranks: int) -> float | None:
    if not torch.cuda.is_available():
        return None
    if (sheet := chip(torch.cuda.get_device_name())) is None:
        log.info(unknown(hardware.gpus()))
        return None
    return sheet.flops * ranks


def _quiet() -> None:
    """Keep the libraries' hints out of the log; what matters is said once, by us."""
    for name in (
        "pytorch_lightning",
        "lightning_fabric",
        "lightning.pytorch",
        "deepspeed",
        "DeepSpeed",
        "huggingface_hub",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*dataloader is not resumable.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*torch.distributed.*is deprecated.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists.*")
    warnings.filterwarnings("ignore", message=".*no validation.*|.*val_dataloader.*")
