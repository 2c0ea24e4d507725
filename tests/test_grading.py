"""Grading: what counts as the answer, when two answers are equal, and what a hang or hostile text can do (nothing)."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from limo import UserError, records
from limo.grading import TYPES, Case, GradingStage, Rules, grade, grade_all, workers
from limo.grading.formulas import symbolic
from limo.records import Attempt, Gold, Grade, Problem

VERDICTS = {"correct", "wrong", "no_answer", "truncated", "timeout", "gold_unparsed"}
steady = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def boxed(answer: str) -> str:
    return f"First \\boxed{{0}}, but that misses a case. So the answer is $\\boxed{{{answer}}}$."


def verdict(gold: object, answer: str, rules: Rules | None = None, **facts: object) -> str:
    return grade(Case(gold=gold, response=boxed(answer), **facts), rules).verdict  # type: ignore[arg-type]


def correct(gold: object, answer: str, rules: Rules | None = None, **facts: object) -> bool:
    return verdict(gold, answer, rules, **facts) == "correct"


def equal(one: str, other: str, kind: str = "auto", rules: Rules | None = None) -> bool:
    """As majority votes ask: each may be the gold one."""
    return any(correct(a, b, rules, answer_type=kind) for a, b in ((one, other), (other, one)))


# ---- answers of every form

integers = st.integers(-(10**6), 10**6).map(str)
decimals = st.decimals(-1000, 1000, allow_nan=False, places=3).map(str)
fractions = st.tuples(st.integers(-99, 99), st.integers(2, 99)).map(lambda p: f"\\frac{{{p[0]}}}{{{p[1]}}}")
roots = st.tuples(st.integers(2, 20), st.integers(2, 50)).map(lambda p: f"{p[0]}\\sqrt{{{p[1]}}}")
powers = st.tuples(st.integers(2, 9), st.integers(2, 3000)).map(lambda p: f"{p[0]}^{{{p[1]}}}")
polynomials = st.tuples(st.integers(2, 9), st.integers(1, 9), st.integers(1, 9)).map(
    lambda p: f"{p[0]}x^2-{p[1]}xy+{p[2]}"
)
numbers = st.one_of(integers, fractions, roots, powers)
values = st.one_of(numbers, decimals, polynomials)
tuples = st.lists(values, min_size=2, max_size=4).map(lambda v: f"({', '.join(v)})")
sets = st.lists(numbers, min_size=2, max_size=4, unique=True).map(lambda v: f"\\{{{', '.join(v)}\\}}")
intervals = st.tuples(st.sampled_from("(["), st.integers(-50, 0), st.integers(1, 50), st.sampled_from(")]")).map(
    lambda p: f"{p[0]}{p[1]},{p[2]}{p[3]}"
)
equations = polynomials.map(lambda p: f"y={p}")
matrices = st.lists(st.lists(fractions, min_size=2, max_size=2), min_size=1, max_size=3).map(
    lambda rows: "\\begin{pmatrix}" + "\\\\".join(" & ".join(row) for row in rows) + "\\end{pmatrix}"
)
texts = st.sampled_from(["\\text{odd}", "Tuesday", "充分不必要条件", "no solution", "C", "x \\ge 5", "12:30", "3:4"])
answers = st.one_of(values, tuples, sets, intervals, equations, matrices, texts)


@steady
@given(answers)
def test_a_gold_answer_boxed_verbatim_is_correct(answer: str) -> None:
    assert correct(answer, answer)
    assert correct(f"${answer}$", answer)


@steady
@given(st.one_of(integers, fractions, roots, powers, decimals))
def test_a_number_times_100_is_wrong(answer: str) -> None:
    assume(not all(c in "-0." for c in answer) and not answer.startswith("\\frac{0}"))
    assert not correct(answer, f"100\\cdot {answer}" if answer[0] != "-" else f"-100\\cdot {answer[1:]}")
    assert not correct(answer, f"\\frac{{{answer}}}{{100}}")


@steady
@given(st.integers(-(10**30), 10**30), st.integers(1, 5))
def test_whole_numbers_compare_exactly_at_any_size(number: int, step: int) -> None:
    assert correct(str(number), str(number))
    assert correct(number, f"{number:,}")
    assert not correct(str(number), str(number + step))
    assert correct(str(number), f"{number}.0", answer_type="integer")


@steady
@given(st.lists(fractions, min_size=2, max_size=4, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_a_set_does_not_count_and_of_a_tuple_does(parts: list[str], chance: random.Random) -> None:
    assume(all(not equal(a, b) for a, b in itertools.combinations(parts, 2)))
    shuffled = chance.sample(parts, len(parts))
    assert correct(f"\\{{{','.join(parts)}\\}}", f"\\{{{','.join(shuffled)}\\}}")
    assert correct(", ".join(parts), ", ".join(shuffled))
    assert correct(f"({','.join(parts)})", f"({','.join(shuffled)})") == (shuffled == parts)
    assert correct(", ".join(parts), ", ".join(shuffled), Rules(order="given")) == (shuffled == parts)


@steady
@given(st.lists(fractions, min_size=2, max_size=4, unique=True), fractions)
def test_an_answer_left_out_or_added_is_wrong(parts: list[str], other: str) -> None:
    assume(all(not equal(a, b) for a, b in itertools.combinations([*parts, other], 2)))
    for left, right in (("", ""), ("\\{", "\\}"), ("(", ")")):
        gold = f"{left}{', '.join(parts)}{right}"
        assert not correct(gold, f"{left}{', '.join(parts[1:])}{right}")
        assert not correct(gold, f"{left}{', '.join([*parts, other])}{right}")
    assert not correct(parts, ", ".join(parts[1:]))
    assert correct(parts, ", ".join(parts))


@steady
@given(
    answers,
    st.sampled_from(
        ["{}", " {} ", "$ {} $", "\\({}\\)", "{}.", "\\displaystyle {}", "\\,{}\\,", "{{{}}}", "\\boxed{{{}}}"]
    ),
)
def test_what_stands_around_an_answer_changes_nothing(answer: str, frame: str) -> None:
    assert correct(answer, frame.format(answer))


@steady
@given(
    values,
    st.sampled_from(
        [
            "\\left({}\\right)",
            "\\mathbf{{{}}}",
            "x = {}",
            "{}\\text{{ cm}}",
            "{} \\mathrm{{~erg}}",
            "{} \\text{{ units}}",
        ]
    ),
)
def test_brackets_names_and_units_around_a_value_change_nothing(answer: str, frame: str) -> None:
    assert correct(answer, frame.format(answer.replace("\\frac", "\\dfrac")))


@steady
@given(st.integers(2, 30), st.integers(2, 30), st.integers(2, 30))
def test_formulas_are_equal_as_functions(a: int, b: int, c: int) -> None:
    assert correct(f"(x+{a})(x-{b})", f"x^2+{a - b}x-{a * b}".replace("+-", "-"))
    assert correct(f"\\frac{{{a}x+{b}}}{{{c}}}", f"\\frac{{{a}}}{{{c}}}x+\\frac{{{b}}}{{{c}}}")
    assert correct(f"\\sqrt{{{a * a * b}}}", f"{a}\\sqrt{{{b}}}")
    assert correct(f"\\log_{{{a}}} {b}", f"\\frac{{\\ln {b}}}{{\\ln {a}}}")
    assert correct(f"y={a}x+{b}", f"{a}x-y+{b}=0")
    assert not correct(f"(x+{a})(x-{b})", f"(x+{a})(x-{b + 1})")
    assert not correct(f"y={a}x+{b}", f"{a}x-y+{b + 1}=0")
    assert not correct(f"\\frac{{1}}{{{a}^{{900}}}}", f"\\frac{{1}}{{{a}^{{901}}}}")


@steady
@given(intervals, st.integers(0, 1))
def test_the_ends_of_an_interval_count(interval: str, side: int) -> None:
    flipped = interval.translate(str.maketrans("([", "[(")) if side else interval.translate(str.maketrans(")]", "])"))
    assert not correct(interval, flipped)
    low, high = interval[1:-1].split(",")
    signs = ("<" if interval[0] == "(" else "\\le", "<" if interval[-1] == ")" else "\\le")
    assert correct(interval, f"{low} {signs[0]} x {signs[1]} {high}")
    assert correct(interval, f"x \\in {interval}")
    other = "<" if signs[1] == "\\le" else "\\le"
    assert not correct(interval, f"{low} {signs[0]} x {other} {high}")


SCRAPS = r"""
\frac { } ( ) [ ] \sqrt ^ _ 1 23 .5 x y \pi + - * / = < , \cup \{ \} \text{cm} % ! \infty | \pm e i sin ^{99999} \left \right
\begin{pmatrix} \end{pmatrix} \\ & \binom \log \overline ' \le or and 和 10^ 9999999 \boxed{ $ # the answer is
"""
scraps = st.lists(st.sampled_from(SCRAPS.split()), max_size=12).map("".join)


@settings(steady, max_examples=150)
@given(scraps, answers, st.sampled_from(["limo", "paper"]))
def test_no_text_makes_grading_fail(text: str, gold: str, name: str) -> None:
    for response in (text, boxed(text)):
        result = grade(Case(gold=gold, response=response), Rules(name=name))  # type: ignore[arg-type]
        assert result.verdict in VERDICTS and result.rule


# ---- what is safe


@pytest.mark.parametrize("name", ["limo", "paper"])
def test_model_text_is_never_run(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "marker"
    calls = [
        f"__import__('os').system('touch {marker}')",
        f"__import__('os').system('touch {marker}') or 0",
        f"[open('{marker}', 'w') for _ in [0]] or 0",
        f"getattr(__import__('pathlib').Path('{marker}'), 'touch')()",
        f"x = sympify(\"__import__('os').system('touch {marker}')\")",
        f"(lambda: open('{marker}', 'w'))()",
    ]
    cases = [
        Case(gold=gold, response=text)
        for call in calls
        for text in (call, boxed(call))
        for gold in ("0", "x+1", "\\int_0^1 x dx")
    ]
    verdicts = [grade(case, Rules(name=name)) for case in cases]  # type: ignore[arg-type]
    assert not marker.exists()
    assert not any(v.correct for v, case in zip(verdicts, cases, strict=True) if "boxed" in case.response)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock decides about no item, however busy the machine is."""
    monkeypatch.setattr(workers, "BLOCKED", 10_000)


