"""From a suite's attempts to its numbers: grade by the rules, ask the judge, measure."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limo import UserError, statistics
from limo.evaluation import judge, votes
from limo.evaluation.benchmark import Benchmark, Loaded
from limo.grading import Rules, grade_all
from limo.grading.stage import case
from limo.records import Answer, Attempt, BenchmarkResult, Grade, Judged, Position, Problem, Protocol

PAPER = Rules(name="paper")
"""As LIMO's own code grades, for the column beside ours."""


@dataclass(frozen=True)
class Asked:
    """One benchmark of a suite with the answers of a model."""

    name: str
    benchmark: Benchmark
    loaded: Loaded
    attempts: list[Attempt]

    @property
    def problems(self) -> dict[str, Problem]:
        return {p.id: p for p in self.loaded.problems}

    def check(self) -> None:
        """Refuse fewer or other answers than were asked for: numbers would be wrong without a sign."""
        found = Counter((a.problem, a.sample) for a in self.attempts)
        wanted = {(p.id, i) for p in self.loaded.problems for i in range(self.benchmark.samples)}
        if lost := sorted(wanted - found.keys()):
            question, sample = lost[0]
            raise UserError(
                f"{self.name}: {len(lost)} of {len(wanted)} answers are not there (question {question}, sample {sample}); run "
                "again to generate them"
            )
        if extra := sorted(found.keys() - wanted) or sorted(key for key, times in found.items() if times > 1):
            question, sample = extra[0]
            raise UserError(f"{self.name}: question {question} has an answer too many (sample {sample}); evaluate anew")


Grades = dict[str, list[Grade]]
"""Benchmark -> a grade for each of its attempts, in their order."""


def grade(
    suite: Sequence[Asked], paper: bool, helper: judge.Judge | None, store: Path, jobs: int
) -> tuple[Grades, Grades]:
    """The grades of every attempt by each benchmark's own rules and its judge; and, where `paper`, as LIMO's own code
    grades.

    One pool of workers for all. LIMO's code reads the gold answers as their files have them, and has no judge here.
    """
    asked = [
        (one.benchmark, problems[a.problem], a) for one in suite for problems in [one.problems] for a in one.attempts
    ]
    cases = [case(problem, attempt) for _, problem, attempt in asked]
    by = [own_rules(benchmark.rules, problem) for benchmark, problem, _ in asked]
    if paper:
        golds = [problem.gold.published or problem.answer for _, problem, _ in asked]
        cases += [dataclasses.replace(one, gold=gold) for one, gold in zip(cases, golds, strict=True)]
        by += [PAPER] * len(asked)
    verdicts = grade_all(cases, by, jobs, title="grading")
    ours, theirs = verdicts[: len(asked)], verdicts[len(asked) :]
    if helper is not None:
        open_ = [i for i, (benchmark, _, _) in enumerate(asked) if benchmark.judge]
        questions = [asked[i][1].question for i in open_]
        judged = judge.regrade(helper, questions, [cases[i] for i in open_], [ours[i] for i in open_], store)
        for i, verdict in zip(open_, judged, strict=True):
            ours[i] = verdict
    return _by_benchmark(suite, ours), _by_benchmark(suite, theirs) if paper else {}


def _by_benchmark(suite: Sequence[Asked], grades: Iterable[Grade]) -> Grades:
    each = iter(grades)
    return {asked.name: list(itertools.islice(each, len(asked.attempts))) for asked in suite}


def own_rules(rules: Rules, problem: Problem) -> Rules:
    """A benchmark's rules with the tolerance that a question states itself."""
    tolerance = problem.gold.tolerance
    return rules if tolerance is None else dataclasses.replace(rules, tolerance=tolerance)


