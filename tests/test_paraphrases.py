"""Questions that a judge finds to be a benchmark's in other words: by the command, with a judge that follows a script."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
from tiny import CHATML
from tiny import model as tiny

from limo import UserError
from limo.compose import compose
from limo.hardware import Gpu
from limo.models import Model
from limo.paraphrases import ParaphrasesStage
from limo.paraphrases.judge import PROMPT, Item, Paraphrases, parse
from limo.plan import plan
from limo.plan.command import survey
from limo.records import ParaphrasesSummary, read_record, rows
from limo.scores import Hidden, Likelihood
from tests.command import started

TESTS = Path(__file__).parent
BENCH = {
    "train": "A train travels 120 miles in 2 hours. What is its average speed in miles per hour?",
    "clips": "Natalia sold clips to 48 friends in April and half as many in May. How many clips did she sell altogether?",
}
POOL = {
    "reworded": "What is the average speed, in miles per hour, of a train which covers 120 miles over 2 hours?",
    "sold": "In April 48 friends bought clips from Natalia, in May half as many. How many clips were sold altogether?",
    "other": "A train travels 120 miles at an average speed of 60 miles per hour. How long does it take?",
    "far": "Name the smallest prime above ten.",
}


FILES = {
    "conf/engine/scripted.yaml": """\
_target_: engines.Scripted
script: {covers: SAME, bought: I cannot say.}
""",
    "conf/model/judge.yaml": """\
defaults: [_base]
path: judge
""",
    "conf/paraphrases/ours.yaml": """\
defaults:
  - /model@model: judge
  - _base
  - override /engine@engine: scripted
""",
    "experiments/clean.yaml": """\
defaults:
  - /paraphrases@data.decontamination.paraphrases: ours
  - /data@data.decontamination.protect.bench: files
  - override /data: files
  - override /attempts: none
  - override /evaluation: none
  - _self_
stages: [data]
plugins: [engines]
data:
  path: pool.jsonl
  id: id
  decontamination:
    protect:
      bench: {path: bench.jsonl, id: id}
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user stands whose POOL must not hold BENCH; the judge is a tiny model whose engine follows a script."""
    judge = tiny(tmp_path / "judge", CHATML)
    shape = json.loads((judge / "config.json").read_text())
    (judge / "config.json").write_text(json.dumps(shape | {"max_position_embeddings": 4096}))
    for name, held in (("pool", POOL), ("bench", BENCH)):
        lines = [json.dumps({"id": id, "question": text, "answer": "1"}) for id, text in held.items()]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The user's recipe, its results in `run`."""
    return started("+experiment=clean", "hydra.run.dir=run", *more, cwd=folder, PYTHONPATH=f"{TESTS}:{TESTS.parent}")