FOREVER = "sum(iter(int, 1))"
"""Never leaves C code, so no handler of a signal is ever run."""
LOOP = "next(x for x in iter(int, 1) if x)"
"""Never ends, in Python."""
KILLED = "__import__('os').kill(__import__('os').getpid(), 9)"


def lost(results: list[object]) -> dict[int, str]:
    return {i: result.reason for i, result in enumerate(results) if isinstance(result, workers.Failure)}


def test_a_loop_a_crash_and_hunger_cost_one_item_each() -> None:
    items = [f"{i} * {i}" for i in range(40)]
    bad = {3: FOREVER, 4: LOOP, 17: "__import__('os')._exit(9)", 18: "__import__('os').abort()", 19: KILLED, 30: "'x' * 10**11",
           31: "__import__('sys').exit()"}  # fmt: skip
    for i, item in bad.items():
        items[i] = item
    results = workers.run("builtins:eval", items, jobs=2, seconds=0.5)
    reasons = lost(results)
    assert reasons.keys() == bad.keys()
    assert all(results[i] == i * i for i in range(40) if i not in bad)
    assert reasons[3] == reasons[4] == "over 0.5 s of processor time"
    assert "code 9" in reasons[17] and "SIGABRT" in reasons[18] and "SIGKILL" in reasons[19] and "memory" in reasons[30]


