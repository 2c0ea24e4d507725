"""`python -m limo rehearse [overrides]`: what the same overrides of `python -m limo` would do, every piece for real and tiny.

A few problems, a model of the recipe's architecture two layers deep, four optimizer steps with a kill and a resume, export, two
questions of each benchmark, the report; then a list of what held, what failed and what could not be tried here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from limo import StageError, UserError, launch, pipeline, report, tasks
from limo.config import Config
from limo.placement import Machine
from limo.records import TrainingSummary
from limo.rehearse.small import STEPS, small
from limo.stage import Stage, request, summary
from limo.store import Store
from limo.training import TrainingStage
from limo.training.checkpoints import CHECKPOINTS, found, step_of
from limo.training.needs import Needs

HELD, FAILED, UNTRIED = "held", "failed", "not tried"


@dataclass(frozen=True)
class Piece:
    """One line of the list."""

    name: str
    state: str
    seconds: float | None = None
    note: str = ""


@dataclass
class Rehearsal:
    """A small recipe on its way, and what came of its pieces so far."""

    config: Config
    folder: Path
    pieces: list[Piece] = field(default_factory=list)

    def run(self) -> None:
        """Try everything; what fails leaves out only what needs it."""
        if not self._tasks(self.config) and any(p.name == "selection" and p.state == UNTRIED for p in self.pieces):
            from limo.compose import compose

            # weights by chance solve nothing, so a strategy that asks for right answers finds none
            every = compose(["selection=all", f"selection.size={self.config.selection.size}"]).selection
            self._tasks(replace(self.config, selection=every, attempts={}))
        if not any(piece.name == "evaluation/base" for piece in self.pieces):
            self._tasks(replace(self.config, stages=("evaluation",)))
        if any(piece.name.startswith("evaluation/") and piece.state == HELD for piece in self.pieces):
            self._try("report", lambda: report.publish([self.folder], self.folder) and "")

    def _tasks(self, config: Config) -> bool:
        with suppress(StoppedError):
            tasks.walk(config, self._make)
            return True
        return False

    def _make(self, name: str, stage: Stage) -> Path:
        store = Store(Path(self.config.store).absolute())
        if lacks := stage.missing():
            self.pieces.append(Piece(name, UNTRIED, note=lacks[0]))
            raise StoppedError
        python = self.config.python.get(tasks.stage_name(name)) or sys.executable
        if isinstance(stage, TrainingStage):
            self._try(f"{name}, killed after a checkpoint", lambda: _kill(stage, store, python))
        made: list[Path] = []

        def make() -> str:
            made.append(pipeline.make(name, stage, store, python))
            pipeline.link(self.folder / name, made[0])
            return _resumed(stage, made[0]) if isinstance(stage, TrainingStage) else ""

        self._try(f"{name}, resumed, exported" if isinstance(stage, TrainingStage) else name, make)
        return made[0]

    def _try(self, name: str, do: Callable[[], str]) -> None:
        started = time.monotonic()
        try:
            state, note = HELD, do()
        except (UserError, StageError) as error:
            # a selection may rightly find nothing among the answers of weights by chance
            untried = name == "selection" and isinstance(error, UserError)
            state, note = UNTRIED if untried else FAILED, str(error)
        if not any(piece.name == name and piece.state == state for piece in self.pieces):
            self.pieces.append(Piece(name, state, time.monotonic() - started, note))
        if state != HELD:
            raise StoppedError


class StoppedError(Exception):
    """What a later piece needs is not there."""


def main(arguments: Sequence[str]) -> None:
    """Raises UserError for a mistake in the overrides, StageError where a piece failed."""
    parser = argparse.ArgumentParser(
        prog="python -m limo rehearse",
        usage="%(prog)s [--problems N] [--config-dir FOLDER] [key=value …]",
        description="Every piece of a recipe for real and tiny, in minutes, on this machine.",
    )
    parser.add_argument("--problems", type=int, default=16, help="how many of the pool (%(default)s)")
    given, overrides = parser.parse_known_args(arguments)
    from limo.compose import compose

    if given.problems < 2:
        raise UserError(f"--problems {given.problems}: it takes 2 or more to train and select")
    config = compose(overrides)
    folder = Path("outputs/rehearsals") / config.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tried = small(config, compose(["attempts=none"]), folder, given.problems)
    rehearsal = Rehearsal(tried.config, folder)
    with suppress(StoppedError):
        rehearsal.run()
    pieces = [*rehearsal.pieces, *(Piece(name, UNTRIED, note=why) for name, why in tried.untried)]
    print(table(pieces))
    print(f"\nrehearsal: {os.path.relpath(folder)}")
    if failed := [piece.name for piece in pieces if piece.state == FAILED]:
        raise StageError(f"{len(failed)} of {len(rehearsal.pieces)} pieces failed: {', '.join(failed)}")


def table(pieces: Sequence[Piece]) -> str:
    """The list, what could not be tried last."""
    wide = max(len(piece.name) for piece in pieces if piece.state != UNTRIED)
    lines = []
    for piece in pieces:
        took = "" if piece.seconds is None else f"{piece.seconds:6.1f} s"
        name = piece.name.ljust(wide) if piece.state != UNTRIED else piece.name
        lines.append(f"{piece.state:<10}{name}  {took}{'  ' if took and piece.note else ''}{piece.note}".rstrip())
    return "\n".join(lines)


def _kill(stage: TrainingStage, store: Store, python: str) -> str:
    """Start a training and end it the hard way once a checkpoint is whole."""
    with store.building("training", pipeline.key(stage, store)) as (folder, _):
        request(stage, folder)
        child = launch.start(stage, folder, python)
        while child.poll() is None and not found(folder / CHECKPOINTS):
            time.sleep(0.05)
        if child.poll() is not None:
            raise StageError(f"training broke off (exit code {child.returncode}); its log is {folder / 'log.txt'}")
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return f"step {max(map(step_of, found(folder / CHECKPOINTS)))} of {STEPS}"


def _resumed(stage: TrainingStage, result: Path) -> str:
    """What the summary says beside the plan. Raises StageError where the training began anew."""
    if "going on from step" not in (result / "log.txt").read_text(encoding="utf-8"):
        raise StageError(f"training: it began anew instead of resuming; its log is {result / 'log.txt'}")
    said, shape = summary(result, TrainingSummary), stage.model.shape()
    if shape is None:
        return ""
    planned = Needs(stage.training, stage.optimizer, shape, False, Machine.here()).memory
    return f"{said.strategy}, {said.ranks} ranks, {said.memory_gib:.2f} GiB at most (the plan: {planned.peak / 2**30:.2f} beside libraries)"
