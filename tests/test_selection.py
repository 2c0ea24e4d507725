"""Strategies: what they keep, what they drop and why, and that neither order nor chance beyond the seed matters."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limo import UserError, pipeline, records
from limo.compose import compose
from limo.config import component
from limo.data import Files
from limo.grading import Rules
from limo.lab import Pool
from limo.models import Model
from limo.records import Attempt, Example, Gold, Grade, Problem, SelectionSummary, tallied
from limo.selection import (
    Bounds,
    Boxed,
    Correct,
    Dropped,
    Duplicates,
    Length,
    Quality,
    Random,
    Selection,
    SelectionStage,
    SolveRate,
    Trait,
    Where,
)
from limo.selection.candidates import Tried, candidates
from limo.selection.quality import scale
from limo.serial import dump, load
from limo.stage import Pending, summary
from tests.command import started

STRATEGIES = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / "selection").glob("[!_]*.yaml"))


def example(id: str = "p#0", solution: str = "\\boxed{1}", verdict: str | None = "correct", **scores: float) -> Example:
    return Example(id, id.partition("#")[0], f"question {id}", "1", solution, verdict=verdict, scores=scores)


@cache
def composed(*overrides: str) -> Selection:
    defaults = ["evaluation=none", "data=files", "selection.size=null"]
    chosen: Selection = compose([*defaults, *overrides]).selection
    return chosen


def strategy(name: str, **fields: Any) -> Selection:
    return dataclasses.replace(composed(f"selection={name}"), **fields)


@st.composite
def pools(draw: Any, least: int = 1) -> list[Example]:
    """Candidates of a few problems with right and wrong solutions of several lengths, some never attempted."""
    texts = st.sampled_from(
        ["so \\boxed{1}", "wait, check: \\boxed{1}", "perhaps therefore since \\boxed{1}", "long " * 9, "\\boxed{1}"]
    )
    found = []
    for number in range(draw(st.integers(least, 12))):
        rate = draw(st.sampled_from([None, 0.0, 0.05, 0.5, 1.0]))
        for n in range(draw(st.integers(1, 3))):
            verdict = draw(st.sampled_from(["correct", "correct", "wrong"]))
            held = example(f"p{number:02}#{n}", draw(texts), verdict, **({} if rate is None else {"solve_rate": rate}))
            found.append(dataclasses.replace(held, meta={**held.meta, "subject": draw(st.sampled_from("xyz"))}))
    return found


@pytest.fixture(scope="module")
def strategies() -> dict[str, Selection]:
    return {name: strategy(name) for name in STRATEGIES}


def choose(selection: Selection, pool: list[Example], seed: int = 0) -> list[str] | None:
    """Ids kept, best first; None where the strategy says that the pool does not do."""
    try:
        return [e.id for e in selection.choose(pool, seed).kept]
    except UserError:
        return None


def test_every_strategy_is_tried_here() -> None:
    assert STRATEGIES == ["all", "hardest", "level", "limo", "longest", "quality", "random", "shortest"]


@pytest.mark.parametrize("name", STRATEGIES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(pools(), st.integers(0, 3), st.randoms())
def test_order_makes_no_difference_and_all_are_accounted_for(
    strategies: dict[str, Selection], name: str, pool: list[Example], seed: int, rng: random.Random
) -> None:
    shuffled = list(pool)
    rng.shuffle(shuffled)
    whole = choose(strategies[name], pool, seed)
    assert choose(strategies[name], shuffled, seed) == whole
    if whole is None:
        return
    assert strategies[name].choose(shuffled, seed) == strategies[name].choose(pool, seed), "reasons and scores too"
    for size in range(1, len(whole) + 1):
        outcome = dataclasses.replace(strategies[name], size=size).choose(pool, seed)
        assert [e.id for e in outcome.kept] == whole[:size], "a smaller size keeps the first of a larger one"
        accounted = [e.id for e in outcome.kept] + [e.id for e, _, _ in outcome.dropped]
        assert Counter(accounted) == Counter(e.id for e in pool)
    with pytest.raises(
        UserError, match=rf"selection.size={len(whole) + 1}: only {len(whole)} of {len(pool)} candidates are left"
    ):
        dataclasses.replace(strategies[name], size=len(whole) + 1).choose(pool, seed)


def test_the_same_seed_keeps_the_same_examples_and_another_seed_others() -> None:
    pool = [example(f"p{n:03}#0") for n in range(200)]
    drawn = strategy("random", size=20)
    first = choose(drawn, pool, 1)
    assert first == choose(drawn, pool, 1)
    assert first != choose(drawn, pool, 2)
    assert first == choose(dataclasses.replace(drawn, seed=1), pool, 2), (
        "a seed of the selection's own comes before the run's"
    )


def test_a_random_draw_prefers_nothing() -> None:
    pool = [example(f"p{n:03}#0") for n in range(100)]
    counts = Counter(id for seed in range(200) for id in choose(strategy("random", size=20), pool, seed) or [])
    assert len(counts) == 100
    assert max(counts.values()) < 40 + 6 * 5.7  # 200 draws of 20 in 100: 40 ± 5.7 each


@given(pools(), pools())
@settings(max_examples=25, deadline=None)
def test_what_else_the_pool_holds_does_not_change_how_a_random_draw_orders_two(
    one: list[Example], other: list[Example]
) -> None:
    drawn = Selection(steps={"random": Random()}, rank="random", per_problem=None)
    alone = choose(drawn, one) or []
    more = choose(drawn, one + [dataclasses.replace(e, id=f"other{e.id}") for e in other]) or []
    assert [id for id in more if not id.startswith("other")] == alone


def test_solutions_must_be_right_as_graded_and_boxed() -> None:
    pool = [
        example("a#0"),
        example("b#0", verdict="wrong"),
        example("c#0", verdict="judge_correct"),
        example("d#0", "no box", "correct"),
        example("e#0", verdict=None),
    ]
    dropped = Correct(rules=Rules()).drop(pool, 0)
    assert {id: why.reason for id, why in dropped.items()} == {
        "b#0": "graded wrong",
        "d#0": "no box",
        "e#0": "not graded",
    }
    assert set(Correct(rules=Rules(), box=False).drop(pool, 0)) == {"b#0", "e#0"}
    assert set(Boxed().drop(pool, 0)) == {"d#0"}


def test_a_problem_most_of_whose_attempts_were_cut_was_not_measured() -> None:
    def grades(problem: str, *verdicts: str) -> list[Grade]:
        return [Grade(problem, n, verdict, None, "") for n, verdict in enumerate(verdicts)]

    cut = grades("cut", "truncated", "truncated", "truncated", "correct")
    half = grades("half", "truncated", "wrong", "truncated", "correct")
    found = tallied([*cut, *half, *grades("hard", "wrong", "no_answer")])
    assert {name: tally.rate for name, tally in found.items()} == {"cut": None, "half": 0.25, "hard": 0.0}
    assert (found["half"].right, found["half"].wrong, found["half"].cut, found["hard"].unparsed) == (1, 1, 2, 1)


def test_solve_rates_outside_the_band_are_dropped_with_their_value_and_unknown_ones_kept() -> None:
    pool = [
        example("a#0", solve_rate=0.0),
        example("b#0", solve_rate=2 / 32),
        example("c#0", solve_rate=4 / 32),
        example("d#0"),
    ]
    dropped = SolveRate(low=1 / 32, high=3 / 32).drop(pool, 0)
    assert {id: (why.reason, why.value) for id, why in dropped.items()} == {
        "a#0": ("too hard", 0.0),
        "c#0": ("too easy", 0.125),
    }


def test_lengths_are_bounded_in_characters_words_or_tokens() -> None:
    pool = [example("a#0", "one two three"), example("b#0", "b=a+4;a=3;b?"), example("c#0", "x")]
    assert set(Bounds(unit="words", min=2).drop(pool, 0)) == {"b#0", "c#0"}
    assert set(Bounds(unit="characters", max=12).drop(pool, 0)) == {"a#0"}
    lab = Model(path="lab:base", dtype="float32")
    tokens = Length(unit="tokens", model=lab).score(pool, 0)["b#0"][""]
    assert 4 <= tokens < len("b=a+4;a=3;b?"), "the lab's tokenizer merges a name with its sign"
    assert {"b#0": tokens} == {
        id: why.value for id, why in Bounds(unit="tokens", model=lab, max=int(tokens) - 1).drop(pool[1:], 0).items()
    }


def test_of_equal_questions_the_first_id_stays_and_two_solutions_of_a_problem_are_no_duplicates() -> None:
    one, two, other = (
        example("a#0", "x"),
        example("a#1", "y"),
        dataclasses.replace(example("b#0", "X"), question="Question  A#0"),
    )
    pool = [
        other,
        two,
        dataclasses.replace(one, question="question a#0"),
        dataclasses.replace(two, question="question a#0"),
    ]
    assert {id: why.value for id, why in Duplicates().drop([pool[0], *pool[2:]], 0).items()} == {"b#0": "a#0"}
    assert set(Duplicates(of="solution").drop([pool[0], *pool[2:]], 0)) == {"b#0"}


def test_what_the_source_says_can_be_asked_for() -> None:
    pool = [dataclasses.replace(example(f"{level}#0"), meta={"level": level}) for level in (3, 4, 5)]
    assert set(Where(key="level", values=(4, "5")).drop(pool, 0)) == {"3#0"}


def test_the_rule_score_is_the_weighted_sum_of_the_papers_four_terms() -> None:
    traits = {
        "verification": Trait(weight=0.2, words=("check", "double check")),
        "steps": Trait(weight=0.25, pattern=r"=\d;"),
    }
    quality = Quality(traits=traits, unit="words", scaling="none")
    found = quality.score([example("a#0", "Double check. a=3; b=4; unchecked,recheck CHECK")], 0)["a#0"]
    assert (found["length"], found["verification"], found["steps"]) == (6.0, 2 / 6, 2 / 6)
    assert found[""] == pytest.approx(0.3 * 6 + 0.2 * 2 / 6 + 0.25 * 2 / 6)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_scaled_terms_lie_between_0_and_1_and_keep_their_order(values: list[float]) -> None:
    for scaling in ("rank", "minmax"):
        scaled = scale(values, scaling)
        assert all(0 <= v <= 1 for v in scaled)
        pairs = sorted(zip(values, scaled, strict=True))
        assert all(a[1] <= b[1] for a, b in pairwise(pairs))
        assert all(
            (a == b) <= (x == y)
            for a, x in zip(values, scaled, strict=True)
            for b, y in zip(values, scaled, strict=True)
        )
    assert scale(values, "rank") == scale([3 * v for v in values], "rank"), "ranks know no unit"


@pytest.mark.parametrize("term", ["verification", "exploration", "connectives"])
def test_more_of_a_trait_at_equal_length_scores_higher(term: str) -> None:
    quality: Quality = strategy("limo").steps["quality"]
    word = quality.traits[term].words[0]
    filler = "z" * len(word)
    pool = [example(f"p{n}#0", " ".join([word] * n + [filler] * (5 - n))) for n in range(6)]
    scores = [found[""] for found in quality.score(pool, 0).values()]
    assert scores == sorted(scores)
    assert len(set(scores)) == 6


def test_the_paper_weights_sum_to_one_and_its_words_are_in_the_lists() -> None:
    quality: Quality = strategy("limo").steps["quality"]
    assert (quality.weight, {name: t.weight for name, t in quality.traits.items()}) == (
        0.3,
        {"verification": 0.2, "exploration": 0.25, "connectives": 0.25},
    )
    for name, words in {
        "verification": {"check", "verify"},
        "exploration": {"perhaps", "might"},
        "connectives": {"therefore", "since"},
    }.items():
        assert words <= set(quality.traits[name].words)


def lab_candidates() -> list[Example]:
    pool = Pool(size=600, copies=0.0).problems()
    right = [
        Grade(p.id, 0, "correct" if p.solutions[0].endswith(f"\\boxed{{{p.answer}}}") else "wrong", None, "")
        for p in pool
    ]
    return candidates(pool, checked=right)


def test_on_the_lab_the_rule_score_prefers_careful_solutions_and_chance_does_not() -> None:
    pool = lab_candidates()
    chosen = (composed(f"selection={name}", "data=lab", "selection.size=60") for name in ("limo", "random"))
    best, drawn = (selection.choose(pool, 0).kept for selection in chosen)
    assert sum(e.meta["level"] == 5 for e in best) >= 57
    assert sum(e.meta["level"] == 5 for e in drawn) <= 30
    assert all(e.verdict == "correct" for e in best + drawn)


def test_levels_divide_the_pool_into_equal_bands_of_rising_quality() -> None:
    pool = lab_candidates()
    whole = strategy("quality").choose(pool, 0).kept
    bands = [strategy("level", level=level).choose(pool, 0).kept for level in range(1, 6)]
    assert Counter(e.id for band in bands for e in band) == Counter(e.id for e in whole)
    assert max(map(len, bands)) - min(map(len, bands)) <= 1
    for lower, higher in pairwise(bands):
        assert max(e.scores["quality"] for e in lower) <= min(e.scores["quality"] for e in higher)


def test_the_best_solution_of_a_problem_stays_and_the_others_name_it() -> None:
    pool = [example("a#0", "x"), example("a#1", "xxx"), example("b#0", "xx")]
    by_length = Selection(steps={"length": Length(unit="characters")}, rank="length")
    outcome = by_length.choose(pool, 0)
    assert [e.id for e in outcome.kept] == ["a#1", "b#0"]
    assert [(e.id, step, why.value) for e, step, why in outcome.dropped] == [("a#0", "per_problem", "a#1")]
    assert [e.id for e in dataclasses.replace(by_length, lowest=True).choose(pool, 0).kept] == ["a#0", "b#0"]
    assert len(dataclasses.replace(by_length, per_problem=None).choose(pool, 0).kept) == 3


@given(pools(least=3))
def test_subjects_take_turns_without_changing_the_order_within_one(pool: list[Example]) -> None:
    plain = Selection(steps={"length": Length(unit="characters")}, rank="length", per_problem=None)
    ranked = plain.choose(pool, 0).kept
    spread = dataclasses.replace(plain, spread="subject").choose(pool, 0).kept
    subjects = {e.meta["subject"] for e in pool}
    for subject in subjects:
        assert [e for e in spread if e.meta["subject"] == subject] == [
            e for e in ranked if e.meta["subject"] == subject
        ]
    assert {e.meta["subject"] for e in spread[: len(subjects)]} == subjects


def test_hardest_takes_the_least_solved_and_puts_those_never_tried_last() -> None:
    pool = [example("a#0", solve_rate=0.5), example("b#0"), example("c#0", solve_rate=0.0)]
    assert choose(strategy("hardest"), pool) == ["c#0", "a#0", "b#0"]
    with pytest.raises(UserError, match=r"selection.rank=solve_rate: no candidate has this score; it needs attempts"):
        strategy("hardest").choose([example("a#0")], 0)


def test_nothing_left_is_said_with_the_numbers_and_the_remedy() -> None:
    wrong = [example("a#0", verdict="wrong"), example("b#0", verdict="wrong")]
    with pytest.raises(
        UserError, match=r"none of 2 candidates is left \(correct dropped 2\); loosen selection.steps.correct"
    ):
        strategy("random").choose(wrong, 0)
    with pytest.raises(
        UserError, match=r"selection.candidates=source: there is no candidate; choose data with solutions"
    ):
        strategy("random").choose([], 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size=0"),
        ({"per_problem": 0}, "per_problem=0"),
        ({"rank": "beauty"}, "rank=beauty is no score of this selection; choose one of solve_rate"),
        ({"level": 6, "rank": "solve_rate"}, "level=6 must be one of 1 to 5"),
        ({"level": 1}, "set rank"),
        ({"steps": {"x": 3}}, "steps.x"),
    ],
)
def test_a_strategy_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Selection(**fields)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SolveRate(low=0.5, high=0.1), "low=0.5, high=0.1"),
        (lambda: Bounds(min=5, max=1), "min=5, max=1"),
        (lambda: Length(unit="tokens"), "needs the model"),
        (lambda: Trait(weight=1.0), "needs words"),
        (lambda: Trait(weight=1.0, pattern="("), "no regular expression"),
        (lambda: Quality(traits={}, weight=-1.0), "0 or more"),
        (lambda: Quality(traits={}, weight=0.0), "all weights are 0"),
    ],
)
def test_a_step_that_cannot_be_is_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_candidates_are_the_sources_solutions_and_the_attempts_asked_for() -> None:
    problem = Problem("p", "q", Gold("1"), ("first", "second"), {"level": 3})
    attempts = [Attempt("p", n, 0, f"try {n}", "stop", 1, 1) for n in range(4)]
    grades = [
        Grade("p", n, verdict, None, "") for n, verdict in enumerate(["wrong", "correct", "truncated", "judge_correct"])
    ]
    tally = list(tallied(grades).values())
    counted = dataclasses.replace(tally[0], right=1, wrong=15, cut=0)
    sieves = {"coarse": Tried([counted]), "fine": Tried(tally, attempts, grades)}
    checked = [Grade("p", 0, "correct", None, ""), Grade("p", 1, "wrong", None, "")]
    both = candidates([problem], sieves, checked, "both")
    assert [(e.id, e.solution, e.verdict) for e in both] == [
        ("p#0", "first", "correct"),
        ("p#1", "second", "wrong"),
        ("p#fine.1", "try 1", "correct"),
        ("p#fine.3", "try 3", "judge_correct"),
    ]
    assert both[0].meta["level"] == 3
    assert [e.scores for e in both] == 4 * [
        {
            **{"right.coarse": 1, "tried.coarse": 16, "solve_rate.coarse": 1 / 16},
            **{"right.fine": 2, "tried.fine": 4, "solve_rate.fine": 0.5, "solve_rate": 0.5},
        }
    ]

    def ids(which: Any, verdicts: Any = "right") -> list[str]:
        return [e.id for e in candidates([problem], sieves, checked, which, verdicts)]

    assert ids("source") == ["p#0", "p#1"] and ids("attempts") == ["p#fine.1", "p#fine.3"]
    assert ids("attempts", "wrong") == ["p#fine.0"]
    assert ids("attempts", "all") == [f"p#fine.{n}" for n in range(4)]
    assert candidates([problem])[0].scores == {}


def test_the_stage_writes_examples_reasons_and_a_summary(tmp_path: Path) -> None:
    pool = [Problem(f"p{n}", f"q{n}", Gold("1"), (f"{'so ' * n}\\boxed{{1}}",)) for n in range(6)]
    attempts = [Attempt(f"p{n}", s, 0, "\\boxed{1}", "stop", 1, 1) for n in range(4) for s in range(10)]
    grades = [Grade(a.problem, a.sample, "correct" if a.problem == "p0" else "wrong", "1", "") for a in attempts]
    checked = [Grade(p.id, 0, "wrong" if p.id == "p5" else "correct", "1", "") for p in pool]
    files: dict[str, Any] = {"problems": pool, "tallies": tallied(grades).values(), "checked": checked}
    for name, held in (files | {"attempts": attempts, "grades": grades}).items():
        records.write(tmp_path / f"{name}.jsonl", held)
    named = {name: {"lab": tmp_path / f"{name}.jsonl"} for name in ("tallies", "attempts", "grades")}
    places = {name: tmp_path / f"{name}.jsonl" for name in ("problems", "checked")}
    stage = SelectionStage(selection=strategy("limo", size=2), seed=0, sieves=("lab",), **named, **places)
    assert load(dump(stage)) == stage
    stage.run(tmp_path)
    assert [e.id for e in records.read(tmp_path / "examples.jsonl", Example)] == ["p4#0", "p3#0"]
    reasons = {
        row["id"]: (row["step"], row["reason"], row["value"]) for _, row in records.rows(tmp_path / "dropped.jsonl")
    }
    assert reasons == {
        "p0#0": ("solve_rate", "too easy", 1.0),
        "p1#0": ("size", "ranked below", 4),
        "p2#0": ("size", "ranked below", 3),
        "p5#0": ("correct", "graded wrong", "1"),
    }
    facts = summary(tmp_path, SelectionSummary)
    assert (facts.problems, facts.candidates, facts.kept, facts.unmeasured) == (6, 6, 2, {"solve_rate": 2})
    assert facts.scores["kept"]["quality"]["0"] >= facts.scores["pool"]["quality"]["0.5"]


def test_size_and_seed_exist_in_every_strategy_and_words_weights_and_steps_can_be_overridden() -> None:
    for name in STRATEGIES:
        chosen = composed(f"selection={name}", "selection.size=7", "selection.seed=3")
        assert (chosen.size, chosen.seed) == (7, 3)
    assert composed("selection=level", "selection.level=2").level == 2
    changed = composed(
        "selection=limo",
        "keywords.connectives.words=[ergo]",
        "keywords.exploration.pattern='[a-p]<'",
        "selection.steps.quality.weight=0.5",
        "~selection.steps.solve_rate",
        "+selection.steps.bounds={_target_: limo.selection.Bounds, min: 3}",
    )
    assert list(changed.steps) == ["correct", "quality", "bounds"]
    quality = changed.steps["quality"]
    assert (quality.traits["connectives"].words, quality.traits["exploration"].pattern, quality.weight) == (
        ("ergo",),
        "[a-p]<",
        0.5,
    )


@component
class Odd:
    """A criterion of a user's own project."""

    def drop(self, pool: Sequence[Example], seed: int) -> dict[str, Dropped]:
        return {e.id: Dropped("even") for e in pool if int(e.id[1:3]) % 2 == 0}


