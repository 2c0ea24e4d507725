"""The answers that a run has to generate, and the GPU hours they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limo import hardware
from limo.attempts import Attempts
from limo.config import Config
from limo.data import guarded
from limo.engine import Engine
from limo.engine.decode import wanted
from limo.engine.transformers import Transformers
from limo.models import Model
from limo.placement import Machine, Serving, lacks, serving
from limo.plan import cost
from limo.plan.amounts import DIRECT, PROMPT, REASONER, Amounts, questions
from limo.plan.answer import Answer, answer, mean
from limo.records import SieveSummary
from limo.stage import summary

STAY = 0.5
"""Share of the problems that stay under a sieve's rule, where it is not counted yet. The paper gives none of its own (tens of millions
became 2,125 in two sieves), so this is careful: the next sieve, which costs more, is planned for many.
"""
NEAR = 0.7
"""Pairs for the judge of paraphrases a problem, where it is not known yet: what MATH500 has with other benchmarks under the shipped
settings. GSM8K's training problems have 0.08 with its test, 0.008 with competition problems.
"""
SPARED = 0.5
"""Share of the tries that stopping early spares at a problem that is left out."""


@dataclass(frozen=True)
class Generation:
    """Answers that an engine has to give in one task."""

    task: str
    model: Model
    answers: int | None
    """None where the number of questions is not known yet."""
    tokens: float | None
    hours: float | None
    """GPU hours."""
    note: str
    """What was assumed."""
    placed: Serving
    """GPUs of one engine, and engines at once, on one machine."""
    lacks: tuple[str, ...]
    """Why the model cannot be served there."""


def generations(
    config: Config, machine: Machine, sizes: Amounts, found: Mapping[str, Path | None]
) -> Iterator[Generation]:
    """Attempts, evaluations and verdicts on paraphrases whose results the store does not have."""
    yield from _pairs(config, machine, sizes, found)
    yield from _sieves(config, machine, sizes, found)
    for task in ("evaluation/base", "evaluation/tuned"):
        if config.evaluation and found.get(task, Path()) is None:
            length = _length(config.model, task.endswith("tuned"))
            suite = {name: (b, questions(b)) for name, b in config.evaluation.placed().items()}
            counts = [(n * b.samples, answer(b.sampling, length)) for b, n in suite.values() if n is not None]
            answers = sum(count for count, _ in counts)
            unknown = [name for name, (_, n) in suite.items() if n is None]
            notes = [f"without {', '.join(unknown)}, whose size is not known"] if unknown else []
            longest = config.evaluation.longest(config.model)
            yield _one(task, config.engine, config.model, longest, answers, mean(counts), machine, notes)


def _pairs(config: Config, machine: Machine, sizes: Amounts, found: Mapping[str, Path | None]) -> Iterator[Generation]:
    """What the judge of paraphrases is asked."""
    rule = getattr(config.data, "decontamination", None)
    task, judge = "paraphrases", getattr(rule, "paraphrases", None)
    looked = guarded(rule, config.evaluation.sources() if config.evaluation else {})
    if judge is not None and looked and found.get(task, Path()) is None:
        pairs, longest = (
            None if sizes.problems is None else round(NEAR * sizes.problems),
            judge.sampling.longest(judge.model),
        )
        notes, one = [f"{NEAR:g} pairs a problem assumed"], answer(judge.sampling, judge.max_tokens)
        yield _one(task, judge.engine, judge.model, longest, pairs, one, machine, notes)


def _sieves(config: Config, machine: Machine, sizes: Amounts, found: Mapping[str, Path | None]) -> Iterator[Generation]:
    """Each sieve tries what those before it left: as counted where that is in the store, else as assumed."""
    left: float | None = sizes.problems
    for name, sieve in config.attempts.items():
        task, result = f"attempts/{name}", found.get(f"grades/{name}")
        tried = left if left is None or not isinstance(sieve, Attempts) else min(left, sieve.limit or left)
        notes = []
        if result is not None:
            left = float(summary(result, SieveSummary).left)
        elif sieve.keep and tried is not None:
            left = tried * STAY
            notes = [f"{100 * STAY:.0f} % of the problems it tries are assumed to stay"]
        if isinstance(sieve, Attempts) and found.get(task, Path()) is None:
            who, sampling = sieve.model or config.model, sieve.sampling
            each = sampling.samples * (1 - (1 - STAY) * SPARED if sieve.keep and sieve.stop else 1)
            notes += [f"about {tried:,.0f} problems"] if tried is not None and tried != sizes.problems else []
            answers = None if tried is None else round(tried * each)
            one = answer(sampling, _length(who, False))
            yield _one(task, config.engine, who, sampling.longest(who), answers, one, machine, notes)


def _one(
    task: str,
    engine: Engine,
    model: Model,
    longest: int | None,
    answers: int | None,
    each: Answer,
    machine: Machine,
    more: Sequence[str] = (),
) -> Generation:
    shape = model.shape()
    placed, lack = place(engine, model, longest, machine)
    notes = [each.note, *more]
    tokens, hours = None if answers is None else answers * each.tokens, None
    if shape and machine.gpus:
        split = placed.tensor_parallel
        notes.append(f"engines of {split} GPU{'s' if split > 1 else ''}, {placed.replicas} at once")
    sheet = machine.chip if machine.gpus else cost.processor(machine)
    if shape and sheet and answers is not None and tokens is not None and not lack:
        split, length = placed.tensor_parallel, PROMPT + each.tokens
        said = tokens / cost.tokens_per_second(shape, sheet, split, length) * split
        again = cost.reading(shape, sheet, answers * each.read, length)
        starts = each.starts * 2 * shape.parameters / cost.READ * split * placed.replicas if answers else 0.0
        hours = (said + again + starts) / 3600
    return Generation(task, model, answers, tokens, hours, "; ".join(notes), placed, tuple(lack))


def place(engine: Engine, model: Model, longest: int | None, machine: Machine) -> tuple[Serving, list[str]]:
    """How a model is served on a machine for prompts and answers of so many tokens, and why it cannot be, one sentence."""
    asked = wanted(engine, model, longest, bool(machine.gpus))
    if machine.gpus == hardware.gpus() and isinstance(engine.pick(model, longest), Transformers):
        asked = replace(asked, asked=1)  # no vLLM here that could share the weights
    return serving(machine.gpus, asked), lacks(machine.gpus, machine.memory, asked)


def _length(model: Model, tuned: bool) -> int:
    """Mean tokens of an answer without a limit: long for a model that reasons at length."""
    return REASONER if tuned or model.reasons else DIRECT
