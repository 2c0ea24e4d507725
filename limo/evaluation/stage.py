"""The evaluation stage: every benchmark of a suite asked in one start of the engine, graded, measured, written down."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, ClassVar

from limo import UserError, records
from limo.config import component, runtime
from limo.engine import Engine
from limo.evaluation import metrics, scoring
from limo.evaluation.benchmark import Benchmark, Loaded
from limo.evaluation.scoring import Asked
from limo.evaluation.suite import Evaluation
from limo.models import Model
from limo.stage import Stage, summarise

log = logging.getLogger(__name__)


@component
class EvaluationStage(Stage):
    """Ask, grade, measure. Writes `results.json`, and per benchmark `attempts.jsonl` and `grades.jsonl`."""

    module: ClassVar[str] = "limo.evaluation"
    version: ClassVar[int] = 1

    evaluation: Evaluation
    model: Model
    engine: Any
    """An Engine."""
    seed: int = 0
    jobs: int = runtime(default=0)
    """Grading processes; 0 takes one a core."""

    def missing(self) -> list[str]:
        engine: Engine = self.engine
        return [*self.evaluation.missing(), *self.model.missing(), *engine.missing(self.model)]

    def run(self, folder: Path) -> None:
        from limo.engine.sampling import Group, sample_all

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
            (folder / one.name).mkdir(exist_ok=True)
            records.write(folder / one.name / "attempts.jsonl", one.attempts)
        chosen = self.evaluation
        grades, paper = scoring.grade(asked, chosen.paper_rules, chosen.judge, self.store, self.jobs)
        results: dict[str, Any] = {}
        for one in asked:
            records.write(folder / one.name / "grades.jsonl", grades[one.name])
            found = scoring.measure(one, grades[one.name], paper.get(one.name), self.jobs)
            judge = chosen.judge.model.path if chosen.judge and one.benchmark.judge else None
            found["protocol"] |= {"system": self.model.system, "judge": judge, "seed": self.seed}
            results[one.name] = found
        overall, over = metrics.mean_of([(r["accuracy"], spread(r)) for r in results.values()])
        mean = {"accuracy": overall, "interval": [over.low, over.high]}
        product = {"model": self.model.path, "benchmarks": results, "mean": mean}
        (folder / "results.json").write_text(json.dumps(product, indent=1, ensure_ascii=False), encoding="utf-8")
        summarise(
            folder,
            model=self.model.path,
            **mean,
            benchmarks={one.name: brief(results[one.name], one.loaded) for one in asked},
            sampling_seconds=round(sampled - started, 1),
            grading_seconds=round(time.monotonic() - sampled, 1),
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


def spread(result: dict[str, Any]) -> metrics.Interval:
    """The interval of a benchmark's result, from its questions."""
    return metrics.interval(list(result["questions"].values()))


def brief(result: dict[str, Any], loaded: Loaded) -> dict[str, Any]:
    """What `summary.json` says of a benchmark: the headline, the counts, which gold answers were mended by which
    rule."""
    names = ("n", "samples", "accuracy", "interval", "verdicts", "rules", "finish", "tokens", "judge")
    repairs = {rule: {"count": len(ids), "questions": ids} for rule, ids in loaded.repairs.items()}
    return {**{name: result[name] for name in names}, "repairs": repairs, "duplicates": loaded.duplicates}