def test_the_time_of_an_item_is_its_own_processor_time() -> None:
    work = "[0 for _ in iter(lambda c=__import__('time').process_time: c() - t < 0.4, False)]"
    item = f"(lambda t: len({work}) > 0)(__import__('time').process_time())"
    # four of them take longer than one may, and sleep counts as none of it
    assert workers.run("builtins:eval", [item] * 4, jobs=1, seconds=1) == [True] * 4
    assert workers.run("time:sleep", [2], jobs=1, seconds=1) == [None]


def test_an_item_that_waits_for_ever_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BLOCKED", 1)
    assert lost(workers.run("time:sleep", [100_000], jobs=1, seconds=1)).keys() == {0}


def test_a_hang_holds_up_nobody_however_large_the_items_are() -> None:
    results = workers.run("builtins:eval", [FOREVER, *[f"len('{'x' * 300_000}')"] * 6], jobs=1, seconds=0.5)
    assert lost(results).keys() == {0} and results[1:] == [300_000] * 6


def test_an_item_under_which_a_worker_was_killed_is_tried_again(tmp_path: Path) -> None:
    once = f"(lambda p: p.exists() or (p.touch(), {KILLED}))(__import__('pathlib').Path({str(tmp_path / 'tried')!r}))"
    assert workers.run("builtins:eval", ["1", once, "2"], jobs=1, seconds=5) == [1, True, 2]