def test_a_criterion_of_a_users_own_module_is_named_in_the_config() -> None:
    odd = composed("selection=random", "plugins=[tests.]", "+selection.steps.odd={_target_: tests.test_selection.Odd}")
    assert load(dump(odd), allowed=["limo", "tests"]) == odd
    assert sorted(choose(odd, [example(f"p{n:02}#0") for n in range(6)]) or []) == ["p01#0", "p03#0", "p05#0"]


def test_a_strategy_that_needs_attempts_says_so_before_any_work(tmp_path: Path) -> None:
    def lacks(selection: Selection, **files: Any) -> list[str]:
        return SelectionStage(problems=tmp_path / "problems.jsonl", selection=selection, seed=0, **files).missing()

    assert "selection.rank=solve_rate needs attempts" in lacks(strategy("hardest"))[0]
    assert "selection.candidates=both needs attempts" in lacks(strategy("random", candidates="both"))[0]
    assert lacks(strategy("random")) == lacks(strategy("limo")) == []
    there = {"sieves": ("fine",), "attempts": {"fine": tmp_path / "attempts.jsonl"}}
    assert lacks(strategy("hardest"), **there) == lacks(strategy("hardest", rank="solve_rate.fine"), **there) == []
    (said,) = lacks(strategy("hardest", rank="solve_rate.fin"), **there)
    assert said == "selection.rank=solve_rate.fin needs attempts at the problems; those of this run are fine"
    assert "selection.teachers=[qwq] needs" in lacks(strategy("random", teachers=("qwq",)), **there)[0]


