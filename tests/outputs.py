"""Run folders as the pipeline leaves them, made by code: simulated questions and answers, so that every number follows
from them.
"""

from __future__ import annotations

import json
import math
import random
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limo.evaluation import metrics

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
    dump(folder / "run.json", {"name": "lab", "overrides": overrides, "seed": seed, "strategy": strategy, "size": size})
    dump(folder / "status.json", {"state": "failed" if error else "done", "code": int(bool(error)), "error": error, "overrides": overrides,
                                  "seconds": 12.5 if error else 96.0 + size / 10})  # fmt: skip
    stage(
        folder / "data",
        {
            "read": 3000,
            "kept": 2935,
            "dropped": {"duplicate": 61, "benchmark question": 4},
            "leaks": {"main": 4},
            "protected": {"main": 120},
            "unchecked": [],
        },
        2.4,
    )
    if error:
        return folder
    if training:
        _selection(folder / "selection", size, draw)
        _training(folder / "training", size, draw)
        skill = (0.92 if strategy == "limo" else 0.45) * (1 - math.exp(-size / 90)) + draw.uniform(-0.05, 0.05)
        evaluation(folder / "evaluation" / "tuned", "tuned", max(0.08, skill), draw)
    evaluation(folder / "evaluation" / "base", "lab:base", 0.08, random.Random(1), lost=0.31)
    return folder


def stage(folder: Path, summary: dict[str, Any], seconds: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    dump(folder / "summary.json", summary)
    key = f"{zlib.crc32(str(folder).encode()):08x}"
    manifest = {"stage": folder.name, "key": key, "seconds": seconds, "finished": "2026-01-05T10:15:00+0000", "git": "0123456789ab",
                "versions": {"limo": "0.1.0", "torch": "2.13.0"}, "hardware": "no GPU, 2 cores, 8 GiB"}  # fmt: skip
    dump(folder / "manifest.json", manifest)


def evaluation(
    folder: Path, model: str, skill: float, draw: random.Random, lost: float = 0.02, suite: Suite = SUITE
) -> None:
    """Answers of a model that knows a share `skill` of the questions; `lost` of its answers hold no final answer."""
    found: dict[str, Any] = {}
    for place, (name, (n, samples, domain)) in enumerate(suite.items()):
        level = skill * (1.0, 0.85, 0.3)[place % 3]
        questions = {}
        for i in range(n):
            chance = draw.betavariate(4 * level + 0.05, 4 * (1 - level) + 0.05)
            questions[f"{name}-{i}"] = [int(draw.random() < chance) for _ in range(samples)]
        rows = list(questions.values())
        interval, fixed = metrics.interval(rows), metrics.fixed_interval(rows)
        cut = 0.12 if name == "long" else 0.01
        protocol = {"samples": samples, "temperature": 0.0 if samples == 1 else 0.7, "max_tokens": 192, "rules": "limo"}
        found[name] = {
            "n": n,
            "samples": samples,
            "accuracy": metrics.average(rows),
            "interval": [interval.low, interval.high],
            "interval_method": interval.method,
            "fixed_interval": [fixed.low, fixed.high] if fixed else None,
            "pass": {str(k): metrics.pass_at(rows, k) for k in metrics.steps(samples)},
            "maj": {},
            "finish": {"length": cut, "stop": 1 - cut},
            "no_answer": lost,
            "truncated": cut,
            "tokens": 61.3,
            "repetition": 0.004,
            "detectable": metrics.detectable(rows),
            "questions": questions,
            "judge": None,
            "paper_rules": {"accuracy": metrics.average(rows)},
            "domain": domain,
            "language": "en",
            "protocol": protocol,
        }
    intervals = [(b["accuracy"], metrics.interval(list(b["questions"].values()))) for b in found.values()]
    accuracy, over = metrics.mean_of(intervals)
    stage(folder, {"model": model}, 21.0)
    mean = {"accuracy": accuracy, "interval": [over.low, over.high]}
    dump(folder / "results.json", {"model": model, "benchmarks": found, "mean": mean})


def _selection(folder: Path, size: int, draw: random.Random) -> None:
    stage(folder, {"candidates": 2 * size + 40, "kept": size}, 1.2)
    kept = [{"id": f"p{i}", "problem": f"p{i}", "question": "?", "answer": "1", "solution": "…",
             "scores": {"quality": draw.gauss(0.7, 0.1), "difficulty": draw.choice([0.25, 0.5, 0.75])}} for i in range(size)]  # fmt: skip
    faults = (
        [("correct", "solution is wrong")] * 25
        + [("solve_rate", "solved 4 of 4")] * 15
        + [("size", "below the first")] * size
    )
    dropped = [
        {"id": f"d{i}", "step": step, "reason": why, "value": None, "scores": {"quality": draw.gauss(0.45, 0.12)}}
        for i, (step, why) in enumerate(faults)
    ]
    for name, records in (("examples", kept), ("dropped", dropped)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def _training(folder: Path, size: int, draw: random.Random) -> None:
    facts = {
        "examples": size,
        "overlong": 0,
        "overlong_share": 0.0,
        "overlong_policy": "error",
        "tokens": 50 * size * 17,
        "steps": 320,
        "epochs": 17.0,
        "strategy": "single",
        "parameters": 425472,
        "final_loss": 0.021,
        "checkpoint": "last",
        "training_seconds": 19.0,
    }
    stage(folder, facts, 23.0)
    lines = ["step,epoch,loss,lr,grad_norm,tokens,validation_loss"]
    for i in range(0, 320, 5):
        loss = 2.2 * math.exp(-i / 45) + abs(draw.gauss(0.02, 0.01))
        lines.append(f"{i},{i / 19:.2f},{loss:.5f},{0.002 * (1 - i / 320):.6f},0.5,960,")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
