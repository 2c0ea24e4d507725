"""The evaluation stage as a process, with a real engine: raising the samples of a suite generates only the new ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import tiny

from limo.data import Files
from limo.engine.transformers import Transformers
from limo.evaluation import Benchmark, Evaluation, EvaluationStage
from limo.models import Model
from limo.records import Answer, EvaluationSummary, read, read_results
from limo.stage import request, summary

pytestmark = pytest.mark.real


def evaluate(folder: Path, base: Path, benchmarks: dict[str, int]) -> dict[tuple[str, str, int], str]:
    """Run the stage in `folder` over benchmarks of two sums each (name -> samples); gives the text of every answer."""
    for name in benchmarks:
        questions = [{"id": i, "question": f"{name} {i}+{i}?", "answer": str(2 * i)} for i in (1, 2)]
        (folder.parent / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    suite = {
        name: Benchmark(
            source=Files(path=folder.parent / f"{name}.jsonl", id="id"),
            answer_type="integer",
            samples=samples,
            temperature=1.0,
            max_tokens=12,
        )
        for name, samples in benchmarks.items()
    }
    stage = EvaluationStage(
        evaluation=Evaluation(benchmarks=suite),
        model=Model(path=str(base), dtype="float32"),
        engine=Transformers(),
        store=folder.parent / "store",
    )
    assert stage.missing() == []
    folder.mkdir()
    request(stage, folder)
    child = subprocess.run([sys.executable, "-m", "limo.evaluation", str(folder)], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    found = read_results(folder / "results.json").benchmarks
    assert {name: result.samples for name, result in found.items()} == benchmarks
    assert {name: result.n for name, result in found.items()} == dict.fromkeys(benchmarks, 2)
    said = summary(folder, EvaluationSummary).benchmarks
    assert {name: facts.questions for name, facts in said.items()} == dict.fromkeys(benchmarks, 2)
    return {
        (name, a.problem, a.sample): a.response
        for name in benchmarks
        for a in read(folder / name / "answers.jsonl", Answer)
    }


def keys(store: Path) -> list[str]:
    """Keys of the completions that were generated, in the order in which they finished."""
    lines = [json.loads(line) for log in (store / "completions").glob("*.jsonl") for line in log.open()]
    return [line["key"] for line in lines if "key" in line]


def test_more_samples_and_another_benchmark_keep_the_answers_that_are_there(tmp_path: Path) -> None:
    base = tiny.model(tmp_path / "base")
    few = evaluate(tmp_path / "few", base, {"one": 2})
    before = keys(tmp_path / "store")
    more = evaluate(tmp_path / "more", base, {"one": 4, "two": 1})
    after = keys(tmp_path / "store")
    assert len(before) == 4 and after[:4] == before and len(after) == len(set(after)) == 10
    assert {key: more[key] for key in few} == few
    assert len(set(more.values())) > 5
