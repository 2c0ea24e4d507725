"""Run folders as the pipeline leaves them, made by code: simulated questions and answers, so that every number follows
from them.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Mapping
from pathlib import Path

from limo import records, statistics

Suite = Mapping[str, tuple[int, int, str]]

SUITE: Suite = {"main": (120, 1, "in"), "hard": (80, 1, "in"), "long": (60, 4, "out")}
"""Questions, samples and domain of each benchmark."""


def write_run(
    root: Path,
    strategy: str = "limo",
    size: int = 300,
    seed: int = 0,
    *,
    error: str | None = None,
    training: bool = True,
    **more: str,
) -> Path:
    """A run of the lab; returns its folder. `error` makes it fail before training; `training=False` evaluates only."""
    overrides = [
        f"selection={strategy}",
        f"selection.size={size}",
        f"seed={seed}",
        *(f"{k}={v}" for k, v in more.items()),
    ]
    folder = root / ",".join(overrides)
    folder.mkdir(parents=True)
    draw = random.Random(zlib.crc32(str(folder.name).encode()))
    records.write_record(folder / "run.json", records.Asked("lab", tuple(overrides), seed, strategy, size))
    seconds = 12.5 if error else 96.0 + size / 10
    state = "failed" if error else "done"
    records.write_record(
        folder / "status.json", records.Status(tuple(overrides), 0.0, state, int(bool(error)), error, seconds)
    )
    dropped = {"duplicate": 61, "benchmark question": 4}
    said = records.DataSummary(3000, 2935, dropped=dropped, leaks={"main": 4}, protected={"main": 120})
    stage(folder / "data", said, 2.4)
    if error:
        return folder
    if training:
        _selection(folder / "selection", size, draw)
        _training(folder / "training", size, draw)
        skill = (0.92 if strategy == "limo" else 0.45) * (1 - math.exp(-size / 90)) + draw.uniform(-0.05, 0.05)
        evaluation(folder / "evaluation" / "tuned", "tuned", max(0.08, skill), draw)
    evaluation(folder / "evaluation" / "base", "lab:base", 0.08, random.Random(1), lost=0.31)
    return folder


def stage(folder: Path, summary: object, seconds: float, config: object = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    records.write_record(folder / "summary.json", summary)
    manifest = records.Manifest(
        stage=folder.name,
        key=f"{zlib.crc32(str(folder).encode()):08x}",
        seconds=seconds,
        finished="2026-01-05T10:15:00+0000",
        git="0123456789ab",
        versions={"limo": "0.1.0", "torch": "2.13.0"},
        hardware="no GPU, 2 cores, 8 GiB",
        files={},
        config=config,
    )
    records.write_record(folder / "manifest.json", manifest)


def evaluation(
    folder: Path, model: str, skill: float, draw: random.Random, lost: float = 0.02, suite: Suite = SUITE
) -> None:
    """Answers of a model that knows a share `skill` of the questions; `lost` of its answers hold no final answer."""
    found = {}
    for place, (name, (n, samples, domain)) in enumerate(suite.items()):
        level = skill * (1.0, 0.85, 0.3)[place % 3]
        questions = {}
        for i in range(n):
            chance = draw.betavariate(4 * level + 0.05, 4 * (1 - level) + 0.05)
            questions[f"{name}-{i}"] = tuple(int(draw.random() < chance) for _ in range(samples))
        found[name] = benchmark(questions, domain, lost=lost, cut=0.12 if name == "long" else 0.01)
    results(folder, model, found)


def answered(folder: Path) -> None:
    """The answers of an evaluation folder, as its results have them: a number, none, or a text that is cut or goes round."""
    for name, found in records.read_results(folder / records.RESULTS).benchmarks.items():
        (folder / name).mkdir()
        rows = (answer(name, q, i, right) for q, row in found.answers.items() for i, right in enumerate(row))
        records.write(folder / name / records.ANSWERS, rows)


def answer(benchmark: str, problem: str, sample: int, right: int) -> records.Answer:
    """A right answer is 7; one of three wrong ones each is another number, none at all, and a loop that was cut."""
    kind = "right" if right else ("other", "none", "loop")[int(problem.rpartition("-")[2]) % 3]
    said = {"right": "so 7", "other": "so 8", "none": "I do not know.", "loop": "and again " * 40}[kind]
    verdict = {"right": "correct", "other": "wrong", "none": "no_answer", "loop": "truncated"}[kind]
    return records.Answer(
        benchmark=benchmark, problem=problem, sample=sample, question=f"What is {problem}?", gold=records.Gold("7"),
        response=said, answer=said.removeprefix("so ") if said.startswith("so") else None, verdict=verdict, correct=bool(right),
        rule="integer", finish="length" if kind == "loop" else "stop", prompt_tokens=9, tokens=len(said), seed=sample,
    )  # fmt: skip


def results(folder: Path, model: str, found: dict[str, records.BenchmarkResult]) -> None:
    """An evaluation folder with these results."""
    mean, over = statistics.mean_of([(b.accuracy, b.interval) for b in found.values()])
    stage(folder, records.EvaluationSummary(model, mean, over), 21.0)
    records.write_results(folder / records.RESULTS, records.Results(model, found, mean, over))


def benchmark(
    questions: Mapping[str, tuple[int, ...]], domain: str = "in", lost: float = 0.0, cut: float = 0.0, **how: object
) -> records.BenchmarkResult:
    """What a benchmark comes to with these answers."""
    rows = list(questions.values())
    samples = len(rows[0])
    protocol = {
        "samples": samples, "temperature": 0.0 if samples == 1 else 0.7, "top_p": 1.0, "top_k": 0, "max_tokens": 192,
        "prompt": "{question}", "system": None, "rules": "limo", "judge": None, "shuffle": None, "limit": None, "seed": 0,
    }  # fmt: skip
    return records.BenchmarkResult(
        answers=dict(questions),
        accuracy=statistics.average(rows),
        interval=statistics.interval(rows),
        fixed_interval=statistics.fixed_interval(rows),
        detectable=statistics.detectable(rows),
        pass_at={k: statistics.pass_at(rows, k) for k in statistics.powers(samples)},
        majority={},
        paper_accuracy=statistics.average(rows),
        verdicts={},
        rules={},
        finish={"length": cut, "stop": 1 - cut},
        no_answer=lost,
        truncated=cut,
        repetition=0.004,
        tokens=61.3,
        judge=None,
        positions=None,
        domain=domain,
        language="en",
        protocol=records.Protocol(**{**protocol, **how}),
    )


def _selection(folder: Path, size: int, draw: random.Random) -> None:
    kept = []
    for i in range(size):
        scores = {"quality": draw.gauss(0.7, 0.1), "difficulty": draw.choice([0.25, 0.5, 0.75])}
        kept.append(records.Example(f"p{i}", f"p{i}", "?", "1", "…", scores=scores))
    reasons = {
        "correct": {"solution is wrong": 25},
        "solve_rate": {"solved 4 of 4": 15},
        "size": {"below the first": size},
    }
    faults = [(step, why) for step, whys in reasons.items() for why, n in whys.items() for _ in range(n)]
    dropped = [
        records.Dropped(f"d{i}", step, why, None, {"quality": draw.gauss(0.45, 0.12)})
        for i, (step, why) in enumerate(faults)
    ]
    stage(folder, records.SelectionSummary(candidates=2 * size + 40, kept=size, dropped=reasons), 1.2)
    records.write(folder / "examples.jsonl", kept)
    records.write(folder / "dropped.jsonl", dropped)


def _training(folder: Path, size: int, draw: random.Random) -> None:
    said = records.TrainingSummary(
        examples=size, overlong=0, overlong_share=0.0, overlong_policy="error", longest=90, tokens=50 * size * 17,
        supervised_tokens=40 * size * 17, steps=320, epochs=17.0, packs=20, accumulation=1, ranks=1, strategy="single",
        parameters=425472, parameters_trained=425472, final_loss=0.021, token_accuracy=0.987, checkpoint="last", exported_step=320,
        memory_gib=0.2, training_seconds=19.0, seconds=23.0,
    )  # fmt: skip
    stage(folder, said, 23.0)
    lines = ["step,epoch,loss,lr,grad_norm,tokens,validation_loss"]
    for i in range(0, 320, 5):
        loss = 2.2 * math.exp(-i / 45) + abs(draw.gauss(0.02, 0.01))
        lines.append(f"{i},{i / 19:.2f},{loss:.5f},{0.002 * (1 - i / 320):.6f},0.5,960,")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