def test_counts_of_a_band_are_those_of_the_attempts_or_refused() -> None:
    pool = [example(f"{k}#0", **{"right.fine": k, "tried.fine": 32, "solve_rate.fine": k / 32}) for k in range(6)]
    band = SolveRate(sieve="fine", keep="1..3 of 32")
    dropped = band.drop([*pool, example("x#0")], 0)
    assert {id: why.reason for id, why in dropped.items()} == {
        "0#0": "too hard",
        "4#0": "too easy",
        "5#0": "too easy",
    }
    assert "counts 16 tries and fine makes 32" in (SolveRate(sieve="fine", keep="1 of 16").fault({"fine": 32}) or "")
    with pytest.raises(UserError, match="counts 16 tries, and 0 has 32 of fine"):
        SolveRate(sieve="fine", keep="1 of 16").drop(pool, 0)
    with pytest.raises(UserError, match=r"steps.solve_rate: sieve=fin is none of this run \(fine\)"):
        words = ["selection.steps.solve_rate.sieve=fin", "attempts=limo_fine", "evaluation=none"]
        pipeline.tasks(compose(words), lambda name, stage: Pending.at(name))


def test_examples_of_one_run_are_problems_of_the_next(tmp_path: Path) -> None:
    pool = [Problem(f"p{n}", f"q{n}", Gold(str(n)), ("one \\boxed{1}", "two")) for n in range(4)]
    records.write(tmp_path / "problems.jsonl", pool)
    SelectionStage(problems=tmp_path / "problems.jsonl", selection=strategy("all", per_problem=1), seed=0).run(tmp_path)
    again = Files(path=tmp_path / "examples.jsonl", id="problem").problems()
    assert [(p.id, p.question, p.answer) for p in again] == [(p.id, p.question, p.answer) for p in pool]


