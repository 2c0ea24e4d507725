"""What a run would take: stages and which are in the store, tokens and steps, memory per GPU, disk, GPU hours; nothing is started."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo.config import Config
from limo.hardware import Gpu
from limo.models import Architecture
from limo.plan import cost, memory
from limo.plan.amounts import DIRECT, PROMPT, REASONER, Amounts, amounts, questions
from limo.plan.cost import Chip
from limo.plan.memory import Footprint, Setup

SMALL = 1_000_000_000
"""Weights up to which a machine without GPU is planned to do the work itself."""
REFERENCE = Gpu("H100", 80 * 2**30)
"""Planned for where no GPU is seen: the paper's."""
TOGETHER = 8
"""GPUs of a machine where none is seen."""


@dataclass(frozen=True)
class Machine:
    """What the run is planned for."""

    chip: Chip
    count: int
    """Accelerators of one machine."""
    nodes: int
    seen: bool
    """Whether they are here."""
    cpu: bool = False
    host: int = 0
    """Bytes of main memory of a machine; 0 where it is not known."""

    @property
    def all(self) -> int:
        return self.count * self.nodes

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Of one machine."""
        return () if self.cpu else (Gpu(self.chip.name, self.chip.memory),) * self.count


@dataclass(frozen=True)
class Training:
    """The training of a run."""

    strategy: str
    setup: Setup
    needs: Footprint
    fits: bool
    steps: int | None
    tokens: float | None
    """Through the model, over all epochs."""
    hours: float | None
    """GPU hours."""
    instead: str | None
    """Overrides with which it would fit, where it does not."""


@dataclass(frozen=True)
class Generation:
    """Answers that an engine has to give."""

    step: str
    weights: str
    answers: int | None
    tokens: float | None
    hours: float | None
    """GPU hours."""
    note: str


@dataclass(frozen=True)
class Plan:
    """What a run would take."""

    name: str
    shape: Architecture | None
    steps: tuple[tuple[str, bool], ...]
    """Name of each step, and whether the store has its result."""
    machine: Machine
    amounts: Amounts
    training: Training | None
    generations: tuple[Generation, ...]
    disk: dict[str, float]
    """What for -> bytes."""


def plan(config: Config, found: Mapping[str, Path | None], gpus: Sequence[Gpu], host: int = 0) -> Plan:
    """The plan of a run, from its config, the results that the store has, and the GPUs of each machine. Starts and writes nothing."""
    shape = config.model.shape() if config.model else None
    machine = _machine(config, shape, gpus, host)
    sizes = amounts(config, found)
    training = _training(config, shape, machine, sizes) if "training" in config.stages and config.training and shape else None
    generations = tuple(_generations(config, shape, machine, sizes, found))
    steps = tuple((name, place is not None) for name, place in found.items())
    return Plan(config.name, shape, steps, machine, sizes, training, generations, _disk(config, shape, training, generations, found))


def setup(config: Config, shape: Architecture, machine: Machine, longest: int | None, strategy: Any = None) -> Setup:
    """The numbers that decide the memory of this training with a strategy (its own where none is given)."""
    training = config.training
    adapter = training.adapter
    trained = memory.adapter(shape, adapter.rank, adapter.targets) if adapter else None
    strategy = strategy or training.strategy.resolve(shape.parameters, trained or shape.parameters, machine.gpus)
    stage = getattr(strategy, "stage", 0)
    local = 1 if strategy.name == "single" else strategy.devices or machine.count
    length = min(training.max_length, longest or training.max_length)
    tokens = training.micro_batch * length if training.micro_batch else training.max_tokens or training.max_length
    moments = {"AdamW8bit": 2.0, "Adafactor": 0.1, "Muon": 5.0}.get(type(config.optimizer).__name__, 8.0)
    if training.precision == "bf16-true" and not stage and moments == 8.0:
        moments = 4.0
    return Setup(
        ranks=local * strategy.nodes, local=local, stage=stage,
        offload_optimizer=getattr(strategy, "offload_optimizer", False), offload_weights=getattr(strategy, "offload_weights", False),
        precision=training.precision, trained=trained, frozen_bits=4 if adapter and adapter.quantize else 16, moments=moments,
        tokens=tokens, longest=length, checkpointing=training.activation_checkpointing, chunks=training.chunks,
        bucket=getattr(strategy, "bucket", 0), eager=config.model.attention == "eager",
    )  # fmt: skip


def fits(needs: Footprint, machine: Machine) -> bool:
    """Whether the GPU, and main memory where something is offloaded to it, hold the training."""
    room = machine.chip.memory * (1.0 if machine.cpu else cost.ROOM)
    return needs.peak * (machine.count if machine.cpu else 1) <= room and (not machine.host or needs.host <= machine.host * cost.ROOM)


def alternatives(config: Config, shape: Architecture, machine: Machine, longest: int | None) -> Iterator[tuple[str, Setup]]:
    """Ways to make a training smaller, the least intrusive first: recomputation, ZeRO, offloading, adapters, 4-bit adapters."""
    from limo.training import Lora
    from limo.training.strategies import Single, Zero

    training = config.training
    here = {"devices": training.strategy.devices, "nodes": training.strategy.nodes}
    several = machine.all > 1
    strategies: list[tuple[str, Any]] = [("", None)]
    if several:
        strategies += [("training/strategy=zero2", Zero(stage=2, **here)), ("training/strategy=zero3", Zero(stage=3, **here))]
        strategies += [("training/strategy=zero3 training.strategy.offload_optimizer=true", Zero(stage=3, offload_optimizer=True, **here))]
    offload = Zero(stage=3, offload_optimizer=True, offload_weights=True, **here)
    strategies += [("training/strategy=zero3_offload", offload)]
    for words, strategy in strategies:
        for recompute in (False, True) if not training.activation_checkpointing else (True,):
            changed = dataclasses.replace(training, activation_checkpointing=recompute)
            if words or recompute != training.activation_checkpointing:
                more = "training.activation_checkpointing=true" if recompute and not training.activation_checkpointing else ""
                yield f"{words} {more}".strip(), setup(dataclasses.replace(config, training=changed), shape, machine, longest, strategy)
    if training.adapter is None:
        for words, adapter, strategy in (
            ("training=lora training/strategy=zero3", Lora(), Zero(stage=3, **here)) if several else ("training=lora", Lora(), Single()),
            ("training=qlora training/strategy=zero2", Lora(quantize="nf4"), Zero(stage=2, **here)) if several
            else ("training=qlora", Lora(quantize="nf4"), Single()),
        ):  # fmt: skip
            changed = dataclasses.replace(training, adapter=adapter, strategy=strategy, activation_checkpointing=True)
            there = dataclasses.replace(config, training=changed)
            yield f"{words} training.activation_checkpointing=true", setup(there, shape, machine, longest)


def _machine(config: Config, shape: Architecture | None, gpus: Sequence[Gpu], host: int) -> Machine:
    strategy = config.training.strategy if config.training else None
    asked = getattr(strategy, "devices", 0)
    spread = getattr(strategy, "nodes", 1)
    if gpus:
        smallest = min(gpus, key=lambda gpu: gpu.memory)
        chip = cost.chip(smallest) or dataclasses.replace(cost.chip(REFERENCE), name=smallest.name, memory=smallest.memory)  # type: ignore[type-var]
        return Machine(chip, min(asked, len(gpus)) if asked else len(gpus), spread, seen=True, host=host)
    if shape is None or shape.parameters < SMALL:
        from limo.hardware import cores

        here = Chip("CPU", host, cost.CORE * cores(), cost.HOST / 4)
        return Machine(here, asked or 1, spread, seen=True, cpu=True, host=host)
    reference = cost.chip(REFERENCE)
    assert reference is not None
    return Machine(reference, asked or TOGETHER, spread, seen=False)


def _training(config: Config, shape: Architecture, machine: Machine, sizes: Amounts) -> Training:
    from limo.training.strategies import title

    training = config.training
    trained = memory.adapter(shape, training.adapter.rank, training.adapter.targets) if training.adapter else shape.parameters
    strategy = training.strategy.resolve(shape.parameters, trained, machine.gpus)
    values = setup(config, shape, machine, sizes.longest, strategy)
    needs = memory.footprint(shape, values)
    ok = fits(needs, machine)
    steps = training.steps
    if steps is None and sizes.examples is not None:
        steps = -(-sizes.examples // training.global_batch) * training.epochs
    rows = None if sizes.examples is None or steps is None else (
        sizes.examples * training.epochs if training.epochs else min(steps * training.global_batch, steps * sizes.examples)
    )  # fmt: skip
    tokens = None if rows is None else rows * sizes.length
    hours = None
    if tokens is not None and steps is not None:
        work = cost.training_flops(shape, tokens, sizes.length, training.adapter is None)
        seconds = work / (machine.chip.flops * (1.0 if machine.cpu else cost.USE))
        hours = (seconds + steps * cost.offloading(values, trained) * values.ranks) / 3600
    instead = None
    if not ok:
        ways = alternatives(config, shape, machine, sizes.longest)
        instead = next((words for words, other in ways if fits(memory.footprint(shape, other), machine)), None)
    return Training(title(strategy), values, needs, ok, steps, tokens, hours, instead)


def _generations(
    config: Config, shape: Architecture | None, machine: Machine, sizes: Amounts, found: Mapping[str, Path | None]
) -> Iterator[Generation]:
    """Attempts and evaluations that the store does not have."""
    if (tries := config.attempts) and "attempts" in found and found["attempts"] is None:
        who = tries.model or config.model
        problems = min(filter(None, (tries.limit, sizes.problems)), default=None)
        answers = None if problems is None else problems * tries.sampling.samples
        yield _generation("attempts", who, answers, tries.sampling.max_tokens, machine, reasons=_reasons(who))
    for step in ("evaluation/base", "evaluation/tuned"):
        if step in found and found[step] is None and config.evaluation:
            known = [(questions(b), b) for b in config.evaluation.benchmarks.values()]
            answers = sum((n or 0) * b.samples for n, b in known)
            longest = max((b.max_tokens for _, b in known), default=0)
            tuned = step.endswith("tuned")
            one = _generation(step, config.model, answers, longest, machine, reasons=tuned or _reasons(config.model))
            unknown = [name for name, b in config.evaluation.benchmarks.items() if questions(b) is None]
            yield dataclasses.replace(one, note=f"without {', '.join(unknown)}, whose size is not known") if unknown else one


def _generation(step: str, model: Any, answers: int | None, longest: int, machine: Machine, reasons: bool) -> Generation:
    length = min(longest, REASONER if reasons else DIRECT)
    shape = model.shape() if model else None
    note = f"{length:,} tokens an answer assumed"
    tokens = None if answers is None else float(answers) * length
    hours = None
    if shape and tokens is not None:
        speed = cost.tokens_per_second(shape, machine.chip, PROMPT + length)
        hours = tokens / speed * (1 if machine.cpu else cost.tensor_parallel(shape, machine.chip)) / 3600
    return Generation(step, model.path if model else "", answers, tokens, hours, note)


def _reasons(model: Any) -> bool:
    return any(word in model.path.lower() for word in ("r1", "qwq", "limo"))


def _disk(
    config: Config, shape: Architecture | None, training: Training | None, generations: Sequence[Generation], found: Mapping[str, Path | None]
) -> dict[str, float]:
    """Bytes: weights to download, checkpoints while training, exported weights, texts of answers."""
    needs: dict[str, float] = {}
    if shape and config.model.local is None:
        needs["weights from the hub"] = 2.0 * shape.parameters
    if shape and training and found.get("training") is None:
        trained = training.setup.trained or shape.parameters
        state = 12 if config.training.precision == "32-true" else 14
        needs["checkpoints while training"] = float(trained * state * (config.training.keep + 1))
        needs["exported weights"] = shape.parameters * (2.0 if config.training.export == "bfloat16" else 4.0)
    if texts := sum(g.tokens or 0 for g in generations):
        needs["answers"] = 2 * 3.5 * texts  # once in the log of completions, once in the result
    return needs