def test_what_escapes_from_math_verify_costs_one_item() -> None:
    raised = "(_ for _ in ()).throw(__import__('limo.grading.formulas.symbolic', fromlist=['x']).ExpiredError)"
    results = workers.run("builtins:eval", ["1", raised, "2"], jobs=1, seconds=5)
    assert results[::2] == [1, 2] and lost(results) == {1: "ExpiredError: "}


def without_start(folder: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> list[Grade]:
    """The verdicts where a worker's import of math-verify ends it so many times."""
    marks = folder / "marks"
    marks.mkdir()
    (folder / "math_verify.py").write_text(
        f"import os, pathlib, sys\n"
        f"marks = pathlib.Path({str(marks)!r})\n"
        f"if len(list(marks.iterdir())) < {times}:\n"
        f"    (marks / str(os.getpid())).touch()\n"
        f"    os.abort()\n"
        f"sys.path.remove({str(folder)!r})\n"
        f"del sys.modules['math_verify']\n"
        f"import math_verify\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))
    verdicts = grade_all([Case("1", boxed("1")), Case("\\int_0^1 x dx", boxed("\\frac12"))], jobs=1)
    assert len(list(marks.iterdir())) == min(times, 2)
    return verdicts


def test_a_worker_that_fails_to_start_once_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [v.verdict for v in without_start(tmp_path, monkeypatch, times=1)] == ["correct", "correct"]


def test_where_math_verify_never_starts_its_cases_are_counted_and_the_others_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = without_start(tmp_path, monkeypatch, times=99)
    assert first.correct and (second.verdict, second.answer) == ("ungraded", None)
    assert second.rule == "math-verify: no worker could start: worker killed by SIGABRT"
    assert "1 of 2 cases could not be graded: 1 x math-verify" in caplog.text


def test_where_no_process_starts_cases_are_graded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORKER", "no_such_module")
    verdicts = grade_all(
        [Case("1", boxed("1")), Case("\\int_0^1 x dx", boxed("\\frac12")), Case("2", boxed("1"))], jobs=2
    )
    assert [v.verdict for v in verdicts] == ["correct", "ungraded", "wrong"]


def test_the_first_use_of_math_verify_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic, "SECONDS", 1e-6)
    symbolic.read.cache_clear()
    symbolic.warm()


def test_a_comparison_over_its_processor_time_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic, "SECONDS", 0.05)
    symbolic.warm()
    hard = "\\int_{\\sqrt{\\frac{\\pi}{2}}}^{\\frac{\\pi}{2}} \\frac{\\cos u}{u^{3}} du"
    assert verdict(hard, "-\\frac{1}{6}") == "timeout"


def test_a_comparison_whose_time_is_up_in_a_destructor_is_ended_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr(symbolic, "SECONDS", 0.05)

    def busy() -> None:
        for _ in range(10**9):  # ends, if nobody ends it
            pass

    class Leaving:
        def __del__(self) -> None:
            busy()

    def compare(*_: object, **__: object) -> bool:
        Leaving()
        busy()
        return False

    monkeypatch.setattr("limo.grading.formulas.symbolic._equal", compare)
    with pytest.raises(symbolic.ExpiredError):
        symbolic.verify("1", "2")