def measure(
    asked: Asked, grades: Sequence[Grade], paper: Sequence[Grade] | None, protocol: Protocol, jobs: int
) -> BenchmarkResult:
    """All numbers of one benchmark, as they stand in `results.json`."""
    attempts, total = asked.attempts, len(asked.attempts)
    ids = [p.id for p in asked.loaded.problems]
    rows = table(ids, grades)
    verdicts = Counter(g.verdict for g in grades)
    return BenchmarkResult(
        answers={id_: tuple(row) for id_, row in zip(ids, rows, strict=True)},
        accuracy=statistics.average(rows),
        interval=statistics.interval(rows),
        fixed_interval=statistics.fixed_interval(rows),
        detectable=statistics.detectable(rows),
        pass_at={j: statistics.pass_at(rows, j) for j in statistics.powers(asked.benchmark.samples)},
        majority=majorities(asked, grades, rows, jobs),
        paper_accuracy=None if paper is None else statistics.average(table(ids, paper)),
        verdicts=dict(verdicts.most_common()),
        rules=dict(Counter(g.rule for g in grades).most_common()),
        finish={reason: count / total for reason, count in sorted(Counter(a.finish for a in attempts).items())},
        no_answer=verdicts["no_answer"] / total,
        truncated=verdicts["truncated"] / total,
        repetition=sum(statistics.repeats(a.text) for a in attempts) / total,
        tokens=sum(a.tokens for a in attempts) / total,
        judge=judged(ids, grades),
        positions=positions(asked, grades),
        domain=asked.benchmark.domain,
        language=asked.benchmark.language,
        protocol=protocol,
    )


def answers(asked: Asked, grades: Sequence[Grade]) -> list[Answer]:
    """Every answer with its question and its verdict, one row each, in the order of the attempts."""
    problems = asked.problems
    return [
        Answer(
            benchmark=asked.name,
            problem=a.problem,
            sample=a.sample,
            question=problems[a.problem].question,
            gold=problems[a.problem].gold,
            response=a.text,
            answer=g.answer,
            verdict=g.verdict,
            correct=g.correct,
            rule=g.rule,
            finish=a.finish,
            prompt_tokens=a.prompt_tokens,
            tokens=a.tokens,
            seed=a.seed,
        )
        for a, g in zip(asked.attempts, grades, strict=True)
    ]


def table(ids: Sequence[str], grades: Sequence[Grade]) -> list[list[int]]:
    """Right (1) and wrong (0) answers: a row a question, in the order of `ids`; a column a sample."""
    rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for g in grades:
        rows[g.problem].append((g.sample, int(g.correct)))
    return [[right for _, right in sorted(rows[id_])] for id_ in ids]


def majorities(asked: Asked, grades: Sequence[Grade], rows: statistics.Table, jobs: int) -> dict[int, float]:
    """maj@j at powers of two and at k; nothing with one sample a question."""
    if asked.benchmark.samples < 2:
        return {}
    classes = votes.classes(asked.loaded.problems, grades, asked.benchmark.rules, jobs)
    kinds = [classes[p.id] for p in asked.loaded.problems]
    return {j: statistics.majority(kinds, rows, j) for j in statistics.powers(asked.benchmark.samples) if j > 1}


def judged(ids: Sequence[str], grades: Sequence[Grade]) -> Judged | None:
    """How often the judge was asked, agreed, gave no verdict; and the accuracy without it. None where it was not
    asked."""
    asked = [g for g in grades if g.verdict.startswith("judge_")]
    if not asked:
        return None
    without = [dataclasses.replace(g, verdict="wrong") if g.verdict == "judge_correct" else g for g in grades]
    return Judged(
        asked=len(asked),
        accepted=sum(g.correct for g in asked),
        no_verdict=sum(g.rule == "judge, no verdict" for g in asked),
        accuracy_without=statistics.average(table(ids, without)),
    )


def positions(asked: Asked, grades: Sequence[Grade]) -> dict[str, Position] | None:
    """Accuracy by the place of the right option, where options were shuffled: a preference for a letter shows here."""
    if asked.benchmark.shuffle is None:
        return None
    place = {p.id: p.answer for p in asked.loaded.problems}
    found: dict[str, list[int]] = defaultdict(list)
    for g in grades:
        found[place[g.problem]].append(int(g.correct))
    return {at: Position(len(row), sum(row) / len(row)) for at, row in sorted(found.items())}
