"""Strategies: what they keep, what they drop and why, and that neither order nor chance beyond the seed matters."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limo import UserError, records, tasks
from limo.attempts import SievingStage
from limo.compose import compose
from limo.config import component
from limo.data import Files
from limo.grading import Rules
from limo.lab import Pool
from limo.models import Model
from limo.plan.amounts import amounts
from limo.records import Attempt, Example, Gold, Grade, Problem, SelectionSummary, Tally, tallied
from limo.selection import (
    Between,
    Bounds,
    Boxed,
    Budget,
    CandidatesStage,
    Combine,
    Correct,
    Cut,
    Delete,
    Digits,
    Distinct,
    DomainDraw,
    Dpp,
    Dropped,
    Duplicates,
    FacilityLocation,
    KCenter,
    Length,
    Level,
    PresetDraw,
    Quality,
    Quotas,
    Random,
    Selection,
    SelectionStage,
    Shuffle,
    SolveRate,
    Strip,
    Trait,
    Turns,
    Where,
)
from limo.selection.candidates import Tried, candidates
from limo.selection.quality import scale
from limo.serial import dump, load
from limo.stage import Pending, summary
from tests.command import started

NEEDED = {
    "turns": ("selection.order.by=subject",),
    "quotas": ("selection.order.by=subject", "selection.order.shares={x: 0.5, y: 0.3, z: 0.2}"),
    "rds": ("+data@scores.likeness.to=gsm8k",),
    "s1_core": (
        *("selection.steps.length.unit=characters", "selection.steps.length.model=null"),
        *("selection.order.source=subject", "+selection.order.preset.x=12"),
    ),
}
"""What a strategy cannot do without."""
COLUMNS = ("rsr", "surprisal", "perplexity", "ifd", "local")
STRATEGIES = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / "selection").glob("[!_]*.yaml"))


def example(id: str = "p#0", solution: str = "\\boxed{1}", verdict: str | None = "correct", **scores: float) -> Example:
    return Example(id, id.partition("#")[0], f"question {id}", "1", solution, verdict=verdict, scores=scores)


@cache
def composed(*overrides: str) -> Selection:
    defaults = ["evaluation=none", "data=files", "selection.size=null"]
    chosen: Selection = compose([*defaults, *overrides]).selection
    return chosen


def strategy(name: str, **fields: Any) -> Selection:
    return dataclasses.replace(composed(f"selection={name}", *NEEDED.get(name, ())), **fields)


def number_of(*names: str) -> float:
    """A number from 0 to 2 that follows from names."""
    return int.from_bytes(hashlib.sha256(" ".join(names).encode()).digest()[:2]) / 2**15


def measured(found: Example) -> Example:
    """A candidate with the columns of every member of `scores`."""
    columns = {f"likelihood.{name}": number_of(found.id, name) for name in COLUMNS}
    return dataclasses.replace(
        found,
        scores=found.scores
        | columns
        | {"likeness.place": number_of(found.id), "response.plain": number_of(found.problem)},
    )


def vectors_of(pool: Sequence[Example]) -> dict[str, dict[str, np.ndarray]]:
    """Vectors that follow from the ids; some are the same."""
    found = {}
    for one in pool:
        vector = np.array([number_of(one.id[:2], str(axis)) - 1 for axis in range(3)], np.float32)
        found[one.id] = vector / np.linalg.norm(vector)
    return {"tfidf": found}


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
            subject = draw(st.sampled_from("xyz"))
            found.append(measured(dataclasses.replace(held, meta={"subject": subject, "domain": subject})))
    return found


@pytest.fixture(scope="module")
def strategies() -> dict[str, Selection]:
    return {name: strategy(name) for name in STRATEGIES}


def choose(selection: Selection, pool: list[Example], seed: int = 0) -> list[str] | None:
    """Ids kept, best first; None where the strategy says that the pool does not do."""
    try:
        return [e.id for e in selection.choose(pool, seed, vectors_of(pool)).kept]
    except UserError:
        return None


def test_every_strategy_is_tried_here() -> None:
    named = "all band deita dpp easiest facility_location hardest ifd k_center level limo local_surprisal longest openthoughts perplexity"
    named += " quality quotas random rds rsr s1 s1_core select2reason shortest surprisal turns"
    assert named.split() == STRATEGIES


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
    near = vectors_of(pool)
    assert strategies[name].choose(shuffled, seed, near) == strategies[name].choose(pool, seed, near), "reasons too"
    for size in range(1, len(whole) + 1):
        outcome = dataclasses.replace(strategies[name], size=size).choose(pool, seed, near)
        assert [e.id for e in outcome.kept] == whole[:size], "a smaller size keeps the first of a larger one"
        accounted = [e.id for e in outcome.kept] + [e.id for e, _, _ in outcome.dropped]
        assert Counter(accounted) == Counter(e.id for e in pool)
    with pytest.raises(
        UserError, match=rf"selection.size={len(whole) + 1}: only {len(whole)} of {len(pool)} candidates are left"
    ):
        dataclasses.replace(strategies[name], size=len(whole) + 1).choose(pool, seed, near)


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
        "steps": Trait(weight=0.5, pattern=r"=\d;"),
    }
    quality = Quality(traits=traits, unit="words", scaling="none")
    found = quality.score([example("a#0", "Double check. a=3; b=4; unchecked,recheck CHECK")], 0)["a#0"]
    assert (found["length"], found["verification"], found["steps"]) == (6.0, 2 / 6, 2 / 6)
    assert found[""] == pytest.approx(0.3 * 6 + 0.2 * 2 / 6 + 0.5 * 2 / 6)


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


def leveled(within: str, keep: int) -> Selection:
    return composed("selection=level", f"selection.steps.level.within={within}", f"selection.steps.level.keep={keep}")


def test_levels_within_problems_have_the_same_problems_and_leave_out_those_with_too_few_solutions() -> None:
    pool = [
        example(f"p{n}#{place}", "check " * ((7 * place + n) % 8) + "so " * (place + 1) + "\\boxed{1}")
        for n in range(4)
        for place in range(n and 4 + n)
    ]
    outcomes = [leveled("problem", keep).choose(pool, 0) for keep in range(1, 6)]
    assert [{e.problem for e in outcome.kept} for outcome in outcomes] == [{"p1", "p2", "p3"}] * 5
    for lower, higher in pairwise(outcomes):
        best = {e.problem: e.scores["quality"] for e in lower.kept}
        assert all(e.scores["quality"] >= best[e.problem] for e in higher.kept)
    few = [e for e in pool if e.problem == "p1"][:3]
    also = [dataclasses.replace(e, id=f"p9#{n}", problem="p9") for n, e in enumerate(few)]
    dropped = leveled("problem", 1).choose(pool + also, 0).dropped
    (left_out,) = {(why.reason, why.value) for e, _, why in dropped if e.problem == "p9"}
    assert left_out == ("too few solutions for the levels", 3)


def test_levels_divide_the_pool_into_equal_bands_of_rising_quality() -> None:
    pool = lab_candidates()
    whole = strategy("quality").choose(pool, 0).kept
    bands = [leveled("pool", keep).choose(pool, 0).kept for keep in range(1, 6)]
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
    spread = dataclasses.replace(plain, order=Turns(by="subject")).choose(pool, 0).kept
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
        (lambda: Quality(traits={}, weight=0.5), "0.5 together; give such as are 1"),
        (lambda: Combine(of={"length": 0.5, "solve_rate": -0.4}), "0.9 together; give such as are 1"),
        (lambda: Combine(of={}), "at least one column"),
        (lambda: Level(keep=6), "keep=6 must be one of 1 to 5"),
        (lambda: Between(of="x", low=2, high=1), "low must not be above high"),
        (lambda: Between(of="x", high=3, quantiles=True), "must be shares from 0 to 1"),
        (lambda: Quotas(by="x", shares={"a": 0.5, "b": 0.4}), "sum to 1, not 0.9"),
        (lambda: DomainDraw(base=0.5), "base=0.5 must be 1 or more"),
        (lambda: KCenter(first=0), "first=0 must be 1 or more"),
        (lambda: Cut(share=1.5), "share=1.5 must be from 0 to 1"),
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
    stage = selected(tmp_path, strategy("limo", size=2), sieves=("lab",), checked=tmp_path / "checked.jsonl", **named)
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


@given(st.permutations(range(6)), st.integers(3, 60), st.integers(0, 40))
def test_a_budget_keeps_the_best_that_fit_and_a_larger_one_keeps_them_too(
    order: list[int], most: int, more: int
) -> None:
    pool = [example(f"{n}#0", "word " * (n + 3)) for n in order]
    spent, larger = (
        [
            e.id
            for e in Selection(rank="words", steps={"words": Length(unit="words")}, lowest=True, budget=budget)
            .choose(pool, 0)
            .kept
        ]
        for budget in (Budget(unit="words", most=most), Budget(unit="words", most=most + more))
    )
    words = [3, 4, 5, 6, 7, 8]
    assert larger[: len(spent)] == spent == [f"{n}#0" for n in range(6) if sum(words[: n + 1]) <= most]


def test_a_budget_in_tokens_of_the_model_is_chosen_from_the_command_line_and_planned() -> None:
    words = ["+experiment=limo817", "+selection/budget@selection.budget=tokens", "selection.budget.most=600000"]
    config = compose(words)
    assert config.selection.budget == Budget(unit="tokens", model=config.model, most=600_000)
    assert amounts(config, {}).examples == round(600_000 / amounts(config, {}).length)
    with pytest.raises(UserError, match=r"selection\.budget\.most=2: the first solution is longer; raise it"):
        Selection(budget=Budget(unit="words", most=2)).choose([example("a#0", "one two three")], 0)


def test_size_and_seed_exist_in_every_strategy_and_words_weights_and_steps_can_be_overridden() -> None:
    for name in STRATEGIES:
        chosen = composed(f"selection={name}", "selection.size=7", "selection.seed=3", *NEEDED.get(name, ()))
        assert (chosen.size, chosen.seed) == (7, 3)
    changed = composed(
        "selection=limo",
        "keywords.connectives.words=[ergo]",
        "keywords.exploration.pattern='[a-p]<'",
        "selection.steps.quality.weight=0.4",
        "keywords.verification.weight=0.1",
        "~selection.steps.solve_rate",
        "+selection.steps.bounds={_target_: limo.selection.Bounds, min: 3}",
    )
    assert list(changed.steps) == ["correct", "quality", "bounds"]
    quality = changed.steps["quality"]
    assert (quality.traits["connectives"].words, quality.traits["exploration"].pattern, quality.weight) == (
        ("ergo",),
        "[a-p]<",
        0.4,
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
        about = {"which": selection.candidates, "teachers": selection.teachers}
        gathered = CandidatesStage(problems=tmp_path / "problems.jsonl", **about, **files)
        stage = SelectionStage(candidates=tmp_path, sieves=files.get("sieves", ()), selection=selection, seed=0)
        return [*gathered.missing(), *stage.missing()]

    assert "selection.rank=solve_rate needs attempts" in lacks(strategy("hardest"))[0]
    assert "selection.candidates=both needs attempts" in lacks(strategy("random", candidates="both"))[0]
    assert lacks(strategy("random")) == lacks(strategy("limo")) == []
    there = {"sieves": ("fine",), "attempts": {"fine": tmp_path / "attempts.jsonl"}}
    assert lacks(strategy("hardest"), **there) == lacks(strategy("hardest", rank="solve_rate.fine"), **there) == []
    (said,) = lacks(strategy("hardest", rank="solve_rate.fin"), **there)
    assert said == "selection.rank=solve_rate.fin needs attempts at the problems; those of this run are fine"
    assert "selection.teachers=[qwq] needs" in lacks(strategy("random", teachers=("qwq",)), **there)[0]
    assert "selection.rank=likelihood.rsr is no score of this run" in lacks(strategy("rsr"))[0]


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
        tasks.walk(compose(words), lambda name, stage: Pending.at(name))


def selected(folder: Path, selection: Selection, **files: Any) -> SelectionStage:
    """A selection stage behind a finished gathering of candidates."""
    (folder / "gathered").mkdir()
    CandidatesStage(problems=folder / "problems.jsonl", which=selection.candidates, **files).run(folder / "gathered")
    return SelectionStage(candidates=folder / "gathered", selection=selection, seed=0)


def test_examples_of_one_run_are_problems_of_the_next(tmp_path: Path) -> None:
    pool = [Problem(f"p{n}", f"q{n}", Gold(str(n)), ("one \\boxed{1}", "two")) for n in range(4)]
    records.write(tmp_path / "problems.jsonl", pool)
    selected(tmp_path, strategy("all", per_problem=1)).run(tmp_path)
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
    with pytest.raises(
        UserError, match=r"levels=5: the 3 candidates with a score do not make so many; set levels=3 or less$"
    ):
        Level(within="pool").drop(pool, 0)
    with pytest.raises(
        UserError, match=r"levels=5: the 1 candidates of any problem .*, or compare .* with within=pool"
    ):
        Level().drop(pool, 0)
    unmeasured = Selection(rank="solve_rate")
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


def ranked(count: int, **meta: Sequence[str]) -> list[Example]:
    """Candidates best first."""
    return [
        dataclasses.replace(example(f"p{n:02}#0"), meta={key: values[n % len(values)] for key, values in meta.items()})
        for n in range(count)
    ]


def unit_vectors(pool: Sequence[Example], seed: int, width: int = 3) -> dict[str, dict[str, np.ndarray]]:
    rows = np.abs(np.random.default_rng(seed).normal(size=(len(pool), width)))
    return {"tfidf": {e.id: row / np.linalg.norm(row) for e, row in zip(pool, rows.astype(np.float32), strict=True)}}


@given(st.integers(0, 99), st.integers(1, 12))
def test_deitas_filter_takes_no_candidate_nearer_than_the_threshold_and_of_two_alike_exactly_one(
    seed: int, count: int
) -> None:
    pool, near = ranked(count), unit_vectors(ranked(count), seed)["tfidf"]
    order = Distinct(threshold=0.9).order(pool, {"tfidf": near}, 0)
    taken: list[str] = []
    for e in pool:
        if all(float(near[e.id] @ near[name]) <= 0.9 for name in taken):
            taken.append(e.id)
    assert order == taken + [e.id for e in pool if e.id not in taken]
    assert Distinct(threshold=1.01).order(pool, {"tfidf": near}, 0) == [e.id for e in pool], "plain top-k"
    twice = {**near, pool[-1].id: near[pool[0].id]}
    if count > 1:
        assert Distinct(threshold=0.999).order(pool, {"tfidf": twice}, 0)[-1] == pool[-1].id


@given(st.integers(0, 99), st.integers(2, 9))
def test_greedy_orders_do_at_every_turn_what_looking_at_all_would(seed: int, count: int) -> None:
    pool, table = ranked(count), unit_vectors(ranked(count), seed, width=12)
    like = np.stack([table["tfidf"][e.id] for e in pool]).astype(np.float64)
    like = like @ like.T
    place = {e.id: n for n, e in enumerate(pool)}
    centers = [place[name] for name in KCenter().order(pool, table, 0)]
    covers = [place[name] for name in FacilityLocation().order(pool, table, 0)]
    points = [place[name] for name in Dpp(quality=0.0).order(pool, table, 0)]
    for turn in range(1, count):
        before, left = centers[:turn], [n for n in range(count) if n not in centers[:turn]]
        assert like[centers[turn], before].max() == pytest.approx(min(like[n, before].max() for n in left), abs=1e-5)

        def covered(chosen: list[int]) -> float:
            return float(np.maximum(like[:, chosen], 0).max(1).sum())

        rest = [n for n in range(count) if n not in covers[:turn]]
        assert covered(covers[: turn + 1]) == pytest.approx(max(covered([*covers[:turn], n]) for n in rest), abs=1e-4)

        def volume(chosen: list[int]) -> float:
            return float(np.linalg.det(like[np.ix_(chosen, chosen)]))

        best = max(volume([*points[:turn], n]) for n in range(count) if n not in points[:turn])
        assert best < 1e-6 or volume(points[: turn + 1]) == pytest.approx(best, rel=1e-3)


def test_only_the_best_ranked_take_part_in_an_order_over_vectors() -> None:
    pool = ranked(9)
    order = KCenter(first=4).order(pool, unit_vectors(pool, 1), 0)
    assert sorted(order[:4]) == [e.id for e in pool[:4]] and order[4:] == [e.id for e in pool[4:]]
    with pytest.raises(
        UserError, match=r"selection.order.vectors=tfidf: there are vectors of no member of scores; add them"
    ):
        KCenter().order(pool, {}, 0)


def test_every_first_part_of_quotas_is_as_near_to_the_shares_as_it_can_be() -> None:
    pool = ranked(60, kind=("a", "b", "c"))
    order = Quotas(by="kind", shares={"a": 0.7, "b": 0.3}).order(pool, {}, 0)
    kind = {e.id: e.meta["kind"] for e in pool}
    for size in range(1, 25):
        assert abs(sum(kind[name] == "a" for name in order[:size]) - 0.7 * size) <= 1
    assert [kind[name] for name in order[-20:]] == ["c"] * 20


def test_domains_are_drawn_alike_until_the_switch_and_then_by_weight_the_best_of_each_the_likelier() -> None:
    pool = ranked(400, domain=("a", "b", "b", "b"))
    drawn = DomainDraw(switch=80, weights={"a": 1.0})
    domain, place = {e.id: e.meta["domain"] for e in pool}, {e.id: n for n, e in enumerate(pool)}
    early = Counter(domain[name] for seed in range(20) for name in drawn.order(pool, {}, seed)[:80])
    late = Counter(domain[name] for seed in range(20) for name in drawn.order(pool, {}, seed)[80:100])
    assert 0.4 < early["a"] / early.total() < 0.6 and late["a"] == late.total()
    first = [next(name for name in DomainDraw().order(pool, {}, seed) if domain[name] == "b") for seed in range(400)]
    share = sum(place[name] == 1 for name in first) / len(first)
    assert 0.43 < share < 0.57, "half, as 1/2 + 1/4 + … has it"


def test_the_preset_of_s1_comes_first_and_the_draw_after_it_counts_it() -> None:
    sources = {"AIME": 1, "MATH": 5601, "NUMINA": 9000}
    pool = [
        dataclasses.replace(
            example(f"{source}{n}#0", verdict="wrong" if n == 3 else "correct", length=long - (n == 2)),
            meta={"source": source, "domain": f"d{n % 2}"},
        )
        for source, long in sources.items()
        for n in range(8)
    ]
    ranked = sorted(pool, key=lambda e: (-e.scores["length"], e.id))
    order = PresetDraw(preset={"AIME": 0, "MATH": 5600}, switch=None)
    found = order.order(ranked, {}, 0)
    preset = [e.id for e in ranked if e.meta["source"] != "NUMINA" and e.id[4] not in "23"]
    assert found[: len(preset)] == preset, "right ones above the bound, as they are ranked"
    rest = [e for e in ranked if e.id not in preset]
    assert found[len(preset) :] == DomainDraw(switch=None).draw(rest, 0, before=len(preset))
    weighed = PresetDraw(preset={"AIME": 0, "MATH": 5600}, switch=len(preset), weights={"d1": 1.0}).order(ranked, {}, 0)
    ones = sum(e.meta["domain"] == "d1" for e in rest)
    domains = {e.id: e.meta["domain"] for e in pool}
    assert {domains[name] for name in weighed[len(preset) :][:ones]} == {"d1"}, "after the switch by weights"
    assert Selection(order=order).rules == order.rules, "the source's solutions are graded for it"


def test_questions_that_a_plain_model_answers_at_length_come_first(tmp_path: Path) -> None:
    pool = [Problem(name, f"{name}?", Gold("7"), (f"\\boxed{{7}} {name}",)) for name in "abc"]
    tries = [
        Attempt(name, n, 0, "x" * long, "stop", 1, 1)
        for name, long in zip("abc", (5, 9, 7), strict=True)
        for n in (0, 1)
    ]
    records.write(tmp_path / "pool.jsonl", pool)
    records.write(tmp_path / "tries.jsonl", tries)
    SievingStage(problems=tmp_path / "pool.jsonl", attempts=tmp_path / "tries.jsonl", rules=Rules()).run(tmp_path)
    found = candidates(pool, {"plain": Tried(records.read(tmp_path / "tallies.jsonl", Tally))}, which="source")
    assert {e.problem: e.scores["response.plain"] for e in found} == {"a": 5.0, "b": 9.0, "c": 7.0}
    chosen = strategy("openthoughts")
    assert [e.problem for e in chosen.choose(found, 0).kept] == ["b", "c", "a"]
    assert "plain" in compose(["selection=openthoughts", "evaluation=none"]).attempts, "it brings the sieve that asks"


def test_an_order_by_a_column_that_nobody_has_is_refused_with_those_there_are() -> None:
    pool = ranked(3, subject=("x",))
    with pytest.raises(UserError, match=r"selection.order.by=domain: no candidate has this column; there are subject"):
        DomainDraw().order(pool, {}, 0)
    with pytest.raises(UserError, match=r"key=level: no candidate has this column; there are subject"):
        Where(key="level", values=(1,)).drop(pool, 0)


def test_a_combination_is_the_longest_at_one_end_and_the_hardest_at_the_other() -> None:
    pool = [example(f"p{n}#0", "x" * (n * 7 % 5 + 1), solve_rate=(n * 3 % 5) / 5) for n in range(5)]
    length = {"length": Length(unit="characters")}

    def by(**of: float) -> list[str] | None:
        return choose(Selection(steps={**length, "joint": Combine(of=of)}, rank="joint"), pool)

    assert by(length=1.0) == choose(Selection(steps=length, rank="length"), pool)
    assert by(solve_rate=-1.0) == choose(Selection(rank="solve_rate", lowest=True), pool)
    scores = Combine(of={"a": 0.25, "b": -0.75}, scaling="minmax").score(
        [example("p#0", a=0.0, b=4.0), example("q#0", a=10.0, b=2.0), example("r#0", a=5.0)], 0
    )
    assert scores == {"p#0": {"": 0.0}, "q#0": {"": 1.0}}, "what lacks a column has no score"
    product = Combine(of={"a": 1.0, "b": 2.0}, how="product", scaling="none").score([example("p#0", a=3.0, b=2.0)], 0)
    assert product == {"p#0": {"": 12.0}}


def test_candidates_without_the_score_come_last_or_go_or_stop_the_run() -> None:
    pool = [example("a#0"), example("b#0", solve_rate=0.5)]
    hardest = strategy("hardest")
    assert choose(hardest, pool) == ["b#0", "a#0"]
    assert choose(dataclasses.replace(hardest, unscored="drop"), pool) == ["b#0"]
    with pytest.raises(UserError, match=r"rank=solve_rate: 1 of 2 candidates have no such score \(a#0 …\); choose"):
        dataclasses.replace(hardest, unscored="stop").choose(pool, 0)


def test_what_goes_round_and_round_is_measured_once() -> None:
    once, again = "Let me see. It is two.\n", "It is two.\n" * 9
    measure = Length(unit="characters", loops="once")
    assert measure.counter()(once + again) == len(once) < Length(unit="characters").counter()(once + again)


TEXT = "First.\n\nSecond, check 12.\n\nThird 34.\n\nSo \\boxed{7}"


@pytest.mark.parametrize("rewriter", [Cut(), Shuffle(), Delete(), Digits(share=1.0)], ids=lambda r: type(r).__name__)
def test_a_rewriting_follows_from_the_example_and_the_seed_and_keeps_the_answer(rewriter: Any) -> None:
    one = dataclasses.replace(example("p#0", TEXT), answer="7")
    found = {seed: rewriter.rewrite(one, seed) for seed in range(8)}
    assert all(rewriter.rewrite(one, seed) == text for seed, text in found.items())
    assert all(text.endswith("\\boxed{7}") for text in found.values()) and {*found.values()} != {TEXT}
    if not isinstance(rewriter, Cut):
        assert len(set(found.values())) > 1, "the seed draws"


def test_steps_are_moved_or_left_out_and_words_taken_out_as_asked() -> None:
    one = dataclasses.replace(example("p#0", TEXT), answer="7")
    assert Cut(share=0.5).rewrite(one, 0) == "First.\n\nSecond, check 12.\n\\boxed{7}"
    shuffled = Shuffle().rewrite(one, 1)
    assert sorted(shuffled.split("\n\n")) == sorted(TEXT.split("\n\n"))
    assert Delete(share=1.0).rewrite(one, 0) == "So \\boxed{7}"
    assert Delete(share=0.0).rewrite(one, 0) == TEXT == Shuffle(share=0.0).rewrite(one, 0)
    lab = dataclasses.replace(one, solution="n<k;n=3;k=3+4=7;\\boxed{7}")
    assert Delete(share=1.0).rewrite(lab, 0) == "\\boxed{7}", "signs without lines or sentences are cut at semicolons"
    stripped = Strip(traits={"check": Trait(weight=1.0, words=("check",))}).rewrite(one, 0)
    assert "check" not in stripped and "Second, 12" in stripped


def test_a_chosen_example_says_what_changed_its_text_and_dropped_ones_keep_theirs(tmp_path: Path) -> None:
    records.write(
        tmp_path / "problems.jsonl", [Problem(f"p{n}", f"q{n}", Gold("7"), (TEXT, "short")) for n in range(3)]
    )
    chosen = strategy("all", transforms={"cut": Cut(), "delete": Delete(share=0.0)})
    stage = selected(tmp_path, chosen)
    stage.run(tmp_path)
    kept = records.read(tmp_path / "examples.jsonl", Example)
    assert {(e.id[-1], e.transforms) for e in kept} == {("0", ("cut@2",)), ("1", ("cut@2",))}
    assert summary(tmp_path, SelectionSummary).transformed == {"cut@2": 6}


def test_a_trait_that_never_shows_is_said_to_be_dead(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pool = [Problem(f"p{n}", f"q{n}", Gold("1"), ("so " * n + "\\boxed{1}",)) for n in range(1, 30)]
    records.write(tmp_path / "problems.jsonl", pool)
    steps = {name: step for name, step in strategy("quality").steps.items() if name == "quality"}
    with caplog.at_level("INFO"):
        selected(tmp_path, Selection(steps=steps, rank="quality")).run(tmp_path)
    found = summary(tmp_path, SelectionSummary)
    assert found.traits["quality"]["verification"].zeros == 1.0
    assert found.traits["quality"]["verification"].correlation is None
    assert (found.traits["quality"]["length"].correlation or 0) > 0.9
    assert "! selection: exploration, verification of quality is zero in 95 % of the candidates or more" in caplog.text
