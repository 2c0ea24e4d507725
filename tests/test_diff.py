"""What `limo diff` says of two runs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from limo import UserError, diff
from limo.records import RESULTS, Example, Manifest, read, read_record, read_results, write, write_record, write_results
from limo.report.settings import change
from limo.report.text import signed
from tests.outputs import write_run

CONFIG = "name: lab\nselection: {{rank: {rank}, steps: {{low: {low}}}}}\nattempts: {{}}\nsize: {size}\n"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two runs that differ in a few ways."""
    monkeypatch.setenv("COLUMNS", "200")
    a, b = write_run(tmp_path, "limo"), write_run(tmp_path, "random")
    more = "more: [1, 2]\nstep: {_target_: limo.selection.Correct, box: true}\nflag: true\n"
    (a / "config.yaml").write_text(CONFIG.format(rank="quality", low=0.1, size="'3'") + "flag: 1\n")
    (b / "config.yaml").write_text(CONFIG.format(rank="quality", low=0.2, size="3") + more)
    kept = read(b / "selection/examples.jsonl", Example)
    kept[7] = dataclasses.replace(kept[7], solution="another")
    write(b / "selection/examples.jsonl", [*kept[5:], dataclasses.replace(kept[0], id="new\x1b[2J")])
    made = read_record(b / "training/manifest.json", Manifest)
    hub = {"Qwen/QwQ-32B": "c" * 40}
    write_record(b / "training/manifest.json", dataclasses.replace(made, versions={"torch": "2.14.0"}, hub=hub))
    return a, b


def said(capsys: pytest.CaptureFixture[str], *folders: Path) -> str:
    diff.main([*map(str, folders)])
    return capsys.readouterr().out


def rows(text: str, title: str) -> dict[str, list[str]]:
    """The cells of the rows of the table below a title, by their first."""
    lines = text.partition(f"\n{title}")[2].split("\n")[3:]
    found = [re.split(r" {2,}", line.strip()) for line in lines[: lines.index("") if "" in lines else None]]
    return {cells[0]: cells[1:] for cells in found}


def test_keys_examples_and_versions_that_differ_are_named_and_no_others(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    out = said(capsys, *runs)
    assert "Config: 5 keys differ" in out
    changed = {"selection.steps.low": ["0.1", "0.2"], "size": ['"3"', "3"], "flag": ["1", "true"]}
    assert rows(out, "Config") == changed | {"more": ["—", "[1, 2]"], "step": ["—", "Correct"]}
    assert "Examples: 300 in A, 296 in B; 295 in both" in out
    assert "5 only in A: p0, p1, p2, p3, p4\n1 only in B: new\\x1b[2J\n1 in both with another text: p7" in out
    versions = rows(out, "Versions")
    assert versions["torch"] == ["2.13.0", "2.14.0", "training"]
    assert versions["limo"] == ["0.1.0", "—", "training"]
    assert versions["Qwen/QwQ-32B"] == ["—", "c" * 40, "training"]
    assert len(versions) == 3


def test_results_are_paired_and_the_questions_gained_and_lost_are_named(
    runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = (read_results(run / "evaluation/tuned" / RESULTS) for run in runs)
    out = said(capsys, *runs)
    for name, cells in rows(out, "Tuned model").items():
        if name not in a.benchmarks:
            continue
        rates = {
            q: (sum(row) / len(row), sum(b.benchmarks[name].answers[q]) / len(row))
            for q, row in a.benchmarks[name].answers.items()
        }
        gained, lost = [q for q, (x, y) in rates.items() if y > x], [q for q, (x, y) in rates.items() if y < x]
        assert cells[-2:] == [str(len(gained)), str(len(lost))] and gained and lost
        for kind, ids in (("gained", gained), ("lost", lost)):
            assert f"{kind} {', '.join(ids[:8])}" in out
        assert cells[3].startswith(signed(change([a], [b], name).value))
    assert f"python -m limo answers {runs[1]} --changed {runs[0]} --which tuned\n" in out
    assert "Base model: the same answers are right" in out


def test_what_was_asked_in_another_way_is_said(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = runs[1] / "evaluation/tuned" / RESULTS
    found = read_results(path)
    main = found.benchmarks["main"]
    other = dataclasses.replace(main, protocol=dataclasses.replace(main.protocol, max_tokens=999))
    others = {"extra": main, "main": other, "hard": found.benchmarks["hard"]}
    write_results(path, dataclasses.replace(found, benchmarks=others))
    out = said(capsys, *runs)
    assert "! asked in another way: max_tokens 192 in A, 999 in B (main)" in out
    assert "only in A: long" in out and "only in B: extra" in out


def test_a_run_differs_from_itself_in_nothing(runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, runs[0], runs[0])
    assert "Config: the same" in out and "only in" not in out and "others" not in out and "gained" not in out
    assert out.count("the same answers are right") == 2 and "Versions: the same" in out


def test_every_line_but_those_to_copy_fits_the_terminal(
    runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = said(capsys, *runs).splitlines()
    assert max(len(line) for line in lines if str(runs[0].parent) not in line) <= 60


def test_what_cannot_be_compared_is_said(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 runs are in it"):
        diff.main([str(tmp_path), str(runs[0])])
    for text, sentence in (("a: [", "not valid YAML"), ("- 1", "not a config"), (None, "config.yaml: No such file")):
        (runs[0] / "config.yaml").unlink(missing_ok=True)
        if text:
            (runs[0] / "config.yaml").write_text(text)
        with pytest.raises(UserError, match=sentence):
            diff.main([*map(str, runs)])