def test_source_solutions_are_graded_only_where_a_step_asks_for_it() -> None:
    assert strategy("random").rules == Rules()
    assert strategy("random", candidates="attempts").rules is None
    assert strategy("all").rules is None


@pytest.mark.parametrize("held", [5, 5.0, "5", "5.0", " 5"])
@pytest.mark.parametrize("asked", [5, 5.0, "5"])
def test_where_compares_numbers_as_numbers(held: object, asked: object) -> None:
    pool = [
        dataclasses.replace(example(f"p{i}#0"), meta={"level": value})
        for i, value in enumerate((held, 4, None, "five"))
    ]
    assert Where(key="level", values=(asked,)).drop(pool, 0).keys() == {"p1#0", "p2#0", "p3#0"}
    assert Where(key="level", values=(None,)).drop(pool, 0).keys() == {"p0#0", "p1#0", "p3#0"}


def test_two_steps_that_grade_by_different_rules_are_refused() -> None:
    right, strict = Correct(rules=Rules()), Correct(rules=Rules(name="paper"))
    assert Selection(steps={"one": right, "two": right}).rules == Rules()
    with pytest.raises(ValidationError, match="steps one and two ask for solutions that are right by different rules"):
        Selection(steps={"one": right, "two": strict})


def test_a_remedy_names_a_key_that_exists() -> None:
    pool = [example(f"p{i}#0", quality=i / 10) for i in range(3)]
    chosen = Selection(steps={"quality": Random()}, rank="quality", level=3)
    with pytest.raises(
        UserError, match=r"selection.level=3: 3 candidates .* do not make 5 levels; set selection.bands=3"
    ):
        chosen.choose(pool, 0)
    unmeasured = Selection(rank="solve_rate", level=3)
    with pytest.raises(UserError, match=r"selection.rank=solve_rate: no candidate has this score; it needs attempts"):
        unmeasured.choose([example(f"p{i}#0") for i in range(9)], 0)
    with pytest.raises(UserError, match=r"loosen selection\.steps\.correct$"):
        Selection(steps={"correct": Correct(rules=Rules())}).choose([example("p#0", verdict="wrong")], 0)


