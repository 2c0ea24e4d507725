"""`python -m limo probe [overrides]`: is this base ready for these examples? The same overrides as of `python -m limo`."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from limo import UserError, pipeline
from limo.config import describe
from limo.engine import Sampling
from limo.probe import ProbeStage
from limo.probe.text import text
from limo.records import ProbeSummary
from limo.stage import Pending, summary
from limo.store import Store


def main(arguments: Sequence[str]) -> None:
    """Raises UserError, and StageError where a stage broke off."""
    parser = argparse.ArgumentParser(
        prog="python -m limo probe",
        usage="%(prog)s [--examples N] [--samples N] [--temperature T] [--max-tokens N] [--config-dir FOLDER] [key=value …]",
        description="Measure a base before training on the examples that the same overrides of `python -m limo` select.",
    )
    parser.add_argument("--examples", type=int, default=32, help="how many of the selected examples (%(default)s)")
    parser.add_argument("--samples", type=int, default=8, help="answers of the base to each (%(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, help="of those answers (%(default)s)")
    parser.add_argument("--max-tokens", type=int, help="longest of them; by default training.max_length")
    given, overrides = parser.parse_known_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    folder = run(overrides, given.examples, given.samples, given.temperature, given.max_tokens)
    print(f"\n{text(summary(folder, ProbeSummary))}\n\nresult: {os.path.relpath(folder)}")


def run(overrides: list[str], examples: int, samples: int, temperature: float, max_tokens: int | None) -> Path:
    """The folder of the result; the stages up to the selection are made first where the store lacks them. Raises UserError."""
    from limo.compose import compose

    # training is asked for as well, so that its part of the config is there; only the way to the selection is gone
    config = compose([*overrides, "stages=[data,attempts,scores,selection,training]"])
    config = dataclasses.replace(config, stages=("data", "attempts", "scores", "selection"))
    store, training = Store(Path(config.store).absolute()), config.training
    try:
        longest = training.max_length if max_tokens is None else max_tokens
        sampling = Sampling(samples=samples, temperature=temperature, max_tokens=longest)
        stage = ProbeStage(
            examples=Pending.at("selection"),
            count=examples,
            model=config.model,
            engine=config.engine,
            sampling=sampling,
            max_length=training.max_length,
            overlong=training.overlong,
            seed=config.seed,
            store=store.root,
        )
    except ValidationError as error:
        raise UserError(describe(error)) from None
    if missing := list(dict.fromkeys([*pipeline.missing(config, store), *stage.missing()])):
        raise UserError("\n".join(missing))
    made: dict[str, Path] = {}
    pipeline.run_all(config, store, made.__setitem__)
    return pipeline.make("probe", dataclasses.replace(stage, examples=made["selection"] / "examples.jsonl"), store)
