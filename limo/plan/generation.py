"""The answers that a run has to generate, and the GPU hours they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from limo.config import Config
from limo.models import Model
from limo.plan import cost
from limo.plan.amounts import DIRECT, PROMPT, REASONER, Amounts, questions
from limo.plan.machine import Machine


@dataclass(frozen=True)
class Generation:
    """Answers that an engine has to give in one step."""

    step: str
    answers: int | None
    """None where the number of questions is not known yet."""
    tokens: float | None
    hours: float | None
    """GPU hours."""
    note: str
    """What was assumed."""


def generations(
    config: Config, machine: Machine, sizes: Amounts, found: Mapping[str, Path | None]
) -> Iterator[Generation]:
    """Attempts and evaluations whose results the store does not have."""
    if config.attempts and found.get("attempts", Path()) is None:
        sampling, who = config.attempts.sampling, config.attempts.model or config.model
        problems = min(filter(None, (config.attempts.limit, sizes.problems)), default=None)
        answers = None if problems is None else problems * sampling.samples
        yield _one("attempts", who, answers, min(sampling.max_tokens, _length(who, False)), machine)
    for step in ("evaluation/base", "evaluation/tuned"):
        if config.evaluation and found.get(step, Path()) is None:
            length = _length(config.model, step.endswith("tuned"))
            suite = {name: (b, questions(b)) for name, b in config.evaluation.benchmarks.items()}
            counts = [(n * b.samples, min(b.max_tokens, length)) for b, n in suite.values() if n is not None]
            answers = sum(count for count, _ in counts)
            mean = sum(count * cut for count, cut in counts) / answers if answers else 0.0
            unknown = [name for name, (_, n) in suite.items() if n is None]
            yield _one(step, config.model, answers, mean, machine, unknown)


def _one(
    step: str, model: Model, answers: int | None, length: float, machine: Machine, unknown: list[str] | None = None
) -> Generation:
    shape = model.shape()
    notes = [f"{length:,.0f} tokens an answer"]
    notes += [f"without {', '.join(unknown)}, whose size is not known"] if unknown else []
    tokens = None if answers is None else answers * length
    hours = None
    if shape and not machine.cpu:
        split = cost.tensor_parallel(shape, machine.chip)
        engines = machine.count // split * machine.nodes
        notes.append(f"engines of {split} GPU{'s' if split > 1 else ''}, {engines} at once")
        if engines == 0:
            notes[-1] = f"needs {split} GPUs in one machine to serve its weights"
    if shape and tokens is not None:
        speed = cost.tokens_per_second(shape, machine.chip, PROMPT + length)
        hours = tokens / speed * (1 if machine.cpu else cost.tensor_parallel(shape, machine.chip)) / 3600
    note = "; ".join(notes)
    return Generation(step, answers, tokens, hours, note)


def _length(model: Model, tuned: bool) -> int:
    """Mean tokens of an answer without a limit: long for a model that reasons at length."""
    reasons = tuned or any(word in model.path.lower() for word in ("r1-", "qwq", "limo"))
    return REASONER if reasons else DIRECT