def test_a_users_columns_named_like_facts_of_the_program_change_nothing(tmp_path: Path) -> None:
    own = {"gold": "medal", "origin": "contest", "verdict": "hard", "answer_type": "Numerical", "letter": "Q",
           "choices": "none", "tolerance": "high", "raw": "9", "where": "here"}  # fmt: skip
    rows = [{"question": f"{i}+1?", "answer": str(i + 1), "solution": f"\\boxed{{{i + 1}}}"} for i in range(4)]
    chosen = {}
    for name, more in (("plain", {}), ("columns", own)):
        pool = tmp_path / f"{name}.jsonl"
        pool.write_text("".join(json.dumps(row | more) + "\n" for row in rows))
        done = started(
            "data=files", f"data.path={pool}", "data.solution=solution", "attempts=none", "selection=all", "selection.size=null",
            "+selection/step@selection.steps.correct=correct", "evaluation=none", "stages=[data,selection]",
            f"data.meta=[{','.join(more)}]", f"hydra.run.dir={name}", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        chosen[name] = records.read(tmp_path / name / "selection/examples.jsonl", Example)
    assert len(chosen["plain"]) == 4
    assert [dataclasses.replace(e, meta={}) for e in chosen["columns"]] == chosen["plain"]
    assert all(e.meta == own and (e.origin, e.verdict) == ("source", "correct") for e in chosen["columns"])
