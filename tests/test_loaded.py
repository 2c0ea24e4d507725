"""A run as plain objects, and the document and the notebook that read one."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import limo
from limo import UserError
from limo.records import ANSWERS, RESULTS, Answer, Example, read, read_results
from limo.report.settings import change
from tests.outputs import answered, evaluation, write_run

ROOT = Path(__file__).parents[1]
SUITE = {"lab_main": (60, 1, "in"), "lab_hard": (40, 2, "in")}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two runs that the document names, all of the parts that a run leaves."""
    here = tmp_path_factory.mktemp("here")
    for strategy, name, skill in (("limo", "default", 0.9), ("random", "selection=random", 0.4)):
        run = write_run(here / "made", strategy)
        for kind, level in (("base", 0.1), ("tuned", skill)):
            shutil.rmtree(run / "evaluation" / kind)
            evaluation(run / "evaluation" / kind, kind, level, random.Random(7), suite=SUITE)
            answered(run / "evaluation" / kind)
        (run / "config.yaml").write_text("name: lab\nselection: {rank: quality, size: 300}\n")
        (here / "outputs/lab").mkdir(parents=True, exist_ok=True)
        run.rename(here / "outputs/lab" / name)
    return here


@pytest.fixture
def runs(here: Path) -> list[Path]:
    return sorted((here / "outputs/lab").iterdir())


def test_results_answers_examples_and_config_are_those_of_the_files(runs: list[Path]) -> None:
    run, folder = limo.load(runs[0]), runs[0]
    assert run.folder == folder and run.config == {"name": "lab", "selection": {"rank": "quality", "size": 300}}
    rows = {(row.which, row.benchmark): row for row in run.results}
    assert len(rows) == len(run.results) == 4
    for (which, benchmark), row in rows.items():
        found = read_results(folder / "evaluation" / which / RESULTS).benchmarks[benchmark]
        assert (row.accuracy, row.low, row.high) == (found.accuracy, found.interval.low, found.interval.high)
        assert (row.questions, row.samples) == SUITE[benchmark][:2]
    for which in ("base", "tuned"):
        file = folder / "evaluation" / which / "lab_hard" / ANSWERS
        assert run.answers("lab_hard", which) == read(file, Answer)
    assert len(run.answers()) == 60 + 80
    assert run.examples == read(folder / "selection/examples.jsonl", Example)
    assert {row.step for row in run.dropped} == {"correct", "solve_rate", "size"}
    assert [row["step"] for row in run.steps] == list(range(0, 320, 5))


def test_frames_have_a_row_for_each_record_and_a_column_for_each_score(runs: list[Path]) -> None:
    run = limo.load(runs[0])
    examples = run.examples.frame()
    assert list(examples["scores.quality"]) == [one.scores["quality"] for one in run.examples]
    answers = run.answers("lab_main").frame()
    assert list(answers["gold.value"]) == ["7"] * 60 and answers.correct.sum() == sum(
        a.correct for a in run.answers("lab_main")
    )
    assert len(limo.load(runs[0]).steps.frame()) == 64


def test_runs_are_compared_on_shared_questions_as_the_report_does(runs: list[Path]) -> None:
    first, second = map(limo.load, runs)
    tuned = [read_results(run / "evaluation/tuned" / RESULTS) for run in reversed(runs)]
    found = first.against(second, "lab_main")
    assert found == change([tuned[0]], [tuned[1]], "lab_main")
    assert found is not None and found.value == first.results[0].accuracy - second.results[0].accuracy
    assert first.against(second, "mean") == change([tuned[0]], [tuned[1]], "mean")


def test_what_cannot_be_compared_is_said_in_a_sentence(runs: list[Path], tmp_path: Path) -> None:
    first, second = map(limo.load, runs)
    bare = limo.load(write_run(tmp_path, training=False))
    for call, sentence in (
        (lambda: first.against(second, "lab_mian"), r"benchmark lab_mian: not in .*; did you mean lab_main.*; it has lab_main, lab_hard"),
        (lambda: first.against("x", "lab_main"), r"against: 'x' is no run; give what limo.load\(folder\) returns"),
        (lambda: first.against(second, "lab_main", "tunde"), r"model tunde: not measured in .*; did you mean tuned\?; it has tuned, base"),
        (lambda: first.against(bare, "lab_main"), r"model tuned: not measured in .*; it has base"),
        (lambda: first.against(bare, "lab_main", "base"), r"benchmark lab_main: not in .*; .*it has main, hard, long, mean"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"^{sentence}"):
            call()


def test_a_folder_of_several_runs_is_read_whole_or_refused_with_their_names(runs: list[Path]) -> None:
    assert [run.folder for run in limo.load_all(runs[0].parent)] == runs
    with pytest.raises(UserError, match="2 runs are in it; give the folder of one"):
        limo.load(runs[0].parent)
    with pytest.raises(UserError, match="no such folder"):
        limo.load("nowhere")


def test_pandas_is_imported_for_frames_alone(runs: list[Path]) -> None:
    code = (
        f"import limo, sys; run = limo.load({str(runs[0])!r}); run.results, run.examples, run.answers(), run.steps, run.config\n"
        "heavy = {'pandas', 'torch', 'transformers', 'datasets'}\nassert not heavy & sys.modules.keys()\n"
        "run.results.frame(); assert 'pandas' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_code_of_the_document_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    code = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {}
    exec("\n".join(code), names)
    assert len(code) > 5 and re.search(
        r"^\+0\.\d+ \[\+.*\], p = .*, 60 questions$", capsys.readouterr().out, re.MULTILINE
    )
    assert len(names["gained"]) > 10 and len(names["wrong"]) + names["frame"].correct.sum() == 60


def test_every_name_of_the_documents_table_is_there(runs: list[Path]) -> None:
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8").partition("| of `limo.load")[2]
    named = [
        name for row in text.split("\n")[2:] if row.startswith("|") for name in re.findall(r"`(\w+)", row.split("|")[1])
    ]
    run = limo.load(runs[0])
    assert len(named) > 8 and all(hasattr(run, name) for name in named)


def test_the_notebook_runs_and_is_kept_without_outputs(here: Path) -> None:
    import nbclient
    import nbformat

    notebook = nbformat.read(ROOT / "docs/python.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    done = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(here)}}, timeout=None).execute()
    kinds = {kind for cell in done.cells for out in cell.get("outputs", ()) for kind in out.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
