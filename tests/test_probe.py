"""Is a base ready? Losses against transformers' own, what a model writes itself, the sentences, the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from limo.engine import Sampling
from limo.engine.transformers import Transformers, load
from limo.lab import Questions
from limo.models import Model, load_tokenizer
from limo.models.encode import encode
from limo.probe import ProbeStage
from limo.probe.losses import score
from limo.probe.text import ENOUGH, LITTLE, meaning, text, usable
from limo.records import Context, Example, ProbeSummary, write
from limo.scores import forward
from limo.stage import summary
from tests.command import started
from tests.waiting import LAST


def model(folder: Path) -> Model:
    return Model(path=str(tiny.model(folder)), dtype="float32")


def stage(folder: Path, rows: list[Example] | None = None, **how: object) -> ProbeStage:
    write(folder / "examples.jsonl", tiny.examples() if rows is None else rows)
    usual = {
        "count": 6,
        "model": model(folder / "base"),
        "engine": Transformers(),
        "sampling": Sampling(samples=1, temperature=0.0, max_tokens=24),
        "max_length": 200,
        "overlong": "error",
        "seed": 0,
        "store": folder / "store",
    }
    return ProbeStage(examples=folder / "examples.jsonl", **usual | how)


def run(one: ProbeStage, folder: Path) -> ProbeSummary:
    folder.mkdir()
    one.run(folder)
    return summary(folder, ProbeSummary)


@pytest.mark.parametrize("rows", [1, 7, 512])
def test_what_an_answer_costs_is_the_loss_of_transformers(rows: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(forward, "ROWS", rows)
    base = model(tmp_path / "base")
    net = load(base, "auto")
    for example in tiny.examples(4):
        one = encode(load_tokenizer(base), base, example)
        ids = torch.tensor([one.tokens])
        labels = ids.clone()
        labels[0, : one.prompt] = -100
        with torch.no_grad():
            whole = net(input_ids=ids, labels=labels)
        paid = score(net, one)
        assert paid.tokens == one.supervised
        assert paid.surprisal / paid.tokens == pytest.approx(float(whole.loss), rel=1e-5)
        first = whole.logits[0, :-1].argmax(-1) == ids[0, 1:]
        assert paid.first == int(first[one.prompt - 1 :].sum())


def test_a_context_is_what_stands_before_the_prompt(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    net, tokenizer = load(base, "auto"), load_tokenizer(base)
    other, one = (encode(tokenizer, base, e) for e in tiny.examples(2))
    joined = replace(one, tokens=(*other.tokens, *one.tokens), prompt=len(other.tokens) + one.prompt)
    assert score(net, one, other.tokens) == score(net, joined)
    assert score(net, one, other.tokens).surprisal != pytest.approx(score(net, one).surprisal, rel=1e-4)


def test_a_greedy_answer_is_all_first_choices_and_cheaper_than_the_solutions(tmp_path: Path) -> None:
    # the random model spells special tokens, which are lost when its answers become text; the lab's base does not
    pool = Questions(kind="main", size=12, split="dev").problems()
    rows = [Example(p.id, p.id, p.question, p.answer, f"so it is \\boxed{{{p.answer}}}") for p in pool]
    found = run(stage(tmp_path, rows, model=Model(path="lab:base", dtype="float32")), tmp_path / "probe")
    assert found.own.first == 1.0
    assert found.own.loss < found.solutions.loss
    assert found.solutions.first < 1.0
    assert (found.probed, found.selected, found.overlong) == (6, 12, 0)
    assert (found.solved.questions, found.own.texts) == (6, 6)


def test_a_second_probe_of_the_same_is_the_same(tmp_path: Path) -> None:
    warm = Sampling(samples=4, temperature=1.0, max_tokens=24)
    one, two = (run(stage(tmp_path, sampling=warm, seed=3), tmp_path / name) for name in ("one", "two"))
    assert one == two
    assert one.solved.pass_at.keys() == {1, 2, 4}


def test_contexts_grow_to_the_window_or_twice_the_longest_example(tmp_path: Path) -> None:
    found = run(stage(tmp_path), tmp_path / "probe")
    lengths = [entry.length for entry in found.contexts]
    assert lengths == sorted(lengths)
    assert lengths[-1] == min(found.window, 2 * found.solutions.longest)


def test_an_example_that_training_would_refuse_is_cut_and_counted(tmp_path: Path) -> None:
    rows = tiny.examples(5)
    rows[2] = replace(rows[2], solution="so 4." * 100)
    assert run(stage(tmp_path, rows, count=9), tmp_path / "cut").overlong == 1
    dropped = run(stage(tmp_path, rows, count=9, overlong="drop"), tmp_path / "dropped")
    assert dropped.probed == 4


@pytest.fixture(scope="module")
def facts(tmp_path_factory) -> ProbeSummary:
    folder = tmp_path_factory.mktemp("facts")
    return run(stage(folder), folder / "probe")


def said(facts: ProbeSummary, **changes: object) -> str:
    for path, value in changes.items():
        part, _, name = path.partition("__")
        facts = replace(facts, **{part: replace(getattr(facts, part), **{name: value}) if name else value})
    return " ".join(meaning(facts))


def test_what_it_means_follows_from_the_numbers(facts: ProbeSummary) -> None:
    assert "No objection" in said(facts, solutions__first=ENOUGH + 0.01)
    assert "Probably not ready" in said(facts, solutions__first=LITTLE - 0.01)
    assert "No call" in said(facts, solutions__first=(LITTLE + ENOUGH) / 2)
    assert "solves these problems already" in said(facts, solved__rate=0.9)
    assert "solved none" in said(facts, solved__rate=0.0, solved__pass_at=dict.fromkeys(facts.solved.pass_at, 0.0))
    able = {"solved__rate": 0.6, "answers__tokens": 50, "solutions__tokens": 60, "solutions__loss": 2.0}
    assert "may well make it worse" in said(facts, **able, own__loss=1.0)
    assert "will change little" in said(facts, **able, own__loss=1.95)
    for weak in ({"answers__tokens": 5}, {"solved__rate": 0.1}):
        assert "reasons already" not in said(facts, **able | weak, own__loss=1.0)
    assert "shorter than the longest example" in said(facts, window=10)
    assert "did not end" in said(facts, answers__cut=0.2)


def test_every_judgement_says_what_it_rests_on(facts: ProbeSummary) -> None:
    for sentence in meaning(facts):
        assert "lab" in sentence or "not validated" in sentence or "did not end" in sentence, sentence
    assert "first choice" in text(facts)


def test_a_context_is_usable_where_the_loss_at_its_end_is_not_worse() -> None:
    entries = [Context(n, loss, 1.0, 8) for n, loss in ((64, 0.9), (128, 1.05), (256, 1.2), (512, 4.0))]
    assert usable(entries) == 128
    assert usable(entries[2:]) == 0
    assert usable([]) is None


def probe(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limo", "probe", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=LAST)


SMALL = ("attempts=none", "data.size=60", "selection=random", "selection.size=8")


def test_the_command_measures_the_examples_that_the_run_would_train_on(tmp_path: Path) -> None:
    done = probe("--examples", "4", "--samples", "2", "--max-tokens", "8", *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "lab:base on 4 of 8 selected examples" in done.stdout
    assert "What it means" in done.stdout
    assert len(list((tmp_path / "outputs/.store/probe").glob("*/summary.json"))) == 1
    run = started(*SMALL, "stages=[data,selection]", cwd=tmp_path)
    assert "selection: from the store" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("number", "code", "what"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "told to end")]
)
def test_a_command_that_is_told_to_end_does_so_in_a_sentence(
    number: signal.Signals, code: int, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from limo.probe import command
    from tests import command as command_line

    monkeypatch.setattr(command, "run", lambda *_: os.kill(os.getpid(), number))
    assert command_line.limo("probe") == code
    assert capsys.readouterr().err == f"limo: {what}; the same command resumes\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--examples", "0"], "examples=0 must be 1 or more"),
        (["--samples", "3", "--temperature", "0"], "one answer repeated"),
        (["--max-tokens", "0"], "max_tokens=0 must be 1 or more"),
        (["model.path=/nowhere/at/all"], "model.path=/nowhere/at/all: no such folder"),
        (["selection.sise=3"], "selection.sise: there is no such key"),
        (["--multirun"], "this looks at one run"),
    ],
)
def test_a_mistake_is_one_sentence_before_any_work(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = probe(*arguments, *SMALL, cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "outputs/.store/data").exists()