def test_a_lost_case_is_a_timeout_and_the_others_are_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    real = workers.run

    def lossy(target: str, items: list[object], **facts: object) -> list[object]:
        results = real(target, items, **facts)  # type: ignore[arg-type]
        return [workers.Failure("over 5 s", late=True) if i == 1 else result for i, result in enumerate(results)]

    monkeypatch.setattr(workers, "run", lossy)
    verdicts = grade_all([Case("1", boxed("1")), Case("2", boxed("2")), Case("3", boxed("4"))], jobs=1)
    assert verdicts == [
        Grade("", 0, "correct", "1", "same string"),
        Grade("", 0, "timeout", None, "over 5 s"),
        Grade("", 0, "wrong", "4", "integer"),
    ]


def test_the_pool_and_this_process_agree() -> None:
    golds = [
        "1/2",
        "x^2",
        "(1,2)",
        "C",
        "[0,1)",
        "\\int_0^1 x dx",
        "\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix}",
        "a=1,b=2",
        "odd",
        [1, 2],
    ]
    cases = [
        Case(gold, text)
        for gold in golds
        for text in (boxed("\\frac12"), boxed("-2"), "The answer is (1, 2).", boxed("x\\cdot x"))
    ]
    rules = [Rules(order="given") if i % 2 else Rules() for i in range(len(cases))]
    seen: list[int] = []
    assert grade_all(cases, rules, jobs=2, progress=seen.append) == [
        grade(c, r) for c, r in zip(cases, rules, strict=True)
    ]
    assert sum(seen) == len(cases)


def test_the_package_imports_without_its_heavy_libraries() -> None:
    code = "import limo.grading, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sympy", "math_verify", "mpmath", "torch", "vllm"} & set(loaded)


# ---- where the answer is


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{1} and then \\boxed{42}", "correct"),
        ("\\boxed{42} and then \\boxed{1}", "wrong"),
        ("\\boxed{\\boxed{42}}", "correct"),
        ("\\fbox{42}", "correct"),
        ("\\boxed 42", "correct"),
        ("\\boxed{42} so \\boxed{4", "no_answer"),
        ("\\boxed{}", "no_answer"),
        ("<think>\\boxed{1}</think> \\boxed{42}", "correct"),
        ("<think>\\boxed{42}</think> I am not sure.", "no_answer"),
        ("<think>\\boxed{42}", "no_answer"),
        ("I don't know.", "no_answer"),
        ("", "no_answer"),
        ("The answer is 42 because 6 times 7 is 42.", "correct"),
        ("The answer is not 42", "no_answer"),
        ("#### 42", "correct"),
        ("答案是 42。", "correct"),
        ("So we find 6 * 7 = 42 apples.", "correct"),
        ("\\boxed{" * 20000, "no_answer"),
        (" " * 100_000 + "The answer is 42.", "correct"),
        ("<answer>" * 12_000, "no_answer"),
        ("<answer> 42 </answer>", "correct"),
    ],
)
def test_the_answer_is_the_last_box_after_the_reasoning_else_what_is_stated(response: str, expected: str) -> None:
    assert grade(Case("42", response)).verdict == expected


def test_a_response_cut_off_has_no_answer_unless_its_reasoning_was_closed() -> None:
    def cut(response: str, **rules: str) -> str:
        return grade(Case("42", response, finish="length"), Rules(**rules)).verdict  # type: ignore[arg-type]

    assert cut("so it is 42") == "truncated"
    assert cut("\\boxed{42} and now") == "truncated"
    assert cut("\\boxed{42} and now", cut="graded") == "correct"
    assert cut("<think>x</think> \\boxed{42}. Also") == "correct"
    assert cut("<think> \\boxed{42}", cut="graded") == "truncated"


def test_fallbacks_are_declared_and_named_in_the_rule() -> None:
    stated, bare = "The answer is 42.", "We get 42."
    assert grade(Case("42", stated), Rules(fallback="none")).verdict == "no_answer"
    assert grade(Case("42", bare), Rules(fallback="phrase")).verdict == "no_answer"
    assert grade(Case("42", stated), Rules(fallback="phrase")) == Grade("", 0, "correct", "42", "phrase, same string")
    assert grade(Case("42", bare)) == Grade("", 0, "correct", "42", "prose, same string")


