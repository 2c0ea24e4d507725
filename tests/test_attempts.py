"""Attempts of a real model, the lab's base, at a few problems; sieves, their rules and what columns say in place of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limo import UserError, records
from limo.attempts import Attempts, AttemptsStage, Recorded, RecordedStage, SievingStage
from limo.compose import compose
from limo.engine import Sampling
from limo.grading import Rules
from limo.lab import Questions
from limo.models import Model
from limo.records import Attempt, AttemptsSummary, Band, Disputed, Gold, Grade, Problem, SieveSummary, Tally
from limo.selection.candidates import Tried, candidates
from limo.serial import dump, load
from limo.stage import summary

LAB = Model(path="lab:base", dtype="float32")
SAMPLING = Sampling(samples=3, temperature=0.7, max_tokens=16)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> AttemptsStage:
    folder = tmp_path_factory.mktemp("attempts")
    records.write(folder / "problems.jsonl", reversed(Questions(kind="easy", size=8).problems()))
    engine = compose(["engine=transformers", "evaluation=none"]).engine
    attempts = Attempts(sampling=SAMPLING, rules=Rules(), limit=6)
    return AttemptsStage(
        problems=folder / "problems.jsonl", attempts=attempts, model=LAB, engine=engine, seed=0, store=folder / "store"
    )


def sieved(folder: Path, pool: Sequence[Problem], tries: Sequence[Attempt], keep: str | None = None) -> SieveSummary:
    """What a sieve makes of tries; its files lie in the folder."""
    records.write(folder / "pool.jsonl", pool)
    records.write(folder / "tries.jsonl", tries)
    SievingStage(problems=folder / "pool.jsonl", attempts=folder / "tries.jsonl", rules=Rules(), keep=keep).run(folder)
    return summary(folder, SieveSummary)


def tries(problem: str, *answers: str, finish: str = "stop") -> list[Attempt]:
    """Tries whose text is an answer in a box, or is as it stands where it is no number."""
    texts = [f"\\boxed{{{a}}}" if a.isdigit() else a for a in answers]
    return [Attempt(problem, n, 0, text, finish if "cut" in text else "stop", 1, 1) for n, text in enumerate(texts)]


def test_every_problem_is_tried_as_often_as_asked_and_right_tries_become_candidates(
    stage: AttemptsStage, tmp_path: Path
) -> None:
    assert stage.missing() == []
    stage.run(tmp_path)
    made = records.read(tmp_path / "attempts.jsonl", Attempt)
    problems = sorted(Questions(kind="easy", size=8).problems(), key=lambda p: p.id)[:6]
    assert [(t.problem, t.sample) for t in made] == [(p.id, n) for p in problems for n in range(3)]
    assert len({t.seed for t in made}) == 18
    facts = summary(tmp_path, AttemptsSummary)
    assert (facts.problems, facts.attempts, facts.tokens) == (6, 18, sum(t.tokens for t in made))
    assert sum(facts.finish.values()) == pytest.approx(1)
    SievingStage(problems=stage.problems, attempts=tmp_path / "attempts.jsonl", rules=Rules()).run(tmp_path)
    grades = records.read(tmp_path / "grades.jsonl", Grade)
    tallies = records.read(tmp_path / "tallies.jsonl", Tally)
    assert summary(tmp_path, SieveSummary).left == 8  # without a rule those not tried stay
    pool = candidates(problems, {"lab": Tried(tallies, made, grades)}, which="attempts")
    assert [e.id for e in pool] == [f"{g.problem}#lab.{g.sample}" for g in grades if g.correct]
    for found in pool:
        right = [g.correct for g in grades if g.problem == found.problem]
        assert found.scores["solve_rate"] == pytest.approx(sum(right) / 3)
        assert f"\\boxed{{{found.answer}}}" in found.solution


def test_stopping_early_makes_fewer_tries_of_the_same_seeds_and_leaves_the_same_problems(
    stage: AttemptsStage, tmp_path: Path
) -> None:
    made: dict[bool, list[Attempt]] = {}
    left: dict[bool, list[str]] = {}
    for stop in (False, True):
        sieve = Attempts(sampling=SAMPLING, rules=Rules(), keep="0 of 3", stop=stop)
        (folder := tmp_path / str(stop)).mkdir()
        replace(stage, attempts=sieve).run(folder)
        made[stop] = records.read(folder / "attempts.jsonl", Attempt)
        problems = records.read(stage.problems, Problem)
        assert sieved(folder, problems, made[stop], "0 of 3").left < 8
        left[stop] = [p.id for p in records.read(folder / "problems.jsonl", Problem)]
        tallies = {t.problem: t for t in records.read(folder / "tallies.jsonl", Tally)}
        assert {t.tried for id, t in tallies.items() if id in left[stop]} == {3}
    assert left[True] == left[False] and len(made[True]) < len(made[False])
    assert set(map(repr, made[True])) <= set(map(repr, made[False]))


@given(data=st.data(), of=st.integers(1, 40))
def test_early_stopping_is_exact(data: st.DataObject, of: int) -> None:
    low = data.draw(st.integers(0, of))
    band = Band(low, data.draw(st.integers(low, of)), of)
    right = data.draw(st.lists(st.booleans(), min_size=of, max_size=of))
    ends = band.rounds()
    assert ends == sorted(set(ends)) and ends[-1] == of
    lost = next((end for end in ends if band.lost(sum(right[:end]), end)), None)
    assert (lost is None) == (band.fault(sum(right)) is None)
    if lost:
        assert band.fault(sum(right[:lost])) == band.fault(sum(right))
    first = next(n for n in range(1, of + 2) if n > of or band.lost(n, n) or band.lost(0, n))
    assert ends[0] >= min(first, of)  # nothing is graded before it can decide


def test_tries_are_counted_by_how_they_ended_and_a_rule_says_why_a_problem_goes(tmp_path: Path) -> None:
    pool = [Problem(name, "?", Gold("7")) for name in ("easy", "fits", "hard", "cut", "other")]
    made = [
        *tries("easy", "7", "7", "7", "9"),
        *tries("fits", "7", "8", "no idea", "cut", finish="length"),
        *tries("hard", "8", "9", "8", "9"),
        *tries("cut", "7", "cut", "cut", "cut", finish="length"),
    ]
    facts = sieved(tmp_path, pool, made, "1..2 of 4")
    assert (facts.problems, facts.left) == (5, 2)
    assert facts.dropped == {"too easy": 1, "too hard": 1, "not tried": 1}
    assert (facts.right, facts.wrong, facts.cut, facts.unparsed) == (5, 6, 4, 1)
    assert (facts.measured, facts.rate) == (3, pytest.approx((3 / 4 + 1 / 4 + 0) / 3))
    tallies = {t.problem: t for t in records.read(tmp_path / "tallies.jsonl", Tally)}
    fits, cut = tallies["fits"], tallies["cut"]
    assert (fits.right, fits.wrong, fits.cut, fits.unparsed, fits.rate) == (1, 1, 1, 1, 0.25)
    assert (fits.low, fits.high) == (pytest.approx(0.0278, abs=1e-3), pytest.approx(0.7153, abs=1e-3))
    assert (cut.right, cut.rate, cut.low, cut.dropped) == (1, None, None, None)
    assert [p.id for p in records.read(tmp_path / "problems.jsonl", Problem)] == ["fits", "cut"]


def test_a_rule_that_leaves_nothing_is_said_before_the_next_sieve(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"keep='2 of 2' leaves none of 1 problems \(1 too hard\); widen it"):
        sieved(tmp_path, [Problem("p", "?", Gold("7"))], tries("p", "7", "8"), "2 of 2")


def test_golds_that_many_tries_contradict_are_listed(tmp_path: Path) -> None:
    pool = [Problem(name, "?", Gold(gold)) for name, gold in (("doubtful", "7"), ("split", "7"), ("few", "7"))]
    made = [
        *tries("doubtful", "7", "7", "0.5 ", "\\boxed{\\frac{1}{2}}", "\\boxed{0.5}", "\\boxed{1/2}"),
        *tries("split", "7", "7", "7", "7", "9", "9", "9"),
        *tries("few", "9", "9"),
    ]
    assert sieved(tmp_path, pool, made).disputed == 1
    (found,) = records.read(tmp_path / "disputed.jsonl", Disputed)
    assert (found.problem, found.gold, found.agree, found.parsed) == ("doubtful", "7", 4, 6)


def test_guesses_that_agree_by_chance_contradict_no_gold_and_a_wrong_key_among_them_is_listed(tmp_path: Path) -> None:
    draw = random.Random(0)
    pool = [Problem(f"p{n}", "?", Gold(str(draw.randrange(10)))) for n in range(300)]
    guessed = [t for p in pool for t in tries(p.id, *(str(draw.choice([1, 1, 1, *range(10)])) for _ in range(4)))]
    golds = {p.id: f"\\boxed{{{p.answer}}}" for p in pool}
    wrong = Counter((t.problem, t.text) for t in guessed if t.text != golds[t.problem])
    assert sum(n >= 3 for n in wrong.values()) > 10, "many agree"
    assert sieved(tmp_path, pool, guessed).disputed == 0
    key = Problem("key", "?", Gold("7"))
    seen = [*guessed, *tries("key", *["40"] * 6, "7", "3")]
    assert sieved(tmp_path, [*pool, key], seen).disputed == 1
    (found,) = records.read(tmp_path / "disputed.jsonl", Disputed)
    assert (found.problem, found.other, found.agree, found.parsed) == ("key", "40", 6, 8) and found.chance < 1e-9
    often = [*guessed, *tries("key", *["1"] * 6, "7", "3")]  # what is guessed anyway says little of the gold
    assert sieved(tmp_path, [*pool, key], often).disputed == 0


@pytest.mark.parametrize(
    ("holds", "tried", "cells"),
    [("right", 8, [0, 2, 8, None]), ("wrong", "n", [8, 6, 0, None]), ("rate", 8, [0.0, 0.25, 1.0, ""])],
)
def test_counts_and_rates_of_a_column_stand_in_place_of_tries(
    tmp_path: Path, holds: str, tried: int | str, cells: list[float]
) -> None:
    pool = [Problem(f"p{i}", "?", Gold("7"), meta={"c": cell, "n": 8}) for i, cell in enumerate(cells)]
    records.write(tmp_path / "pool.jsonl", pool)
    sieve = Recorded(column="c", holds=holds, tried=tried, keep="1..3 of 8", rules=Rules())
    SievingStage(
        problems=tmp_path / "pool.jsonl", attempts=None, rules=Rules(), keep=sieve.keep, counts=sieve
    ).run(tmp_path)  # fmt: skip
    told = [(t.right, t.tried, t.dropped) for t in records.read(tmp_path / "tallies.jsonl", Tally)]
    assert told == [(0, 8, "too hard"), (2, 8, None), (8, 8, "too easy"), (0, 0, "not tried")]


def test_a_column_that_holds_something_else_is_refused_with_its_problem() -> None:
    def counted(cell: object, **fields: object) -> object:
        told = {"column": "c", "holds": "right", "tried": 8, "rules": Rules(), **fields}
        return list(Recorded(**told).tallies([Problem("p1", "?", Gold("7"), meta={"c": cell, "n": 16})]))

    for cell, fields, said in (
        (9, {}, "problem p1: c=9 is no right of 8 tries"),
        (0.5, {}, r"c=0\.5 is no right of 8"),
        (1.5, {"holds": "rate"}, r"c=1\.5 is no rate of 8"),
        ("many", {}, "c='many' is no number"),
        (2, {"tried": "n", "keep": "1..3 of 8"}, "counts 8 tries and 16 were made"),
    ):
        with pytest.raises(UserError, match=said):
            counted(cell, **fields)
    with pytest.raises(ValueError, match="needs the number of tries"):
        counted(1, tried=None)
    words = ["data=files", "data.path=x.jsonl", "attempts=none", "+attempts/sieve@attempts.theirs=recorded"]
    words += [
        "attempts.theirs.column=rate",
        "attempts.theirs.holds=rate",
        "attempts.theirs.tried=64",
        "evaluation=none",
    ]
    config = compose(words)
    (said,) = config.attempts["theirs"].lacks("theirs", config.data)
    assert said == "attempts.theirs: the column 'rate' is not carried along; name it in data.meta"


def test_completions_of_a_column_are_graded_and_become_candidates(tmp_path: Path) -> None:
    pool = [Problem("p", "?", Gold("7"), meta={"texts": ["\\boxed{7}", "\\boxed{8}"]}), Problem("q", "?", Gold("7"))]
    records.write(tmp_path / "problems.jsonl", pool)
    RecordedStage(problems=tmp_path / "problems.jsonl", column="texts").run(tmp_path)
    made = records.read(tmp_path / "attempts.jsonl", Attempt)
    assert sieved(tmp_path, pool, made).right == 1
    grades = records.read(tmp_path / "grades.jsonl", Grade)
    found = candidates(pool, {"r1": Tried(records.read(tmp_path / "tallies.jsonl", Tally), made, grades)})
    assert [(e.id, e.scores["right.r1"]) for e in found] == [("p#r1.0", 1)]


def test_the_hand_over_gives_the_same_stage(stage: AttemptsStage) -> None:
    assert load(json.loads(json.dumps(dump(stage)))) == stage
    counts = Recorded(column="c", holds="right", tried=8, rules=Rules())
    sieving = SievingStage(problems=stage.problems, attempts=None, rules=Rules(), counts=counts)
    assert load(json.loads(json.dumps(dump(sieving)))) == sieving


def test_a_model_that_is_not_there_is_told_before_any_work(stage: AttemptsStage, tmp_path: Path) -> None:
    gone = load(dump(stage) | {"model": dump(Model(path=str(tmp_path / "gone")))})
    assert "no such folder" in gone.missing()[0]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="limit=0"):
        Attempts(sampling=Sampling(), rules=Rules(), limit=0)
    for keep, said in (
        ("0 of 4", "keep='0 of 4' counts 4 tries and sampling.samples=3; make them equal"),
        ("0.1", "keep: '0.1' is no count of right tries; write '0 of 4' or '1..3 of 32'"),
        ("3..1 of 3", "can hold for no problem"),
        ("4 of 3", "can hold for no problem"),
    ):
        with pytest.raises(ValueError, match=said):
            Attempts(sampling=SAMPLING, rules=Rules(), keep=keep)
    with pytest.raises(UserError, match=r"attempts.a/b: a sieve needs a plain name"):
        compose(["+attempts={a/b: {}}", "evaluation=none"])


def test_the_papers_sieves_bring_their_own_models_and_none_leaves_the_run_without_attempts() -> None:
    sieves = compose(["attempts=limo", "evaluation=none"]).attempts
    told = {name: (s.model.path.partition("/")[2], s.samples, s.keep) for name, s in sieves.items()}
    assert told == {
        "coarse": ("Qwen2.5-Math-7B-Instruct", 4, "0 of 4"),
        "fine": ("DeepSeek-R1-Distill-Qwen-32B", 32, "1..3 of 32"),
        "qwq": ("QwQ-32B", 4, None),
    }
    alone = [compose([f"attempts={name}", "evaluation=none"]).attempts for name in ("limo_coarse", "limo_fine")]
    assert [dict(one) for one in alone] == [{name: sieves[name]} for name in ("coarse", "fine")]
    assert compose(["attempts=none", "evaluation=none"]).attempts == {}
    fewer = ["~attempts.qwq", "attempts.fine.sampling.samples=16", "attempts.fine.keep=1..3 of 16"]
    assert list(compose(["attempts=limo", *fewer, "evaluation=none"]).attempts) == ["coarse", "fine"]
