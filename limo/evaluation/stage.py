"""The evaluation stage: every benchmark of a suite asked in one start of the engine, graded, measured, written as `results.json`."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, ClassVar

from limo import Mistake, records
from limo.config import aside, choice, identity
from limo.engine import Engine
from limo.evaluation import metrics
from limo.evaluation.benchmark import Benchmark, Loaded
from limo.evaluation.grading import Case, Rules, Verdict, grade_all
from limo.models import Model
from limo.records import Attempt, Grade, Problem
from limo.stage import Stage, summarise

log = logging.getLogger(__name__)

PAPER = Rules(name="paper")
"""As LIMO's own code grades, for the column beside ours."""


@choice
class Evaluation:
    """A suite: benchmarks by name, so that one can be changed or left out from the command line."""

    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    """Name -> benchmark; `~evaluation.benchmarks.<name>` leaves one out."""
    data_dir: Path | None = aside(None)
    """A local folder with the benchmarks' files; None takes each from its pinned repository."""
    base: bool = aside(True)
    """Whether the model before training is evaluated too, where a run trains one."""
    paper_rules: bool = True
    """Whether answers are graded a second time as LIMO's own code does, for comparison with published numbers."""

    def __post_init__(self) -> None:
        if isinstance(self.data_dir, Path) and not self.data_dir.expanduser().is_dir():
            raise ValueError(f"data_dir={self.data_dir} is no folder; give the folder that holds the benchmarks' JSONL files, or null")

    def sources(self) -> dict[str, Any]:
        """Where each benchmark's questions come from, by name: what training data must not contain."""
        return {name: benchmark.at(self.data_dir).source for name, benchmark in self.benchmarks.items()}

    def placed(self) -> dict[str, Benchmark]:
        """The benchmarks, each reading from `data_dir` where that is given."""
        return {name: benchmark.at(self.data_dir) for name, benchmark in self.benchmarks.items()}

    def identity(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """What its results depend on: benchmarks with the content of their files, not where the files lie."""
        return {"benchmarks": identity(self.placed(), digest), "paper_rules": self.paper_rules}

    def missing(self) -> list[str]:
        """Which benchmarks cannot be read here, one sentence each."""
        if not self.benchmarks:
            return ["evaluation.benchmarks is empty; choose a suite (evaluation=lab) or leave evaluation out of `stages`"]
        placed = self.placed().items()
        return [f"evaluation.benchmarks.{name}: {sentence}" for name, b in placed for sentence in b.source.missing()]


@choice
class EvaluationStage(Stage):
    """Ask, grade, measure. Writes `results.json`, and per benchmark `attempts.jsonl` and `grades.jsonl`."""

    module: ClassVar[str] = "limo.evaluation"
    version: ClassVar[int] = 1

    evaluation: Evaluation
    model: Model
    engine: Any
    """An Engine."""
    seed: int = 0
    store: Path = aside(Path("outputs/.store"))
    """Where completions are kept, so that none is generated twice."""
    jobs: int = aside(0)
    """Grading processes; 0 takes one a core."""

    def missing(self) -> list[str]:
        engine: Engine = self.engine
        return [*self.evaluation.missing(), *self.model.missing(), *engine.missing(self.model)]

    def run(self, folder: Path) -> None:
        from limo.engine.sampling import Group, sample_all

        started = time.monotonic()
        suite = {name: (benchmark, load(name, benchmark)) for name, benchmark in self.evaluation.placed().items()}
        if not suite:
            raise Mistake(self.evaluation.missing()[0])
        groups = [Group(name, [(p.id, b.ask(p)) for p in loaded.problems], b.sampling) for name, (b, loaded) in suite.items()]
        answers = sample_all(self.engine, self.model, groups, self.seed, self.store)
        sampled = time.monotonic()
        attempts = dict(zip(suite, answers, strict=True))
        for name, (benchmark, loaded) in suite.items():
            complete(name, loaded.problems, attempts[name], benchmark.samples)
        grades = grade(suite, attempts, None, self.jobs)
        paper = grade(suite, attempts, PAPER, self.jobs) if self.evaluation.paper_rules else {}
        results: dict[str, Any] = {}
        summaries: dict[str, Any] = {}
        for name, (benchmark, loaded) in suite.items():
            place = folder / name
            place.mkdir(exist_ok=True)
            records.write(place / "attempts.jsonl", attempts[name])
            records.write(place / "grades.jsonl", grades[name])
            results[name] = measure(benchmark, loaded.problems, attempts[name], grades[name], paper.get(name))
            results[name]["protocol"]["system"] = self.model.system
            summaries[name] = brief(results[name], loaded, grades[name])
        overall, over = metrics.mean_of([(r["accuracy"], spread(r)) for r in results.values()])
        mean = {"accuracy": overall, "interval": [over.low, over.high]}
        product = {"model": self.model.path, "benchmarks": results, "mean": mean}
        (folder / "results.json").write_text(json.dumps(product, indent=1, ensure_ascii=False), encoding="utf-8")
        summarise(
            folder,
            model=self.model.path,
            accuracy=overall,
            interval=[over.low, over.high],
            benchmarks=summaries,
            sampling_seconds=round(sampled - started, 1),
            grading_seconds=round(time.monotonic() - sampled, 1),
        )


def load(name: str, benchmark: Benchmark) -> Loaded:
    """A benchmark's questions; how many gold answers were mended is said. Raises Mistake that names the benchmark."""
    try:
        loaded = benchmark.load()
    except Mistake as mistake:
        raise Mistake(f"evaluation.benchmarks.{name}: {mistake}") from None
    mended = ", ".join(f"{rule} {len(ids)}" for rule, ids in loaded.repairs.items())
    log.info(f"{name}: {len(loaded.problems)} questions" + (f"; gold answers mended: {mended}" if mended else ""))
    return loaded


def complete(name: str, problems: Sequence[Problem], attempts: Sequence[Attempt], samples: int) -> None:
    """Refuse a benchmark with fewer or other answers than were asked for: its numbers would be wrong without a sign."""
    found = Counter((a.problem, a.sample) for a in attempts)
    wanted = {(p.id, i) for p in problems for i in range(samples)}
    if lost := sorted(wanted - found.keys()):
        raise Mistake(
            f"{name}: {len(lost)} of {len(wanted)} answers are not there (question {lost[0][0]}, sample {lost[0][1]}); run again"
        )
    if extra := sorted(found.keys() - wanted) or sorted(key for key, times in found.items() if times > 1):
        raise Mistake(f"{name}: an answer too many (question {extra[0][0]}, sample {extra[0][1]}); the attempts are of another run")


def grade(
    suite: dict[str, tuple[Benchmark, Loaded]], attempts: dict[str, list[Attempt]], rules: Rules | None, jobs: int
) -> dict[str, list[Grade]]:
    """The grades of every attempt of a suite, from one pool of workers; by each benchmark's own rules, or all by the given ones."""
    cases: list[Case] = []
    by: list[Rules] = []
    for name, (benchmark, loaded) in suite.items():
        problems = {p.id: p for p in loaded.problems}
        for attempt in attempts[name]:
            problem = problems[attempt.problem]
            cases.append(case(problem, attempt))
            by.append(rules or own_rules(benchmark.rules, problem))
    verdicts = iter(grade_all(cases, by, jobs, title="grading" if rules is None else f"grading by {rules.name} rules"))
    return {name: [to_grade(attempt, next(verdicts)) for attempt in attempts[name]] for name in suite}


def case(problem: Problem, attempt: Attempt) -> Case:
    """What grading is given: the mended gold answer of a question and a response."""
    meta = problem.meta
    return Case(
        gold=meta.get("gold", problem.answer),
        response=attempt.text,
        answer_type=meta.get("answer_type", "auto"),
        finish=attempt.finish,
        choices=meta.get("choices"),
    )


def own_rules(rules: Rules, problem: Problem) -> Rules:
    """A benchmark's rules with the tolerance that a question states itself."""
    tolerance = problem.meta.get("tolerance")
    return rules if tolerance is None else dataclasses.replace(rules, tolerance=tolerance)


def to_grade(attempt: Attempt, verdict: Verdict) -> Grade:
    return Grade(problem=attempt.problem, sample=attempt.sample, verdict=verdict.verdict, answer=verdict.answer, rule=verdict.rule)


def measure(
    benchmark: Benchmark, problems: Sequence[Problem], attempts: Sequence[Attempt], grades: Sequence[Grade], paper: Sequence[Grade] | None
) -> dict[str, Any]:
    """All numbers of one benchmark, as they stand in `results.json`."""
    ids, k, total = [p.id for p in problems], benchmark.samples, len(attempts)
    rows = table(ids, grades)
    sure, fixed = metrics.interval(rows), metrics.fixed_interval(rows)
    finish = Counter(a.finish for a in attempts)
    verdicts = Counter(g.verdict for g in grades)
    return {
        "n": len(ids),
        "samples": k,
        "accuracy": metrics.average(rows),
        "interval": [sure.low, sure.high],
        "interval_method": sure.method,
        "fixed_interval": [fixed.low, fixed.high] if fixed else None,
        "pass": {str(j): metrics.pass_at(rows, j) for j in metrics.steps(k)},
        "maj": {},
        "finish": {reason: count / total for reason, count in sorted(finish.items())},
        "no_answer": verdicts["no_answer"] / total,
        "truncated": verdicts["truncated"] / total,
        "tokens": sum(a.tokens for a in attempts) / total,
        "repetition": sum(metrics.repeats(a.text) for a in attempts) / total,
        "detectable": metrics.detectable(rows),
        "questions": dict(zip(ids, rows, strict=True)),
        "verdicts": dict(verdicts.most_common()),
        "paper_rules": {"accuracy": metrics.average(table(ids, paper))} if paper is not None else None,
        "domain": benchmark.domain,
        "language": benchmark.language,
        "protocol": {
            **dataclasses.asdict(benchmark.sampling),
            "prompt": benchmark.prompt,
            "rules": benchmark.rules.name,
            "limit": benchmark.limit,
            "judge": benchmark.judge,
        },
    }


def table(ids: Sequence[str], grades: Sequence[Grade]) -> list[list[int]]:
    """Right (1) and wrong (0) answers: a row a question, in the order of `ids`; a column a sample."""
    rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for g in grades:
        rows[g.problem].append((g.sample, int(g.correct)))
    return [[right for _, right in sorted(rows[id_])] for id_ in ids]


def spread(result: dict[str, Any]) -> metrics.Interval:
    """The interval of a benchmark's result, from its questions."""
    return metrics.interval(list(result["questions"].values()))


def brief(result: dict[str, Any], loaded: Loaded, grades: Sequence[Grade]) -> dict[str, Any]:
    """What `summary.json` says of a benchmark: the headline, the counts, which golds were mended."""
    names = ("n", "samples", "accuracy", "interval", "verdicts", "finish", "tokens")
    return {
        **{name: result[name] for name in names},
        "rules": dict(Counter(g.rule for g in grades).most_common(20)),
        "repairs": {rule: {"count": len(ids), "questions": ids} for rule, ids in loaded.repairs.items()},
    }