def test_neighbouring_boxes_may_be_one_list() -> None:
    response = "The roots are $\\boxed{2}$ and $\\boxed{3}$."
    assert not grade(Case("2,3", response)).correct
    assert grade(Case("2,3", response), Rules(boxes="adjacent")).correct
    assert not grade(Case("3", response), Rules(boxes="adjacent")).correct
    assert grade(Case("3", "\\boxed{2}? No: \\boxed{3}"), Rules(boxes="adjacent")).correct
    assert grade(Case("3", "\\boxed{3}\n\\boxed{3}"), Rules(boxes="adjacent")).correct


# ---- conventions


def test_percent_is_a_convention() -> None:
    assert [correct("10\\%", "10", Rules(percent=p)) for p in ("either", "value", "same")] == [True, False, False]  # type: ignore[arg-type]
    assert [correct("0.6", "60\\%", Rules(percent=p)) for p in ("either", "value", "same")] == [True, True, False]  # type: ignore[arg-type]
    assert not correct("10\\%", "1000") and correct("10\\%", "10 percent", Rules(percent="same"))


def test_tolerance_is_relative_and_for_decimals_only() -> None:
    assert correct("\\frac{1}{3}", "0.33333333") and not correct("\\frac{1}{3}", "0.3333")
    assert correct("4.49", "4.5", Rules(tolerance=0.01)) and not correct("4.49", "4.6", Rules(tolerance=0.01))
    assert not correct("1e-19", "3e-19", Rules(tolerance=0.01))
    assert not correct("1000", "1001", Rules(tolerance=0.01))
    assert not correct("1.39e9", "1390000001") and correct("1.39e9", "1.4e9", Rules(tolerance=0.01))
    with pytest.raises(ValueError, match=r"tolerance is 2\.0; give"):
        Rules(tolerance=2.0)


def test_units_may_be_left_out_but_not_swapped() -> None:
    assert correct("12\\text{ cm}", "12") and correct("12", "12 cm")
    assert correct("5 m/s", "5 \\mathrm{~m} / \\mathrm{s}") and correct("100 km/h", "100 \\text{ km per hour}")
    assert not correct("12\\text{ cm}", "12\\text{ m}") and not correct("12\\text{ cm}", "12\\text{ cm}^2")
    assert correct("12\\text{ cm}", "12\\text{ m}", Rules(unit="ignored"))
    assert not correct("12\\text{ cm}", "12", Rules(unit="required"))


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("(p,q)=(3,2)", "(3,2)", True),
        ("AB=4, CD=5", "4, 5", True),
        ("AB=4, CD=5", "5, 4", False),
        ("AB=4, CD=5", "CD=5, AB=4", True),
        ("a=4,-8,-10", "-10,-8,4", True),
        ("x=5", "5+0=5", True),
        ("2x+z=1", "1", False),
        ("12", "3 \\cdot 4 = 13", False),
        ("\\frac{1}{3}", "\\frac{1}{3} \\approx 0.33", True),
        ("\\pm 3", "3, -3", True),
        ("\\pm 3", "3", False),
        ("(-\\infty,1)\\cup(3,\\infty)", "x<1 \\text{ or } x>3", True),
        ("x>5", "y>5", False),
        ("f(20)>1000", "f(21)>1000", False),
        ("1, 2, \\ldots, n", "1, 3, \\ldots, n", False),
        ("204_5", "204_5", True),
        ("204_5", "54", True),
        ("1\\frac{1}{2}", "1.5", True),
        ("0.1\\overline{6}", "\\frac{1}{6}", True),
        ("20:34", "08:34 \\text{ P.M.}", True),
        ("12:00", "1:00", False),
        ("5:3", "10:6", True),
        ("\\text{yes}", "Yes", True),
        ("odd", "oddd", False),
        ("5", "\\text{five}", True),
        ("4.5e33", "4.5 \\times 10^{33}", True),
        ("np.arcsin(10/13)", "\\arcsin(10/13)", True),
        ("\\$32,\\!348", "32348", True),
        ("90^\\circ", "\\frac{\\pi}{2}", True),
        ("\\frac{1}{\\sqrt{n}}", "\\sqrt{1/n}", True),
        ("|x|", "x", False),
        ("y^{\\prime}+r y=0", "y'=-ry", True),
        ("f(n)=n", "f(m)=m", True),
        ("f(n)=n", "f(m)=n", False),
        ("I(0) e^{-\\frac{t}{R C}}", "I(0) e^{-t/(RC)}", True),
        ("I(0) e^{-\\frac{t}{R C}}", "I(0) e^{t/(RC)}", False),
        ("\\sum_{k=1}^{n} k^2", "\\sum_{i=1}^{n} i^2", True),
        ("\\sum_{k=1}^{n} k^2", "\\sum_{k=1}^{n} k^3", False),
        ("b>a>c", "b>b>c", False),
        ("\\{x \\mid x>1\\}", "(1,+\\infty)", True),
        ("x^2+y^2=1", "1-x^2-y^2=0", True),
        ("x^2+y^2=1", "x^2-y^2=1", False),
        ("(-1)^n", "\\cos(n\\pi)", True),
        ("e^{t}/3", "e^{s}/3", False),
        ("C. $1-i$", "C", True),
        ("C. $1-i$", "1-i", True),
        ("C. $1-i$", "A", False),
        ("{'integer': 42, 'square': 84}", "42, 84", True),
        ("{'integer': 42, 'square': 84}", "42", False),
        ("10^{10^{10^{10}}}", "10^{10}", False),
    ],
)
def test_equal_answers_in_different_forms(gold: str, answer: str, expected: bool) -> None:
    assert correct(gold, answer) == expected


