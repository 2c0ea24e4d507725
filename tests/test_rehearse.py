from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command import limo


def pieces(told: str) -> dict[str, str]:
    """Piece -> what came of it; that of the recipe apart from what stood in for it."""
    found = re.findall(r"^(held|failed|not tried) +(\S.*?)  ", told, re.MULTILINE)
    return {name + " (not tried)" * (state == "not tried"): state for state, name in found}


def test_a_recipe_whose_parts_are_elsewhere_is_rehearsed_without_a_word_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert limo("rehearse", "+experiment=limo817", "training/strategy=single", "engine=transformers") == 0
    told = capfd.readouterr().out
    assert pieces(told) == {
        "data": "held",
        "candidates": "held",
        "selection": "held",
        "training, killed after a checkpoint": "held",
        "training, resumed, exported": "held",
        "evaluation/base": "held",
        "evaluation/tuned": "held",
        "report": "held",
        "data (not tried)": "not tried",
        "benchmarks (not tried)": "not tried",
        "GPUs (not tried)": "not tried",
        "tokenizer, chat template, weights (not tried)": "not tried",
    }
    assert "not tried data  repo=GAIR/LIMO" in told
    assert (tmp_path / "outputs/rehearsals/limo817/report.html").is_file()
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["rehearsals"]


def test_a_piece_that_fails_leaves_out_only_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert limo("rehearse", "attempts=none", "optimizer.lr=1e30", "engine=transformers") == 1
    ended = capfd.readouterr()
    found = pieces(ended.out)
    assert found["evaluation/base"] == "held" and "evaluation/tuned" not in found
    assert {state for name, state in found.items() if name.startswith("training")} >= {"failed"}
    assert "limo: 1 of" in ended.err


def test_too_few_problems_are_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert limo("rehearse", "--problems", "1") == 2
    assert "--problems 1: it takes 2 or more" in capfd.readouterr().err
