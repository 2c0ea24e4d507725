"""`python -m limo rehearse [overrides]`: what the same overrides of `python -m limo` would do, every piece for real and tiny.

A few problems, a model of the recipe's architecture two layers deep, four optimizer steps with a kill and a resume, export, two
questions of each benchmark, the report, two steps and a start of the engine with the recipe's own weights; then a list of what held,
what failed and what could not be tried here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from limo import StageError, UserError, launch, pipeline, records, report, tasks
from limo.config import Config
from limo.records import AttemptsSummary, Example, TrainingSummary
from limo.rehearse import measured, real
from limo.rehearse.measured import UNKNOWN, Cost, Gauge
from limo.rehearse.small import STEPS, small
from limo.rehearse.start import TOKENS, StartStage
from limo.stage import Stage, request, summary
from limo.store import Store
from limo.training import TrainingStage
from limo.training.checkpoints import CHECKPOINTS, found, step_of

HELD, FAILED, UNTRIED = "held", "failed", "not tried"
EXPORTED = "{}, resumed, exported"
FULL, SERVED = "own weights, two full steps, exported", "own weights, served"
LEGEND = (
    "Seconds with the start of every process; memory of the largest process, or of the fullest GPU where one is used, as its driver "
    "says. The plan counts the work alone, without starts, libraries and exports."
)


@dataclass(frozen=True)
class Piece:
    """One line of the list."""

    name: str
    state: str
    took: Cost = UNKNOWN
    planned: Cost = UNKNOWN
    note: str = ""


@dataclass
class Rehearsal:
    """A small recipe on its way, and what came of its pieces so far."""

    config: Config
    folder: Path
    pieces: list[Piece] = field(default_factory=list)

    def run(self, own: Config) -> None:
        """Try everything, of the recipe's `own` weights what held when tiny; what fails leaves out only what needs it."""
        with suppress(StoppedError):
            self._tiny()
        if why := real.untried(own.model):
            self.pieces.append(Piece("own weights", UNTRIED, note=why))
            return
        for name, tiny, part in (
            (FULL, EXPORTED.format("training"), self._train),
            (SERVED, "evaluation/base", self._serve),
        ):
            if not any(piece.name == tiny and piece.state == HELD for piece in self.pieces):
                self.pieces.append(Piece(name, UNTRIED, note=f"{tiny} did not hold"))
                continue
            with suppress(StoppedError):
                part(own)

    def _train(self, own: Config) -> None:
        examples = records.read(self.folder / "selection/examples.jsonl", Example)
        stage = real.trained(own, examples, self.folder)

        def make(python: str) -> str:
            made = pipeline.make("training", stage, self.store, python)
            shutil.rmtree(made / "model")  # as large as the weights, and nobody asks it
            return _steps(made)

        self._own(FULL, "training", stage, make, real.planned(own, stage))

    def _serve(self, own: Config) -> None:
        longest = own.evaluation.longest(own.model) or TOKENS
        stage = StartStage(model=own.model, engine=own.engine, longest=longest, store=self.store.root)

        def make(python: str) -> str:
            said = summary(pipeline.make("start", stage, self.store, python), AttemptsSummary)
            return f"room for {longest:,} tokens, {said.tokens} answered"

        planned = measured.planned(own, self.folder).get("evaluation/base", UNKNOWN)
        self._own(SERVED, "evaluation", stage, make, Cost(bytes=planned.bytes))

    def _own(self, name: str, kind: str, stage: Stage, make: Callable[[str], str], planned: Cost) -> None:
        python = tasks.python_of(self.config, kind)
        if lacks := pipeline.lacking(stage, python):
            self.pieces.append(Piece(name, UNTRIED, note=lacks[0]))
        else:
            self._try(name, lambda: make(python), planned, stage.accelerated)

    @property
    def store(self) -> Store:
        return Store(Path(self.config.store).absolute())

    def _tiny(self) -> None:
        if not self._tasks(self.config) and any(p.name == "selection" and p.state == UNTRIED for p in self.pieces):
            from limo.compose import compose

            # weights by chance solve nothing, so a strategy that asks for right answers finds none
            every = compose(["selection=all", f"selection.size={self.config.selection.size}"]).selection
            self._tasks(replace(self.config, selection=every, attempts={}))
        if not any(piece.name == "evaluation/base" for piece in self.pieces):
            self._tasks(replace(self.config, stages=("evaluation",)))
        elif not any(piece.name.startswith("training") for piece in self.pieces):
            self._tasks(replace(self.config, stages=tuple(s for s in self.config.stages if s != "evaluation")))
        if any(piece.name.startswith("evaluation/") and piece.state == HELD for piece in self.pieces):
            self._try("report", lambda: report.publish([self.folder], self.folder) and "")

    def _tasks(self, config: Config) -> bool:
        with suppress(StoppedError):
            tasks.walk(config, self._make)
            return True
        return False

    def _make(self, name: str, stage: Stage) -> Path:
        store, python = self.store, tasks.python_of(self.config, name)
        if lacks := pipeline.lacking(stage, python):
            self.pieces.append(Piece(name, UNTRIED, note=lacks[0]))
            raise StoppedError
        if isinstance(stage, TrainingStage):
            self._try(
                f"{name}, killed after a checkpoint",
                lambda: _kill(stage, store, python),
                Cost(bytes=self._planned(name).bytes),
                stage.accelerated,
            )
        made: list[Path] = []

        def make() -> str:
            made.append(pipeline.make(name, stage, store, python))
            pipeline.link(self.folder / name, made[0])
            return _resumed(made[0]) if isinstance(stage, TrainingStage) else ""

        title = EXPORTED.format(name) if isinstance(stage, TrainingStage) else name
        self._try(title, make, self._planned(name), stage.accelerated)
        return made[0]

    def _planned(self, task: str) -> Cost:
        return measured.planned(self.config, self.folder).get(task, UNKNOWN)

    def _try(self, name: str, do: Callable[[], str], planned: Cost = UNKNOWN, accelerated: bool = False) -> None:
        with Gauge(accelerated) as gauge:
            try:
                state, note = HELD, do()
            except (UserError, StageError) as error:
                # a selection may rightly find nothing among the answers of weights by chance
                untried = name == "selection" and isinstance(error, UserError)
                state, note = UNTRIED if untried else FAILED, str(error)
        if not any(piece.name == name and piece.state == state for piece in self.pieces):
            self.pieces.append(Piece(name, state, gauge.cost, planned, note))
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
    tasks.refuse_foreign(config)
    folder = Path("outputs/rehearsals") / config.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tried = small(config, compose(["attempts=none"]), folder, given.problems)
    rehearsal = Rehearsal(tried.config, folder)
    rehearsal.run(config)
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
        if piece.state == UNTRIED:
            lines.append(f"{piece.state:<10}{piece.name}  {piece.note}")
            continue
        seconds = _beside(piece.took.seconds, piece.planned.seconds, 1, "s", 1)
        memory = _beside(piece.took.bytes, piece.planned.bytes, 2**30, "GiB", 2)
        lines.append(f"{piece.state:<10}{piece.name.ljust(wide)}  {seconds:<22}{memory:<24}{piece.note}".rstrip())
    return "\n".join([*lines, "", LEGEND])


def _beside(took: float | None, planned: float | None, size: int, unit: str, digits: int) -> str:
    """A number beside the plan's, in units of a size, as far as they are known."""
    if took is None:
        return ""
    return f"{took / size:7.{digits}f} {unit}" + ("" if planned is None else f" (plan {planned / size:.{digits}f})")


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


def _resumed(result: Path) -> str:
    """What the summary says. Raises StageError where the training began anew."""
    if "going on from step" not in (result / "log.txt").read_text(encoding="utf-8"):
        raise StageError(f"training: it began anew instead of resuming; its log is {result / 'log.txt'}")
    return _steps(result)


def _steps(result: Path) -> str:
    said = summary(result, TrainingSummary)
    on = f"{said.strategy}, {said.ranks} rank{'s' if said.ranks > 1 else ''}"
    return f"{on}, {said.steps} steps in {said.training_seconds:.1f} s, {said.memory_gib:.2f} GiB at most by torch"
