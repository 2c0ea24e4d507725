"""What the documents say works: the complete examples, every command in a block, every key."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from limo.compose import compose, jobs
from limo.config import SLOTS
from limo.evaluation.stage import load
from limo.records import Example, read, rows
from limo.serial import dump
from tests.command import started

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "experiments" / "LOG.md"])
LOOKING = ("show", "report", "answers", "diff", "replay", "grade", "export", "store")
"""Verbs that take no overrides."""


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every whole command for a run in the blocks of the documents, and every one in a line of text."""
    found = []
    for document in DOCUMENTS:
        said = re.sub(r"\\\n\s*", "", text(document))
        found += re.findall(r"^(?: {4})?python -m limo\b([^\n#]*)", said, re.MULTILINE)
        found += re.findall(r"`python -m limo ([^`]*)`", said)
    whole = {" ".join(words.split()) for words in found}
    return sorted(
        w for w in whole if not re.search(r"…|<|club|--help", w) and w.split()[:1] not in [[v] for v in LOOKING]
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that CONTRIBUTING shows, in an empty folder where a user stands."""
    files = re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", text(ROOT / "CONTRIBUTING.md"), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files][:1] == ["mine.py"] and len(files) == 5
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def test_the_criterion_of_the_guide_selects_from_the_command_line(folder: Path) -> None:
    done = started("+experiment=club", "stages=[data,selection]", "data.size=600", "selection.size=20", cwd=folder)
    assert done.returncode == 0, done.stderr
    (selected,) = folder.glob("outputs/club/*/selection")
    kept = read(selected / "examples.jsonl", Example)
    assert len(kept) == 20 and all(example.solution.count("=") >= 3 for example in kept)
    dropped = [row for _, row in rows(selected / "dropped.jsonl") if row["step"] == "equations"]
    assert (
        dropped and {row["reason"] for row in dropped} == {"few equations"} and all(row["value"] < 3 for row in dropped)
    )


def test_a_criterion_takes_ten_lines_and_a_yaml_and_nothing_else(folder: Path) -> None:
    assert len([line for line in (folder / "mine.py").read_text(encoding="utf-8").splitlines() if line]) == 10
    for name in ("experiments/club.yaml", "conf/evaluation/benchmark/club.yaml", "club.jsonl"):
        (folder / name).unlink()
    words = [
        "plugins=[mine]",
        "+selection/step@selection.steps.equations=equations",
        "selection.steps.equations.least=5",
    ]
    stages = ["stages=[data,selection]", "selection=random", "attempts=none", "data.size=400", "selection.size=5"]
    done = started(*words, *stages, "hydra.run.dir=run", cwd=folder)
    assert done.returncode == 0, done.stderr
    kept = read(folder / "run" / "selection" / "examples.jsonl", Example)
    assert len(kept) == 5 and all(example.solution.count("=") >= 5 for example in kept)


def test_the_benchmark_of_the_guide_is_read_with_its_answers(folder: Path) -> None:
    config = compose(["+experiment=club"])
    (problem,) = load("club", config.evaluation.benchmarks["club"]).problems
    assert (problem.question, problem.answer, problem.gold.type) == ("What is 6 times 7?", "42", "integer")


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_documents_composes(command: str) -> None:
    words = [
        w
        for w in shlex.split(re.sub(r"--gpus \S+", "", command))
        if w not in ("run", "plan", "probe", "rehearse", "fetch", "--list")
    ]
    if "--cfg" in words:
        words = words[: words.index("--cfg")]
    runs = jobs(words)
    for words in (runs[0], runs[-1]):
        if not any(word.startswith("hydra/launcher") for word in words):
            compose(words)


def paths(node: object, key: str = "") -> Iterator[str]:
    """The dotted name of every value of a config as JSON."""
    if key:
        yield key
    for name, child in node.items() if isinstance(node, dict) else ():
        yield from paths(child, f"{key}.{name}" if key else name)


def test_every_key_that_the_documents_name_exists() -> None:
    runs = (
        [],
        ["+experiment=gsm8k"],
        ["+experiment=limo817", "evaluation/judge=qwen2.5-32b-instruct", "evaluation/forcing=answer"],
    )
    known = {path for words in runs for path in paths(dump(compose(words)))}
    named = {
        (document.name, key)
        for document in DOCUMENTS
        for key in re.findall(rf"`((?:{'|'.join(SLOTS)})\.[a-z_.]*[a-z])[=`]", text(document))
    }
    assert len(named) > 10
    assert not {(name, key) for name, key in named if key not in known}
