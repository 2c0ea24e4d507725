"""Run folders as the pipeline leaves them, made by code: simulated questions and answers, so that every number follows from them."""

from __future__ import annotations

import json
import math
import random
import statistics
import zlib
from pathlib import Path
from typing import Any

SUITE = {"main": (120, 1, "in"), "hard": (80, 1, "in"), "long": (60, 4, "out")}
"""Questions, samples and domain of each benchmark."""


def write_run(
    root: Path, strategy: str = "limo", size: int = 300, seed: int = 0, *, error: str | None = None, training: bool = True, **more: str
) -> Path:
    """A run of the lab; returns its folder. `error` makes it fail before training; `training=False` evaluates only."""
    overrides = [f"selection={strategy}", f"selection.size={size}", f"seed={seed}", *(f"{k}={v}" for k, v in more.items())]
    folder = root / ",".join(overrides)
    folder.mkdir(parents=True)
    draw = random.Random(zlib.crc32(str(folder.name).encode()))
    dump(folder / "run.json", {"name": "lab", "overrides": overrides, "seed": seed, "strategy": strategy, "size": size})
    dump(folder / "status.json", {"state": "failed" if error else "done", "code": int(bool(error)), "error": error, "overrides": overrides,
                                  "seconds": 12.5 if error else 96.0 + size / 10})  # fmt: skip
    stage(folder / "data", {"read": 3000, "duplicates": 61, "contaminated": 4, "problems": 2935}, 2.4)
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


def evaluation(folder: Path, model: str, skill: float, draw: random.Random, lost: float = 0.02) -> None:
    """Answers of a model that knows a share `skill` of the questions; `lost` of its answers hold no final answer."""
    found: dict[str, Any] = {}
    for name, (n, samples, domain) in SUITE.items():
        level = skill * {"main": 1.0, "hard": 0.85, "long": 0.3}[name]
        questions = {}
        for i in range(n):
            chance = draw.betavariate(4 * level + 0.05, 4 * (1 - level) + 0.05)
            questions[f"{name}-{i}"] = [int(draw.random() < chance) for _ in range(samples)]
        means = [statistics.fmean(q) for q in questions.values()]
        accuracy, half = statistics.fmean(means), 1.96 * statistics.stdev(means) / math.sqrt(n)
        cut = 0.12 if name == "long" else 0.01
        found[name] = {
            "n": n, "samples": samples, "accuracy": accuracy, "interval": [max(0.0, accuracy - half), min(1.0, accuracy + half)],
            "interval_method": "clustered t", "fixed_interval": [max(0.0, accuracy - half / 2), min(1.0, accuracy + half / 2)],
            "pass": {"1": accuracy}, "maj": {}, "finish": {"stop": 1 - cut, "length": cut}, "no_answer": lost, "truncated": cut,
            "tokens": 61.3, "repetition": 0.004, "detectable": 2 * half, "questions": questions, "paper_rules": {"accuracy": accuracy},
            "domain": domain, "language": "en", "protocol": {"temperature": 0.0 if samples == 1 else 0.7, "samples": samples, "max_tokens": 192},
        }  # fmt: skip
    mean = statistics.fmean(b["accuracy"] for b in found.values())
    stage(folder, {"model": model}, 21.0)
    dump(folder / "results.json", {"model": model, "benchmarks": found, "mean": {"accuracy": mean, "interval": [mean - 0.04, mean + 0.04]}})


def _selection(folder: Path, size: int, draw: random.Random) -> None:
    stage(folder, {"candidates": 2 * size + 40, "kept": size}, 1.2)
    kept = [{"id": f"p{i}", "problem": f"p{i}", "question": "?", "answer": "1", "solution": "…",
             "scores": {"quality": draw.gauss(0.7, 0.1), "difficulty": draw.choice([0.25, 0.5, 0.75])}} for i in range(size)]  # fmt: skip
    reasons = ["solution is wrong"] * 25 + ["too easy: solved 4 of 4"] * 15 + ["below the first"] * size
    dropped = [{"id": f"d{i}", "reason": why, "scores": {"quality": draw.gauss(0.45, 0.12), "difficulty": draw.choice([0.0, 0.25])}}
               for i, why in enumerate(reasons)]  # fmt: skip
    for name, records in (("examples", kept), ("dropped", dropped)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def _training(folder: Path, size: int, draw: random.Random) -> None:
    stage(folder, {"steps": 320, "epochs": 17, "tokens": 50 * size * 17, "overlong_share": 0.0, "checkpoint": "last"}, 19.0)
    lines = ["epoch,loss,lr,step"] + [
        f"{i // 19},{2.2 * math.exp(-i / 45) + abs(draw.gauss(0.02, 0.01)):.5f},{0.002 * (1 - i / 320):.6f},{i}" for i in range(0, 320, 5)
    ]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")


def dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