def test_what_the_judge_calls_the_same_leaks_and_what_it_does_not_answer_is_no_proof(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(folder)
    assert done.returncode == 0, done.stderr
    made = folder / "run" / "paraphrases"
    said = read_record(made / "summary.json", ParaphrasesSummary)
    assert (said.problems, said.kept, said.same, said.unknown, said.leaks) == (4, 2, 1, 1, {"bench": 1})
    assert said.pairs == said.same + said.different + said.unknown and said.different > 0
    dropped = {row["id"]: row for _, row in rows(made / "dropped.jsonl")}
    assert {id: row["reason"] for id, row in dropped.items()} == {
        "reworded": "benchmark question in other words",
        "sold": "not judged",
    }
    row = dropped["reworded"]
    assert (row["question"], row["match"]["question"], row["match"]["method"]) == (
        POOL["reworded"],
        BENCH["train"],
        "judged",
    )
    assert 0.25 <= row["match"]["score"] < 1
    assert [row["id"] for _, row in rows(made / "problems.jsonl")] == ["other", "far"]
    pairs = [row for _, row in rows(made / "pairs.jsonl")]
    assert {"I cannot say."} == {row["reply"] for row in pairs if row["verdict"] == "unknown"}
    assert "far" not in {row["id"] for row in pairs}, "it is near to none"
    page = (folder / "run" / "report.html").read_text()
    assert POOL["reworded"] in page and BENCH["train"] in page

    kept = run(folder, "data.decontamination.paraphrases.unknown=keep")
    assert kept.returncode == 0, kept.stderr
    assert [row["id"] for _, row in rows(made / "problems.jsonl")] == ["sold", "other", "far"]
    assert "1 problem" in kept.stdout + kept.stderr and "no readable verdict" in kept.stdout + kept.stderr
    assert "data: from the store" in kept.stdout + kept.stderr, "another judge reads no pool again"

    def acting(action: str) -> Path:
        config = compose(["+experiment=clean", f"data.decontamination.action={action}"])
        stage = ParaphrasesStage(
            problems=folder / "run/data/problems.jsonl",
            decontamination=config.data.decontamination,
            model=config.model,
            store=folder / "outputs/.store",
        )
        (done := folder / action).mkdir()
        stage.run(done)
        return done

    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    only = acting("report")
    assert len(list(rows(only / "problems.jsonl"))) == 4 and not list(rows(only / "dropped.jsonl"))
    assert {row["id"] for _, row in rows(only / "matches.jsonl")} == {"reworded", "sold"}
    with pytest.raises(UserError, match=r"2 problems leak \(benchmark question in other words: 1, not judged: 1\)"):
        acting("fail")


def test_a_judge_that_cannot_be_stops_before_any_work(folder: Path) -> None:
    for more, said in (
        ("data.decontamination.paraphrases.cosine=0", "cosine=0.0 must be above 0"),
        ("data.decontamination.paraphrases.prompt='{question}'", "prompt lacks {other}, {mark}"),
        ("data.decontamination.paraphrases.model.path=/nowhere", "/nowhere: no such folder"),
    ):
        done = run(folder, more)
        told = done.stdout + done.stderr
        assert done.returncode == 2 and said in told and "Traceback" not in told, told
        assert not list(folder.glob("outputs/.store/data/*"))


def test_vectors_of_a_model_find_the_same_question_too_and_what_makes_none_is_refused(tmp_path: Path) -> None:
    model = Model(path=str(tiny(tmp_path / "model", CHATML)), dtype="float32")
    engine = compose(["engine=transformers"]).engine
    items = [Item("bench", name, text[:60]) for name, text in BENCH.items()]
    rule = Paraphrases(vectors=Hidden(), model=model, engine=engine, cosine=0.99, nearest=1)
    (pair,) = rule.near([("same", BENCH["clips"][:60])], items, model, tmp_path)
    assert (pair.problem, pair.cosine) == ("clips", pytest.approx(1, abs=1e-3))
    table = dataclasses.replace(rule, vectors=Likelihood(alone=False))
    with pytest.raises(UserError, match="Likelihood makes no vectors; choose tfidf, static or hidden"):
        table.near([("same", "1+1?")], [Item("bench", "sum", "2+2?")], model, tmp_path)


def test_the_plan_prices_the_judge() -> None:
    words = ["+experiment=limo817", "+paraphrases@data.decontamination.paraphrases=qwen2.5-32b-instruct"]
    config = compose(words)
    assert config.data.decontamination.paraphrases.prompt == PROMPT
    gpus = (Gpu("NVIDIA H100 80GB HBM3", 80 << 30),) * 8
    made = plan(config, survey(config), gpus)
    (one,) = [g for g in made.generations if g.task == "paraphrases"]
    assert (one.answers, one.tokens) == (round(0.7 * 817), round(0.7 * 817) * 16) and (one.hours or 0) > 0
    config = compose([*words, "evaluation=none", "~data.decontamination.protect"])
    assert not [g for g in plan(config, survey(config), gpus).generations if g.task == "paraphrases"], "near to what?"


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("SAME", "same"),
        ("different.", "different"),
        ("<think>They are the SAME?</think>\n**DIFFERENT**", "different"),
        ("", "unknown"),
        ("SAME or DIFFERENT", "unknown"),
        ("The same", "unknown"),
        ("<think>SAME", "unknown"),
    ],
)
def test_only_one_of_the_two_words_is_a_verdict(reply: str, verdict: str) -> None:
    assert parse(reply) == verdict