def kinds() -> dict[str, list[str]]:
    """The pairs of answers.txt by kind."""
    sections = (Path(__file__).parent / "answers.txt").read_text(encoding="utf-8").split("\n# ")[1:]
    return {name: pairs for name, *pairs in ([line for line in part.splitlines() if line] for part in sections)}


@pytest.mark.parametrize("kind", kinds())
def test_pairs_of_every_kind_that_graders_get_wrong(kind: str) -> None:
    errors = []
    for pair in kinds()[kind]:
        gold, response = pair[2:].split(" ~ ", 1)
        text = f"So the result is \\boxed{{{response[2:]}}}." if response.startswith("[]") else response
        given = json.loads(gold) if gold.startswith(('"', '["')) else gold
        found = grade(Case(given, text))
        if found.correct != pair.startswith("+"):
            errors.append(f"{pair}: {found.verdict} by {found.rule}, from {found.answer}")
    assert not errors, "\n".join(errors)


def test_a_list_of_golds_is_one_answer_or_several_accepted_ones() -> None:
    anyone = Rules(gold="any")
    assert correct(["1", "2"], "1, 2") and not correct(["1", "2"], "1")
    assert correct(["1", "2"], "2", anyone) and not correct(["1", "2"], "3", anyone)
    assert not correct(["1", "2"], "1, 2", anyone)
    assert correct({"a": 1, "b": 2}, "1, 2", anyone) and not correct({"a": 1, "b": 2}, "1", anyone)
    assert correct(["1/2", "0.5"], "0.5") and not correct(["1", "1"], "1")


def test_a_gold_that_is_none_is_not_the_answers_fault() -> None:
    assert [verdict(gold, "5") for gold in (float("nan"), "NaN", "", "####")] == ["gold_unparsed"] * 4


def test_a_choice_is_its_letter_or_the_text_of_its_option() -> None:
    options = {"A": "1", "B": "\\frac{1}{2}", "C": "x+1", "D": "none of these"}
    for gold in ("B", "(B)", "\\frac12"):
        for answer in ("B", "(B)", "\\text{B}", "B. \\frac{1}{2}", "0.5", "\\textbf{(B) }\\frac12"):
            assert correct(gold, answer, choices=options), (gold, answer)
        for answer in ("A", "1", "x+1", "2", "D: none of these", "A, B", "\\Delta B"):
            assert not correct(gold, answer, choices=options), (gold, answer)
    assert grade(Case("C", "We ruled out A and B. The answer is (C), not D."), None).correct
    assert verdict("E", "\\Delta E", answer_type="letter") == "wrong"
    assert verdict("5", "A", choices=options) == "gold_unparsed"


