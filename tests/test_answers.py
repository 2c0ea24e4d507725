"""What `limo answers` shows of the answers of a run."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from limo import UserError, answers
from limo.records import ANSWERS, RESULTS, Answer, Gold, Results, read, read_results
from tests.outputs import answer, answered, write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of one suite with their answers."""
    root = tmp_path_factory.mktemp("outputs") / "lab"
    made = write_run(root, "limo"), write_run(root, "random")
    for run in made:
        answered(run / "evaluation/base")
        answered(run / "evaluation/tuned")
    return made


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[list[str], str]:
    """The head of each answer that is shown, and the last line, unfolded."""
    answers.main([*map(str, words)])
    *shown, counts = capsys.readouterr().out.removesuffix("\n").split("\n\n")
    heads = [part.split("\n")[1] for part in shown if part.startswith("─")]
    return heads, " ".join(counts.split())


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--wrong", lambda one: not one.correct),
        ("--cut", lambda one: one.finish == "length"),
        ("--no-answer", lambda one: one.response.startswith("I do not")),
        ("--in-circles", lambda one: one.response.startswith("and again")),
        ("--wrong --no-answer --benchmark main", lambda one: one.benchmark == "main" and "not" in one.response),
        ("--id main-3 --id hard-4", lambda one: one.problem in ("main-3", "hard-4")),
        ("--which base --wrong", lambda one: not one.correct),
    ],
)
def test_each_filter_shows_all_of_its_kind_and_none_else(
    runs: tuple[Path, Path], words: str, wanted, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = runs[0] / "evaluation" / ("base" if "base" in words else "tuned")
    every = [one for file in sorted(folder.glob(f"*/{ANSWERS}")) for one in read(file, Answer)]
    chosen = [one for one in every if wanted(one)]
    shown, counts = said(capsys, runs[0], "--limit", 0, *words.split())
    assert [head.split(":")[0].split() for head in shown] == [
        [one.benchmark, one.problem, "sample", str(one.sample)] for one in chosen
    ]
    asked = [one for one in every if one.benchmark == "main"] if "--benchmark" in words else every
    assert len(chosen) and counts.startswith(f"{len(asked)} answers to")
    assert f"{len(chosen)} as asked for; {len(chosen)} shown" in counts


def test_what_changed_between_two_runs_is_what_their_results_say(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = (read_results(run / "evaluation/tuned" / RESULTS) for run in runs)

    def flips(first: Results, second: Results) -> set[tuple[str, str, int]]:
        return {
            (name, q, i)
            for name, found in first.benchmarks.items()
            for q, row in found.answers.items()
            for i, right in enumerate(row)
            if right > second.benchmarks[name].answers[q][i]
        }

    gained, lost = flips(here, there), flips(there, here)
    shown, counts = said(capsys, runs[0], "--changed", runs[1], "--limit", 0)
    found = {(head.split()[0], head.split()[1], int(head.split()[3].rstrip(":"))) for head in shown}
    assert found == gained | lost and gained and lost
    assert f"{len(gained)} gained and {len(lost)} lost against" in counts


def test_a_result_of_the_store_and_the_base_of_the_same_run_can_be_named(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = shutil.copytree(runs[0] / "evaluation/tuned", tmp_path / "evaluation" / "0123456789abcdef0123")
    _, counts = said(capsys, result, "--changed", runs[0] / "evaluation/base")
    assert re.search(r"[1-9]\d* gained and \d+ lost against .*base", counts)


def test_an_answer_has_no_power_over_the_terminal_and_fits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxet\r\n\ud800" + "x" * 300
    row = answer("ma\x1bin", f"{bad}-1", 0, 1)
    gold = Gold(bad, choices={"A": bad})
    written(tmp_path, dataclasses.replace(row, question=bad, response=bad, answer=bad, rule=bad, gold=gold))
    monkeypatch.setenv("COLUMNS", "50")
    answers.main([str(tmp_path), "--whole"])
    out = capsys.readouterr().out
    assert out.count("\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202etxet") >= 1
    assert all(char == "\n" or char.isprintable() for char in out)
    assert max(map(len, out.split("\n"))) <= 50


def written(folder: Path, row: Answer) -> None:
    """An evaluation of one answer, in ASCII as JSON has it, so that half of a pair can stand in it."""
    (folder / "bench").mkdir()
    (folder / "bench" / ANSWERS).write_text(json.dumps(dataclasses.asdict(row)) + "\n", encoding="ascii")


def test_a_long_answer_is_shown_by_its_head_and_tail_unless_asked_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "\n".join(f"line {i}" for i in range(100))
    written(tmp_path, dataclasses.replace(answer("bench", "bench-0", 0, 1), response=long))
    answers.main([str(tmp_path)])
    short = capsys.readouterr().out
    answers.main([str(tmp_path), "--whole"])
    assert f"\n\n{long}\n\n" in capsys.readouterr().out
    found = re.findall(r"line (\d+)$", short, re.MULTILINE)
    left = int(re.search(r"… (\d+) lines are left out; --whole", short)[1])
    assert found[0] == "0" and found[-1] == "99" and len(found) + left == 100


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{root}"], "2 runs are in it; give the folder of one"),
        (["{root}/nowhere"], "no such folder"),
        (["{run}", "--benchmark", "aime"], "benchmark aime: not in .*; it has hard, long, main"),
        (
            ["{run}", "--id", "nosuch"],
            "--id nosuch: no such question in hard, long, main of .*tuned; they are called like hard-0",
        ),
        (["{run}", "--id", "main-3", "--id", "mian-3"], r"--id mian-3: no such question in .*; did you mean main-3"),
        (["{run}", "--id", "main-3", "--benchmark", "hard"], "--id main-3: no such question in hard of"),
        (["{run}", "--limit", "-1"], "--limit -1: give how many"),
        (["{run}", "--changed", "{other}"], "--changed .*: it has no answers to hard, long, main; it has bench"),
        (["{bare}"], "bare/.*: no answers of a model in it; it has base"),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_sentence(
    words: list[str], sentence: str, runs: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    written(other, answer("bench", "bench-0", 0, 1))
    write_run(tmp_path / "bare", training=False)
    places = {"root": runs[0].parent, "run": runs[0], "other": other, "bare": tmp_path / "bare"}
    with pytest.raises(UserError, match=sentence):
        answers.main([word.format(**places) for word in words])
