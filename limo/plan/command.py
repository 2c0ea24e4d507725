"""`python -m limo plan [--gpus 8xH100] [overrides]`: what the same overrides of `python -m limo` would take."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from limo import UserError, hardware, pipeline, tasks
from limo.config import Config
from limo.hardware import Gpu
from limo.placement import SHORT, chip
from limo.plan import plan, sweep
from limo.plan.sweep import Job
from limo.plan.text import text
from limo.stage import Pending, Stage
from limo.store import Store


def main(arguments: Sequence[str]) -> None:
    """One run, or with `-m` (or a recipe that is a sweep) all of its runs. Raises UserError for a mistake in the overrides."""
    parser = argparse.ArgumentParser(
        prog="python -m limo plan",
        usage="%(prog)s [--gpus GPUS] [-m] [--config-dir FOLDER] [key=value …]",
        description="Stages, tokens, memory, disk and GPU hours of a run or a sweep (-m); starts nothing.",
    )
    parser.add_argument(
        "--gpus", help="plan for these in place of the ones seen here: 8xH100, or 4x8xH100 for four machines"
    )
    given, overrides = parser.parse_known_args(arguments)
    from limo.compose import compose, jobs

    gpus, nodes = parse(given.gpus) if given.gpus else (hardware.gpus(), 1)
    if nodes > 1:
        overrides.append(f"training.strategy.nodes={nodes}")
    host = 0 if given.gpus else hardware.memory()
    runs = jobs(overrides)
    if len(runs) == 1:
        config = compose(runs[0])
        print(text(plan(config, survey(config), gpus, host)))
        return
    planned = []
    for words in runs:
        config = compose(words)
        model = config.model.path if config.model else None
        found = survey(config)
        planned.append(Job(tuple(words), plan(config, found, gpus, host), model, identities(config, found)))
    print(sweep.text(planned))


def parse(words: str) -> tuple[tuple[Gpu, ...], int]:
    """GPUs of one machine, and how many machines: `8xH100`, `4x8xA100`, `8xA100-40` for 40 GiB each."""
    match = re.fullmatch(r"(?:(\d+)x)?(\d+)x([A-Za-z]*\d+[A-Za-z]*)(?:-(\d+))?", words)
    known = chip(match[3]) if match else None
    if not match or not known:
        raise UserError(
            f"--gpus={words}: write 8xH100 or 4x8xH100 (8xA100-40 for GPUs of 40 GiB), with one of {', '.join(SHORT)}"
        )
    memory = int(match[4]) * 2**30 if match[4] else known.memory
    return (Gpu(known.name, memory),) * int(match[2]), int(match[1] or 1)


def survey(config: Config) -> dict[str, Path | None]:
    """The tasks of a run in order, each with its result in the store, or None."""
    store, found = Store(Path(config.store).absolute()), dict[str, Path | None]()

    def look(name: str, stage: Stage) -> Path:
        found[name] = pipeline.cached(name, stage, store)
        return found[name] or Pending.at(name)

    tasks.walk(config, look)
    return found


def identities(config: Config, found: Mapping[str, Path | None]) -> dict[str, str]:
    """Task -> what tells its result from that of the same task in another run, also before it is made."""
    store, told = Store(Path(config.store).absolute()), dict[str, str]()

    def look(name: str, stage: Stage) -> Path:
        made = found[name]
        try:
            told[name] = made.name if made else pipeline.key(stage, store)
        except UserError:  # an input is not here; what is asked of it is the same for the same words
            told[name] = repr(stage)
        return made or Pending.at(name, told[name])

    tasks.walk(config, look)
    return told
