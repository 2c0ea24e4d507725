"""Every formula against an independent one: scipy, brute force, or simulation."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from limo import statistics
from limo.statistics import metrics, paired

cells = st.integers(0, 1)
tables = st.integers(1, 6).flatmap(lambda k: st.lists(st.lists(cells, min_size=k, max_size=k), min_size=2, max_size=8))


@given(tables)
def test_avg_at_k_is_the_share_of_right_answers(table):
    assert metrics.average(table) == pytest.approx(np.mean(table))


@given(tables, st.data())
def test_pass_at_j_is_the_share_of_subsets_with_a_right_answer(table, data):
    j = data.draw(st.integers(1, len(table[0])))
    brute = np.mean([np.mean([max(s) for s in itertools.combinations(row, j)]) for row in table])
    assert metrics.pass_at(table, j) == pytest.approx(brute)


def test_pass_at_1_is_avg_at_k_and_pass_at_k_is_any():
    table = [[1, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert metrics.pass_at(table, 1) == pytest.approx(metrics.average(table))
    assert metrics.pass_at(table, 4) == pytest.approx(2 / 3)


@given(st.lists(st.tuples(st.sampled_from("abc_"), cells), min_size=1, max_size=6), st.data())
def test_maj_at_j_is_the_expected_credit_over_subsets(row, data):
    right = dict(row)  # one verdict a class
    kinds = [None if kind == "_" else kind for kind, _ in row]
    table = [[0 if kind is None else right[kind] for kind in kinds]]
    j = data.draw(st.integers(1, len(row)))
    credits = []
    for subset in itertools.combinations(kinds, j):
        votes = Counter(kind for kind in subset if kind is not None).most_common()
        tied = [kind for kind, n in votes if n == votes[0][1]]
        credits.append(sum(right[kind] for kind in tied) / len(tied) if tied else 0)
    assert metrics.majority([kinds], table, j) == pytest.approx(np.mean(credits))


def test_maj_from_drawn_subsets_comes_near_the_exact_one(monkeypatch):
    kinds = [["a"] * 7 + ["b"] * 6 + [None] * 3]
    table = [[1] * 7 + [0] * 9]
    drawn = metrics.majority(kinds, table, 8)  # 12,870 subsets
    monkeypatch.setattr(metrics, "SUBSETS", 20_000)
    assert drawn == pytest.approx(metrics.majority(kinds, table, 8), abs=0.03)


def test_a_majority_counts_classes_and_not_how_often_a_string_comes():
    table = [[1, 1, 0, 0, 0]]
    assert metrics.majority([["x", "x", "p", "q", "r"]], table, 5) == 1.0
    assert metrics.majority([["x", "x", "p", "p", "p"]], table, 5) == 0.0
    assert metrics.majority([["x", "x", "p", "p", None]], table, 5) == 0.5


@given(tables)
def test_the_interval_is_scipys_t_interval_over_questions_in_the_middle(table):
    shares = np.mean(table, axis=1)
    found = statistics.interval(table)
    if shares.std() > 0 and 0.1 <= shares.mean() <= 0.9:
        low, high = stats.ttest_1samp(shares, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((max(0, low), min(1, high)))
        assert found.method == "t over questions"
    else:
        assert found.method.startswith("Wilson")


@given(st.integers(1, 400), st.data())
def test_wilson_is_scipys(n, data):
    k = data.draw(st.integers(0, n))
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert statistics.wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_thirty_of_thirty_is_not_certainty():
    sure = statistics.interval([[1]] * 30)
    assert sure.low == pytest.approx(stats.binomtest(30, 30).proportion_ci(method="wilson").low)
    assert sure.high == pytest.approx(1) and 0.88 < sure.low < 0.89
    fixed = statistics.fixed_interval([[1, 1, 1, 1]] * 30)
    assert fixed is not None and fixed.low < 1.0


def test_one_greedy_answer_a_question_says_nothing_about_the_questions_being_fixed():
    assert statistics.fixed_interval([[1], [0]]) is None


@pytest.mark.parametrize(("n", "k", "a", "b"), [(30, 4, 0.45, 0.45), (30, 16, 1.9, 0.1), (200, 1, 0.3, 2.7)])
def test_the_intervals_cover_what_they_promise(n, k, a, b):
    rng = np.random.default_rng(0)
    trials, sure, fixed, naive = 300, 0, 0, 0
    for _ in range(trials):
        p = rng.beta(a, b, n)
        table = (rng.random((n, k)) < p[:, None]).astype(int)
        found = statistics.interval(table.tolist())
        sure += found.low <= a / (a + b) <= found.high
        again = statistics.fixed_interval(table.tolist())
        fixed += again is not None and again.low <= p.mean() <= again.high
        share = table.mean()
        naive += abs(share - a / (a + b)) <= 1.96 * math.sqrt(max(share * (1 - share), 1e-9) / (n * k))
    assert sure / trials > 0.9
    if k > 1:
        assert fixed / trials > 0.9
        assert naive / trials < 0.9  # samples of one question are not independent: the check can fail


def test_the_fixed_interval_has_the_variance_of_sampling_again():
    rng = np.random.default_rng(1)
    p = rng.beta(0.45, 0.45, 40)
    draws = rng.random((4000, 40, 8)) < p[:, None]
    true = draws.mean(axis=(1, 2)).std()
    errors = [statistics.fixed_interval(d.astype(int).tolist()).error for d in draws[:200]]  # type: ignore[union-attr]
    assert np.mean(errors) == pytest.approx(true, rel=0.05)


def test_the_detectable_difference_is_found_with_80_percent_power():
    rng = np.random.default_rng(2)
    n, k = 60, 4
    p = rng.uniform(0.25, 0.75, (2000, n))
    gap = rng.normal(0, math.sqrt(paired.VARIANCE), (2000, n))
    size = np.mean([statistics.detectable((rng.random((n, k)) < q[:, None]).astype(int).tolist()) for q in p[:100]])
    q = np.clip(p + gap + size, 0, 1)
    size = (q - p).mean()  # clipping takes a little of it
    first, second = rng.binomial(k, p) / k, rng.binomial(k, q) / k
    power = np.mean(stats.ttest_rel(second, first, axis=1).pvalue < 0.05)
    assert 0.7 < power < 0.9, (size, power)


def test_the_mean_over_benchmarks_combines_their_errors():
    one, two = statistics.interval([[1], [0]] * 20), statistics.interval([[1], [0], [0]] * 50)
    mean, over = statistics.mean_of([(0.5, one), (1 / 3, two)])
    assert mean == pytest.approx(5 / 12)
    assert over.error == pytest.approx(math.hypot(one.error, two.error) / 2)
    assert over.high - mean == pytest.approx(math.hypot(one.high - 0.5, two.high - 1 / 3) / 2)


def test_the_interval_of_the_mean_covers_also_where_benchmarks_are_near_their_ends():
    rng = np.random.default_rng(5)
    hits, trials = 0, 300
    for _ in range(trials):
        tables = [
            (rng.random((30, 4)) < rng.beta(a, b, (30, 1))).astype(int).tolist() for a, b in ((1.9, 0.1), (0.4, 0.6))
        ]
        _, over = statistics.mean_of([(metrics.average(t), statistics.interval(t)) for t in tables])
        hits += over.low <= (0.95 + 0.4) / 2 <= over.high
    assert hits / trials > 0.9


@pytest.mark.parametrize("table", [[], [[1], [1, 0]], [[], []]])
def test_unequally_many_samples_are_refused(table):
    with pytest.raises(ValueError, match="same number of samples"):
        metrics.average(table)


def test_more_samples_than_there_are_cannot_be_asked_for():
    with pytest.raises(ValueError, match="pass@3 needs 3 samples"):
        metrics.pass_at([[1, 0]], 3)
    with pytest.raises(ValueError, match="maj@3 needs 3 samples"):
        metrics.majority([["a", "b"]], [[1, 0]], 3)


@given(st.integers(1, 64))
def test_steps_are_powers_of_two_and_k(k):
    steps = metrics.powers(k)
    assert steps[0] == 1 and steps[-1] == k and all(math.log2(j).is_integer() for j in steps[:-1])


def test_a_loop_at_the_end_is_seen_and_ordinary_text_is_not():
    assert metrics.repeats("So the answer is 4. " + "Wait, let me check again. " * 10)
    assert metrics.repeats("Let me think. " + "-" * 80)
    assert not metrics.repeats("We add 2 and 3, then 3 and 4, then 4 and 5, then 5 and 6; the sum is \\boxed{24}.")
    assert not metrics.repeats(
        "Wait. Wait. Wait. " + "Now it is clear that the sum of the digits is seven, so \\boxed{7}."
    )


runs = st.integers(2, 7).flatmap(
    lambda n: st.tuples(st.lists(cells, min_size=n, max_size=n), st.lists(cells, min_size=n, max_size=n))
)


def apart(first, second):
    found = statistics.difference([{"b": first}], [{"b": second}])
    assert found is not None
    return found


@given(runs)
def test_with_one_sample_the_p_value_is_mcnemars_exact_one(pair):
    first, second = ({str(i): [c] for i, c in enumerate(run)} for run in pair)
    found = apart(first, second)
    better = sum(b > a for a, b in zip(*pair, strict=True))
    worse = sum(b < a for a, b in zip(*pair, strict=True))
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert found.p == pytest.approx(expected) and found.exact


@given(runs)
def test_the_interval_never_contradicts_the_p_value(pair):
    first, second = ({str(i): [c] for i, c in enumerate(run)} for run in pair)
    for found in (apart(first, second), statistics.difference([{"b": first}] * 2, [{"b": second}] * 2)):
        assert found.low <= found.value <= found.high
        if found.p < 0.0499:
            assert not found.low < 0 < found.high
        elif found.p > 0.0501:
            assert found.low <= 0 <= found.high


@given(runs)
def test_turned_around_a_difference_has_the_other_sign_and_the_same_p(pair):
    first, second = ({str(i): [c] for i, c in enumerate(run)} for run in pair)
    there, back = apart(first, second), apart(second, first)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p == pytest.approx(back.p) and (there.first, there.second) == (back.second, back.first)


@settings(max_examples=20)
@given(st.lists(st.integers(-4, 4), min_size=2, max_size=9))
def test_the_p_value_is_that_of_all_sign_flips(gaps):
    brute = np.mean([
        abs(sum(s * g for s, g in zip(signs, gaps, strict=True))) >= abs(sum(gaps))
        for signs in itertools.product((-1, 1), repeat=len(gaps))
    ])  # fmt: skip
    assert paired.sign_flips(gaps) == pytest.approx(brute)


def test_sign_flips_agree_with_scipys_permutation_test():
    rng = np.random.default_rng(3)
    gaps = rng.integers(-4, 6, 40)
    expected = stats.permutation_test(
        (gaps,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
    )
    assert paired.sign_flips(gaps.tolist()) == pytest.approx(expected.pvalue, abs=0.01)


def test_the_interval_of_a_difference_is_scipys_paired_t_interval():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 2, (30, 4)), rng.integers(0, 2, (30, 16))
    found = apart(*({str(i): row.tolist() for i, row in enumerate(run)} for run in (a, b)))
    expected = stats.ttest_rel(b.mean(axis=1), a.mean(axis=1)).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_equal_runs_differ_by_nothing_but_not_certainly():
    run = {str(i): [1] for i in range(30)}
    found = apart(run, run)
    assert found.value == 0 and found.p == 1
    assert found.low < 0 < found.high


def test_only_questions_of_both_runs_are_compared():
    found = apart({"a": [1], "b": [0]}, {"b": [1], "c": [1]})
    assert (found.questions, found.value, found.first, found.second) == ({"b": 1}, 1.0, 0.0, 1.0)
    assert statistics.difference([{"x": {"a": [1]}}], [{"x": {"b": [1]}}]) is None
    assert statistics.difference([{"x": {"a": [1]}}], [{"y": {"a": [1]}}]) is None
    assert statistics.difference([], [{"y": {"a": [1]}}]) is None


def test_the_mean_of_a_difference_is_over_the_benchmarks_of_both():
    def suite(**right):
        return {n: {str(i): [int(i < c)] for i in range(50)} for n, c in right.items()}

    found = statistics.difference([suite(x=10, y=20, z=1)], [suite(x=30, y=21)])
    assert found is not None
    assert found.value == pytest.approx(0.21) and found.low < 0.21 < found.high and found.p < 0.001
    assert found.questions == {"x": 50, "y": 50}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(values):
    found = statistics.holm(values)
    for i in range(len(values)):
        subsets = (s for r in range(len(values)) for s in itertools.combinations(range(len(values)), r + 1) if i in s)
        closed = max(min(1.0, len(s) * min(values[j] for j in s)) for s in subsets)
        assert found[i] == pytest.approx(closed)
