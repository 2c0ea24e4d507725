"""The evaluation stage: every benchmark of a suite asked in one start of the engine, graded, measured, written down."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

from limo import UserError, records, statistics
from limo.config import component, runtime
from limo.engine import Engine
from limo.evaluation import scoring
from limo.evaluation.benchmark import Benchmark, Loaded
from limo.evaluation.scoring import Asked
from limo.evaluation.suite import Evaluation
from limo.models import Model
from limo.records import ANSWERS, RESULTS, EvaluationSummary, Protocol, Results, write_results
from limo.stage import Stage, summarise

log = logging.getLogger(__name__)


@component
class EvaluationStage(Stage):
    """Ask, grade, measure. Writes `results.json`, and per benchmark `answers.jsonl`, a row for each answer."""

    module: ClassVar[str] = "limo.evaluation"
    version: ClassVar[int] = 4
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ("results.json",)

    evaluation: Evaluation
    model: Model
    engine: Engine
    seed: int = 0
    jobs: int = runtime(default=0)
    """Grading processes; 0 takes one a core."""

    def missing(self) -> list[str]:
        serves = self.engine.missing(self.model, self.evaluation.longest(self.model))
        return [*self.evaluation.missing(), *self.model.missing(), *serves]

    def notes(self) -> list[str]:
        said = defaultdict(list)
        for name, benchmark in self.evaluation.benchmarks.items():
            for note in benchmark.sampling.beyond(self.model):
                said[note].append(name)
        return [f"evaluation ({', '.join(names)}): {note}" for note, names in said.items()]

    def run(self, folder: Path) -> None:
        from limo.engine.asking import Group
        from limo.engine.sampling import sample_all

        started = time.monotonic()
        suite = {name: (b, load(name, b)) for name, b in self.evaluation.placed().items()}
        if not suite:
            raise UserError(self.evaluation.missing()[0])
        groups = [Group(n, [(p.id, b.ask(p)) for p in loaded.problems], b.sampling) for n, (b, loaded) in suite.items()]
        answers = sample_all(self.engine, self.model, groups, self.seed, self.store)
        sampled = time.monotonic()
        asked = [Asked(name, *suite[name], attempts) for name, attempts in zip(suite, answers, strict=True)]
        for one in asked:
            one.check()
        grades, paper = scoring.grade(asked, self.evaluation.paper_rules, self.evaluation.judge, self.store, self.jobs)
        for one in asked:
            (folder / one.name).mkdir(exist_ok=True)
            records.write(folder / one.name / ANSWERS, scoring.answers(one, grades[one.name]))
        found = {
            one.name: scoring.measure(
                one, grades[one.name], paper.get(one.name), self.protocol(one.benchmark), self.jobs
            )
            for one in asked
        }
        mean, over = statistics.mean_of([(result.accuracy, result.interval) for result in found.values()])
        write_results(folder / RESULTS, Results(self.model.path, found, mean, over, self.model.context))
        said = EvaluationSummary(
            model=self.model.path,
            accuracy=mean,
            interval=over,
            benchmarks={name: loaded.mended() for name, (_, loaded) in suite.items()},
            sampling_seconds=round(sampled - started, 1),
            grading_seconds=round(time.monotonic() - sampled, 1),
        )
        summarise(folder, said)

    def protocol(self, benchmark: Benchmark) -> Protocol:
        """How a benchmark is asked and graded here."""
        judge = self.evaluation.judge
        return Protocol(
            **dataclasses.asdict(benchmark.sampling),
            prompt=benchmark.prompt,
            system=self.model.system,
            rules=benchmark.rules.name,
            judge=judge.model.path if judge and benchmark.judge else None,
            shuffle=benchmark.shuffle,
            limit=benchmark.limit,
            seed=self.seed,
        )


def load(name: str, benchmark: Benchmark) -> Loaded:
    """A benchmark's questions; how many gold answers were mended is said. Raises UserError that names the benchmark."""
    try:
        loaded = benchmark.load()
    except UserError as mistake:
        raise UserError(f"evaluation.benchmarks.{name}: {mistake}") from None
    mended = ", ".join(f"{rule} {len(ids)}" for rule, ids in loaded.repairs.items())
    log.info(f"{name}: {len(loaded.problems)} questions" + (f"; gold answers mended: {mended}" if mended else ""))
    return loaded
