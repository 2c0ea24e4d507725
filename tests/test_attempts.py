"""Attempts of a real model, the lab's base, at a few problems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limo import records
from limo.attempts import Attempts, AttemptsStage
from limo.compose import compose
from limo.engine import Sampling
from limo.grading import GradingStage, Rules
from limo.lab import Questions
from limo.models import Model
from limo.records import Attempt, AttemptsSummary, Grade
from limo.selection.candidates import candidates
from limo.serial import dump, load
from limo.stage import summary

LAB = Model(path="lab:base", dtype="float32")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> AttemptsStage:
    folder = tmp_path_factory.mktemp("attempts")
    records.write(folder / "problems.jsonl", reversed(Questions(kind="easy", size=8).problems()))
    engine = compose(["engine=transformers", "evaluation=none"]).engine
    attempts = Attempts(sampling=Sampling(samples=3, temperature=0.7, max_tokens=16), rules=Rules(), limit=6)
    return AttemptsStage(
        problems=folder / "problems.jsonl", attempts=attempts, model=LAB, engine=engine, seed=0, store=folder / "store"
    )


def test_every_problem_is_tried_as_often_as_asked_and_right_tries_become_candidates(
    stage: AttemptsStage, tmp_path: Path
) -> None:
    assert stage.missing() == []
    stage.run(tmp_path)
    tries = records.read(tmp_path / "attempts.jsonl", Attempt)
    problems = sorted(Questions(kind="easy", size=8).problems(), key=lambda p: p.id)[:6]
    assert [(t.problem, t.sample) for t in tries] == [(p.id, n) for p in problems for n in range(3)]
    assert len({t.seed for t in tries}) == 18
    facts = summary(tmp_path, AttemptsSummary)
    assert (facts.problems, facts.attempts, facts.tokens) == (6, 18, sum(t.tokens for t in tries))
    assert sum(facts.finish.values()) == pytest.approx(1)
    GradingStage(problems=stage.problems, attempts=tmp_path / "attempts.jsonl", rules=Rules(), jobs=1).run(tmp_path)
    grades = records.read(tmp_path / "grades.jsonl", Grade)
    pool = candidates(problems, tries, grades, which="attempts")
    assert [e.id for e in pool] == [f"{g.problem}#a{g.sample}" for g in grades if g.correct]
    for found in pool:
        right = [g.correct for g in grades if g.problem == found.problem]
        assert found.scores["solve_rate"] == pytest.approx(sum(right) / 3)
        assert f"\\boxed{{{found.answer}}}" in found.solution


def test_the_hand_over_gives_the_same_stage(stage: AttemptsStage) -> None:
    assert load(json.loads(json.dumps(dump(stage)))) == stage


def test_a_model_that_is_not_there_is_told_before_any_work(stage: AttemptsStage, tmp_path: Path) -> None:
    gone = load(dump(stage) | {"model": dump(Model(path=str(tmp_path / "gone")))})
    assert "no such folder" in gone.missing()[0]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="limit=0"):
        Attempts(sampling=Sampling(), rules=Rules(), limit=0)


def test_the_papers_sieves_bring_their_own_models_and_none_leaves_the_run_without_attempts() -> None:
    coarse, fine = (compose([f"attempts={name}", "evaluation=none"]).attempts for name in ("limo_coarse", "limo_fine"))
    assert (coarse.model.path, coarse.sampling.samples) == ("Qwen/Qwen2.5-Math-7B-Instruct", 4)
    assert (fine.model.path, fine.sampling.samples) == ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", 32)
    assert compose(["attempts=none", "evaluation=none"]).attempts is None