def test_a_declared_type_decides_what_the_shape_leaves_open() -> None:
    assert correct("2,1", "1,2", Rules(order="given"), answer_type="multi")
    assert not correct("2,1", "1,2", answer_type="tuple")
    assert not correct("[2,5]", "2,5", answer_type="interval")
    assert correct("ab", "AB", answer_type="text") and not correct("ab", "ba", answer_type="text")
    assert verdict("\\frac{1}{2}", "1", answer_type="integer") == "gold_unparsed"
    assert not correct("3", "3.0000001", answer_type="integer")
    assert all(grade(Case("3", boxed("3"), answer_type=kind)).verdict in VERDICTS for kind in TYPES)


def test_answers_are_equal_whichever_is_the_gold_one() -> None:
    assert equal("0.5", "\\frac{1}{2}") and equal("x=2", "2") and equal("2", "x=2") and not equal("1", "2")
    assert equal("C", "(C)", "letter") and not equal("2,1", "(1,2)")
    assert equal("25", "2500", rules=Rules(name="paper"))


# ---- the paper's rules


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ("25", "2500", True),
        ("204", "2.04", True),
        ("6.67e-11", "0", True),
        ("99999", "100000", False),
        ("1,2", "2,1", True),
        ("1,2", "(2,1)", False),
        ("[1,2]", "(1,2)", True),
        ("a+b", "c+b", True),
        ("4.5e33", "4.5 \\times 10^{33}", False),
        ("1\\frac{1}{2}", "\\frac{3}{2}", False),
        ("\\frac{1}{2}", "0.5", True),
        ("x^2+2x+1", "(x+1)^2", True),
        ("x=5", "5", True),
        ("f(x)=5", "5", False),
        ("\\sqrt{2}", "1.41421", True),
        ("0,\\pi,2\\pi", "0,\\pi", True),
        ("C", "The answer is (C)", True),
    ],
)
def test_the_papers_rules_accept_what_the_papers_code_accepts(gold: str, answer: str, expected: bool) -> None:
    assert correct(gold, answer, Rules(name="paper")) == expected


def test_the_papers_rules_read_boxes_only_and_never_close_them() -> None:
    paper = Rules(name="paper")
    assert grade(Case("42", "The answer is 42."), paper).verdict == "no_answer"
    assert grade(Case("42", "so \\boxed{42"), paper).correct
    assert grade(Case("42", "cut \\boxed{42}", finish="length"), paper).correct


# ---- the stage


def test_the_stage_writes_a_grade_for_every_attempt(tmp_path: Path) -> None:
    records.write(
        tmp_path / "p", [Problem("a", "?", Gold("1/2")), Problem("b", "?", Gold("B", choices={"A": "1", "B": "2"}))]
    )
    texts = [
        ("a", "\\boxed{0.5}", "stop"),
        ("b", "\\boxed{2}", "stop"),
        ("a", "\\boxed{3}", "stop"),
        ("b", "so", "length"),
    ]
    records.write(tmp_path / "t", [Attempt(p, i, 0, text, finish, 1, 1) for i, (p, text, finish) in enumerate(texts)])
    GradingStage(problems=tmp_path / "p", attempts=tmp_path / "t", jobs=1).run(tmp_path)
    grades = records.read(tmp_path / "grades.jsonl", Grade)
    assert [(g.problem, g.sample, g.verdict) for g in grades] == [
        ("a", 0, "correct"),
        ("b", 1, "correct"),
        ("a", 2, "wrong"),
        ("b", 3, "truncated"),
    ]
    facts = json.loads((tmp_path / "summary.json").read_text())
    assert facts["attempts"] == 4 and facts["accuracy"] == 0.5 and facts["verdicts"]["truncated"] == 1


def test_the_stage_refuses_attempts_at_other_problems(tmp_path: Path) -> None:
    records.write(tmp_path / "p", [Problem("a", "?", Gold("1"))])
    records.write(tmp_path / "t", [Attempt("z", 0, 0, "", "stop", 1, 1)])
    with pytest.raises(UserError, match="an attempt at z"):
        GradingStage(problems=tmp_path / "p", attempts=tmp_path / "t").run(tmp_path)
    records.write(tmp_path / "p", [{"id": "a", "question": "?", "gold": {"value": "1", "type": "nombre"}}])
    with pytest.raises(UserError, match=r"p, line 1: Problem.gold.type is 'nombre': Input should be 'auto'"):
        GradingStage(problems=tmp_path / "p", attempts=tmp_path / "t").run(tmp_path)
