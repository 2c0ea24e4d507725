"""`python -m limo grade`: what it reads, what it writes, how it fails; and the grader measured on the cases of others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from limo.grading import Case, Rules, grade_all
from limo.grading.foreign import read_row
from tests.command import limo

CASES = Path(__file__).parents[1] / "../shared/data/grading"
on_real_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases of other graders are not at {CASES}")


def write(path: Path, *rows: object) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_one_verdict_a_line_in_the_order_of_the_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = write(
        tmp_path / "cases.jsonl",
        {"id": "a", "gold": "1/2", "prediction": "so it is \\boxed{0.5}", "expected": True, "kind": "fraction"},
        {"id": 7, "gold": 3, "prediction": "4", "expected": True, "kind": "number"},
        {"gold": "C", "response": "The answer is (C).", "prediction": "ignored", "expected": False, "kind": "letter"},
        {"gold": "1", "prediction": "\\boxed{", "answer_type": "integer"},
    )
    assert limo("grade", str(cases), "--out", str(tmp_path / "out.jsonl"), "--jobs", "1") == 0
    assert lines(tmp_path / "out.jsonl") == [
        {"id": "a", "answer": "0.5", "verdict": "correct", "correct": True, "rule": "number"},
        {"id": 7, "answer": "4", "verdict": "wrong", "correct": False, "rule": "whole response, integer"},
        {"id": None, "answer": "C", "verdict": "correct", "correct": True, "rule": "phrase, letter"},
        {"id": None, "answer": None, "verdict": "no_answer", "correct": False, "rule": "last box not closed"},
    ]
    printed = capsys.readouterr().out
    assert "agreement: 33.33 % of 3, 1 false accepts (33.33 %), 1 false rejects (33.33 %)" in printed
    assert (
        "  fraction: 100.00 % of 1, 0 false accepts" in printed and "  letter: 0.00 % of 1, 1 false accepts" in printed
    )


def test_without_out_the_verdicts_are_the_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert limo("grade", str(write(tmp_path / "c", {"gold": "1", "prediction": "1"})), "--jobs", "1") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["correct"] is True
    assert "1 cases" in printed.err and "agreement" not in printed.err


@pytest.mark.parametrize(
    ("row", "gold", "texts"),
    [
        ({"gold": "1", "prediction": "2"}, "1", ["2"]),
        ({"answer": "1", "response": "2"}, "1", ["2"]),
        ({"target": "1", "answer": "9", "completion": "2"}, "1", ["2"]),
        ({"doc_id": 3, "target": "1", "resps": [["2"]], "filtered_resps": ["9"]}, "1", ["2"]),
        ({"gold_answer": "1", "generated_responses": ["2", "3"]}, "1", ["2", "3"]),
        ({"expected_answer": 1, "generation": "2"}, 1, ["2"]),
        ({"ground_truth": "1", "output": {"completion": "2"}}, "1", ["2"]),
        ({"reference": "1", "text": 2}, "1", ["2"]),
        ({"input": "?", "output": "2", "gts": "1"}, "1", ["2"]),
        (
            {"answer": "1", "response": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "2"}]},
            "1",
            ["2"],
        ),
        ({"gold": ["1", "2"], "response": None}, ["1", "2"], [""]),
    ],
)
def test_it_reads_what_other_harnesses_write(row: dict[str, Any], gold: object, texts: list[str]) -> None:
    read = read_row(row, "here")
    assert [answer.case.gold for answer in read] == [gold] * len(texts)
    assert [answer.case.response for answer in read] == texts
    assert [answer.sample for answer in read] == ([None] if len(texts) == 1 else list(range(len(texts))))


def test_why_the_model_stopped_and_the_options_are_read() -> None:
    [answer] = read_row({"gold": "B", "output": "x", "finish_reason": "max_tokens", "choices": ["1", "2"]}, "here")
    assert answer.case == Case("B", "x", finish="length", choices={"A": "1", "B": "2"})


def test_each_of_several_answers_says_why_it_ended() -> None:
    outputs = [{"text": "x", "finish_reason": "stop"}, {"text": "y", "finish_reason": "length"}]
    read = read_row({"gold": "1", "outputs": outputs}, "here")
    assert [answer.case.finish for answer in read] == ["stop", "length"]


def test_a_list_of_golds_means_what_the_command_says(tmp_path: Path) -> None:
    cases = write(tmp_path / "c", {"gold": ["1", "2"], "response": "\\boxed{2}"})
    for gold, expected in (("any", True), ("all", False)):
        assert limo("grade", str(cases), "--out", str(tmp_path / "o"), "--gold", gold, "--jobs", "1") == 0
        assert lines(tmp_path / "o")[0]["correct"] is expected


def test_golds_without_an_answer_are_counted_at_the_end_and_half_a_character_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = write(
        tmp_path / "c",
        '{"id": "a\\ud83d", "gold": "5", "response": "\\\\boxed{6\\ud83d}"}',
        '{"gold": NaN, "response": "5"}',
        {"gold": "She sells nine eggs " * 9, "response": "18"},
        {"gold": "9 * 2 = 18 dollars a day.\n#### 18", "response": "17"},
    )
    assert limo("grade", str(cases), "--out", str(tmp_path / "o"), "--jobs", "1") == 0
    assert [row["verdict"] for row in lines(tmp_path / "o")] == ["wrong", "gold_unparsed", "wrong", "wrong"]
    assert lines(tmp_path / "o")[0]["id"] == "a\ufffd"
    assert "2 of 4 gold answers (50.0 %) could not be read as answers, such as 'nan'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ("[1]", "line 2: expected a JSON object, found list"),
        ({"prediction": "1"}, "line 2: no gold answer; give one of gold, "),
        ({"gold": None, "prediction": "1"}, "line 2: no gold answer"),
        ({"gold": "1"}, "line 2: no response; give one of response, "),
        ({"gold": "1", "response": {"a": 1}}, "line 2: response holds no text"),
        ({"gold": "1", "response": "1", "expected": "yes"}, "line 2: expected is 'yes'; give true or false"),
        (
            {"gold": "1", "response": "1", "answer_type": "nombre"},
            "line 2: answer_type is 'nombre'; give one of auto, ",
        ),
    ],
)
def test_a_bad_row_is_one_sentence_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: object, message: str
) -> None:
    cases = write(tmp_path / "cases.jsonl", {"gold": "1", "response": "1"}, row)
    assert limo("grade", str(cases), "--out", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert f"{cases}, {message}" in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_file_or_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert limo("grade", str(tmp_path / "none.jsonl")) == 2
    assert "none.jsonl: No such file" in capsys.readouterr().err
    assert limo("grade", str(write(tmp_path / "empty"))) == 2
    assert "no rows" in capsys.readouterr().err
    assert (
        limo("grade", str(write(tmp_path / "c", {"gold": "1", "response": "1"})), "--out", str(tmp_path / "x/y")) == 2
    )
    assert "does not exist; make it first" in capsys.readouterr().err
    assert limo("grade", str(tmp_path / "c"), "--field", "said") == 2
    assert "line 1: no said; --field names" in capsys.readouterr().err


def test_the_papers_rules_and_the_field_are_options(tmp_path: Path) -> None:
    cases = write(tmp_path / "c", {"gold": "25", "response": "\\boxed{1}", "said": "\\boxed{2500}"})
    for rules, expected in (("paper", True), ("limo", False)):
        assert (
            limo("grade", str(cases), "--out", str(tmp_path / "o"), "--rules", rules, "--field", "said", "--jobs", "1")
            == 0
        )
        assert lines(tmp_path / "o")[0]["correct"] is expected


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    cases = write(tmp_path / "c", {"id": 1, "gold": "\\int_0^1 x dx", "response": "\\boxed{\\frac{1}{2}}"})
    done = subprocess.run(
        [sys.executable, "-m", "limo", "grade", str(cases)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {
        "id": 1, "answer": "\\frac{1}{2}", "verdict": "correct", "correct": True, "rule": "math-verify",
    }  # fmt: skip


TARGETS = {"suites_core": 96.0, "near_miss": 99.0, "real_outputs": 99.5, "limo_bench": 99.8}
"""Agreement in percent that grading must reach on each file."""
NEVER = ("x100", "interval_flip", "open_closed", "multi_drop", "multi_extra")
"""Kinds of which not one may be accepted."""


@on_real_cases
@pytest.mark.parametrize("name", TARGETS)
def test_the_cases_of_other_graders_are_graded_as_published(name: str) -> None:
    rows = lines(CASES / f"{name}.jsonl")
    verdicts = grade_all([Case(row["gold"], row["response"]) for row in rows], jobs=2)
    accepts = Counter(row["kind"] for row, v in zip(rows, verdicts, strict=True) if v.correct and not row["expected"])
    rejects = Counter(row["kind"] for row, v in zip(rows, verdicts, strict=True) if not v.correct and row["expected"])
    agreement = 100 * (1 - (accepts.total() + rejects.total()) / len(rows))
    assert agreement >= TARGETS[name], (accepts, rejects)
    assert accepts.total() / len(rows) <= 0.005, accepts
    assert not any(accepts[kind] for kind in NEVER), accepts


@on_real_cases
def test_the_papers_rules_err_as_the_papers_code_did() -> None:
    # measured on that code: it accepts all of x100 and interval_flip, most of small_abs, and about 73 % of near_miss is right
    rows = lines(CASES / "near_miss.jsonl")
    verdicts = grade_all([Case(row["gold"], row["response"]) for row in rows], Rules(name="paper"), jobs=2)
    accepted = {
        kind: [v.correct for row, v in zip(rows, verdicts, strict=True) if row["kind"] == kind]
        for kind in ("x100", "interval_flip", "small_abs", "sci_latex", "pair_swap")
    }
    assert (
        all(accepted["x100"])
        and all(accepted["interval_flip"])
        and not any(accepted["sci_latex"] + accepted["pair_swap"])
    )
    assert sum(accepted["small_abs"]) >= 0.7 * len(accepted["small_abs"])
    right = sum(v.correct == row["expected"] for row, v in zip(rows, verdicts, strict=True)) / len(rows)
    assert 0.70 <= right <= 0.78
