"""A recipe made small: its own strategy, precision, packing, adapter, engine and suite over a few problems and a tiny model."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from limo import StageError, hardware, process
from limo.attempts import Attempts, Sieve
from limo.config import Config, component, held_to
from limo.data import Data, Decontamination, missing
from limo.engine import Forcing
from limo.models import Model
from limo.records import Problem
from limo.rehearse.start import TOKENS
from limo.training import Training
from limo.training.strategies import Single

STEPS = 4
"""Optimizer steps, with a checkpoint after each."""


@component
class Few:
    """The first problems of another source."""

    source: Annotated[Data, held_to(Data)]
    count: int

    @property
    def duplicates(self) -> str:
        return str(getattr(self.source, "duplicates", "drop"))

    @property
    def decontamination(self) -> Decontamination | None:
        rule: Decontamination | None = getattr(self.source, "decontamination", Decontamination())
        return rule and replace(rule, absent="report")

    def missing(self) -> list[str]:
        return self.source.missing()

    def problems(self) -> list[Problem]:
        return self.source.problems()[: self.count]


@dataclass(frozen=True)
class Small:
    """What is rehearsed, and what of the recipe is not."""

    config: Config
    untried: tuple[tuple[str, str], ...]
    """Piece and reason."""


def small(config: Config, lab: Config, folder: Path, count: int) -> Small:
    """The recipe with `count` problems, a tiny model in `folder`, and the lab's part in place of what is not at hand."""
    untried = [*_data(config), *_suite(config), *_hardware(config)]
    model, lacks = _model(config.model, lab.model, folder / "model", _split(config))
    untried += lacks
    data = _judged(lab.data if config.data.missing() else config.data, model)
    attempts = {name: _tried(sieve, model, count) for name, sieve in config.attempts.items()}
    readable = {n: b for n, b in config.evaluation.placed().items() if not b.source.missing()}
    judge = config.evaluation.judge and replace(config.evaluation.judge, model=model)
    evaluation = replace(
        config.evaluation,
        benchmarks={
            n: replace(b, samples=min(2, b.samples), forcing=_briefly(b.forcing))
            for n, b in (readable or lab.evaluation.benchmarks).items()
        },
        judge=judge,
        base=True,
        limit=2,
        max_tokens=TOKENS,
        forcing=_briefly(config.evaluation.forcing),
    )
    made = replace(
        config,
        store=str(folder / ".store"),
        data=Few(source=data, count=count),
        model=model,
        engine=config.engine.pick(
            config.model, config.evaluation.longest(config.model)
        ),  # the one that would serve the recipe's own model
        attempts=attempts,
        selection=replace(config.selection, size=max(1, count // 4)),
        training=_training(config.training),
        evaluation=evaluation,
        stages=("data", *(("attempts",) if attempts else ()), "scores", "selection", "training", "evaluation"),
    )
    return Small(made, tuple(untried))


def _judged(data: Data, model: Model) -> Data:
    """A source whose judge of paraphrases, where it has one, is the tiny model."""
    rule = getattr(data, "decontamination", None)
    if rule is None or rule.paraphrases is None:
        return data
    judged: Any = replace(rule, paraphrases=replace(rule.paraphrases, model=model, cosine=0.01, unknown="keep"))
    return replace(data, decontamination=judged)  # type: ignore[type-var]


def _tried(sieve: Sieve, model: Model, count: int) -> Sieve:
    """A sieve of few short tries that leaves every problem: weights by chance solve none."""
    if not isinstance(sieve, Attempts):
        return replace(sieve, keep=None)
    samples = min(2, sieve.sampling.samples)
    keep = sieve.keep and f"0..{samples} of {samples}"
    forcing = _briefly(sieve.sampling.forcing)
    sampling = replace(sieve.sampling, samples=samples, max_tokens=TOKENS, forcing=forcing)
    return replace(sieve, model=model, limit=count, keep=keep, sampling=sampling)


def _briefly(forcing: Forcing | None) -> Forcing | None:
    """Budget forcing within TOKENS, in digits, which every tokenizer can write, a stand-in's too."""
    if forcing is None:
        return None
    thinking = TOKENS // 2 if forcing.thinking else None
    waits, answer = min(1, forcing.waits), TOKENS // 4
    return replace(forcing, waits=waits, wait="1", end=None, thinking=thinking, conclusion="2", answer=answer)


def _data(config: Config) -> list[tuple[str, str]]:
    return [("data", f"{sentence} (the lab's problems stand in)") for sentence in config.data.missing()]


def _suite(config: Config) -> list[tuple[str, str]]:
    return [("benchmarks", sentence) for sentence in missing(config.evaluation.sources())]


def _hardware(config: Config) -> list[tuple[str, str]]:
    """What of the recipe's placement this machine has not."""
    lacks = []
    if not hardware.gpus():
        lacks.append(("GPUs", "this machine has none: kernels, memory and speed are not tried"))
    if (nodes := config.training.strategy.nodes) > 1:
        lacks.append(("several machines", f"training.strategy.nodes={nodes}: one is rehearsed"))
    return lacks


def _split(config: Config) -> int:
    """GPUs among which the recipe's engine cuts a model, as far as they are here."""
    longest = config.evaluation.longest(config.model)
    return (config.engine.pick(config.model, longest).tensor_parallel or 1) if hardware.gpus() else 1


def _model(asked: Model, lab: Model, folder: Path, split: int) -> tuple[Model, list[tuple[str, str]]]:
    """The recipe's architecture, tokenizer and template, small, in `folder`; what of them is not at hand is the lab's."""
    lacks = asked.missing()
    shape = asked.shape()
    sizes = None
    if lacks:
        if shape is None:
            sizes = json.loads((lab.folder() / "config.json").read_text(encoding="utf-8"))
        else:
            sizes = {k: v for k, v in dataclasses.asdict(shape).items() if v is not None}
    request: dict[str, Any] = {
        "folder": str(folder),
        "source": str(lab.local) if lacks else str(asked.here or asked.path),
        "revision": None if lacks else asked.revision,
        "sizes": sizes,
        "split": split,
    }
    path = folder.with_suffix(".json")
    path.write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-m", "limo.rehearse.weights", str(path)]
    with process.start(command, stderr=subprocess.PIPE, text=True) as child:
        _, said = child.communicate()
    if child.returncode:
        raise StageError(f"model: its architecture cannot be made small: {said.strip().splitlines()[-1]}")
    own = replace(asked, path=str(folder.absolute()), revision=None, architecture=None)
    if not lacks:
        return own, []
    why = f"{lacks[0]} (the lab's tokenizer and template stand in, the architecture is Qwen2's)"
    return replace(own, system=lab.system, chat_template=None), [("tokenizer, chat template, weights", why)]


def _training(asked: Training) -> Training:
    """The same way of training for a few steps, on as many processes as this machine has for it."""
    strategy = asked.strategy
    if not isinstance(strategy, Single):
        even = asked.micro_batch is None or asked.global_batch % (2 * asked.micro_batch) == 0
        pair = 2 if even and hardware.cores() > 1 else 1
        strategy = replace(strategy, nodes=1, devices=strategy.devices if hardware.gpus() else pair)
    return replace(
        asked,
        epochs=None,
        steps=STEPS,
        checkpoint_every=1,
        keep_after=False,
        validation=None,
        export_from="last",
        strategy=strategy,
    )
