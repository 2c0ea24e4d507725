"""The whole road on real weights: DeepSpeed ranks, a vLLM engine, a report; as `experiments/gsm8k.yaml`, smaller."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from limo.records import TrainingSummary, read_results
from limo.stage import summary

pytestmark = pytest.mark.real

POOL = [
    ("Ann has 3 pens and buys 4 more. How many pens has she?", "She has 3 + 4 = <<3+4=7>>7 pens.\n#### 7"),
    ("A box holds 6 eggs. How many eggs are in 3 boxes?", "There are 6 * 3 = <<6*3=18>>18 eggs.\n#### 18"),
    ("Tom walks 2 km a day. How far does he walk in 5 days?", "He walks 2 * 5 = <<2*5=10>>10 km.\n#### 10"),
    ("Of 9 birds 4 fly away. How many stay?", "9 - 4 = <<9-4=5>>5 birds stay.\n#### 5"),
    ("A cake is cut in 8 slices, 3 are eaten. How many are left?", "8 - 3 = <<8-3=5>>5 slices.\n#### 5"),
    ("Eva saves 5 euros a week. What has she after 4 weeks?", "She has 5 * 4 = <<5*4=20>>20 euros.\n#### 20"),
]
TEST = [
    ("Ben has 2 cats and 3 dogs. How many pets has he?", "2 + 3 = <<2+3=5>>5\n#### 5"),
    ("A car has 4 wheels. How many wheels have 2 cars?", "4 * 2 = <<4*2=8>>8\n#### 8"),
    ("Of 7 apples 2 are bad. How many are good?", "7 - 2 = <<7-2=5>>5\n#### 5"),
]


def jsonl(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in rows))
    return path


def test_the_road_runs_on_real_ranks_and_a_real_engine_and_then_comes_from_the_store(
    smollm2: Path, vllm: None, tmp_path: Path
) -> None:
    command = [
        sys.executable, "-m", "limo", "+experiment=gsm8k", f"model.path={smollm2}", "seed=3",
        f"data.path={jsonl(tmp_path / 'train.jsonl', POOL)}", "selection.size=4", "training.epochs=1", "training.global_batch=4",
        f"evaluation.benchmarks.gsm8k.source.path={jsonl(tmp_path / 'test.jsonl', TEST)}", "evaluation.benchmarks.gsm8k.source.rows=null",
        "evaluation.benchmarks.gsm8k.source.digest=null", "evaluation.benchmarks.gsm8k.max_tokens=24",
    ]  # fmt: skip
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    (folder,) = [f.parent for f in (tmp_path / "outputs/gsm8k").glob("*/status.json")]

    trained = summary(folder / "training", TrainingSummary)
    assert (trained.strategy, trained.ranks, trained.examples, trained.steps) == ("zero2", 2, 4, 1)
    for which in ("base", "tuned"):
        assert read_results(folder / "evaluation" / which / "results.json").benchmarks["gsm8k"].n == 3
        assert sum(1 for _ in (folder / "evaluation" / which / "gsm8k/answers.jsonl").open()) == 3
    logs = list((tmp_path / "outputs/.store/completions").glob("*.jsonl"))
    assert len(logs) == 2, "one log of completions for each of the two models"
    assert all('"_target_": "Vllm"' in log.read_text() for log in logs)
    assert "gsm8k" in (folder / "report.html").read_text()

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("from the store") == 7
