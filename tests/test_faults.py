"""The fault bench notices what does not survive."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults.__main__ import LOST, SURVIVED, UNTRIED, VOID, attempt, every, table
from benchmarks.faults.case import MARK, Case, Fault
from benchmarks.faults.ends import Done, LostError, UntriedError, VoidError, refused
from benchmarks.faults.road import RUN, STORE, Road
from limo.products import products


@pytest.fixture
def road(tmp_path: Path) -> Road:
    """A run of one task whose result is one file."""
    result = tmp_path / "whole" / STORE / "data" / "0123"
    result.mkdir(parents=True)
    (result / "problems.jsonl").write_text("a\nb\n", encoding="utf-8")
    (tmp_path / "whole" / RUN).mkdir()
    (tmp_path / "whole" / RUN / "data").symlink_to(os.path.relpath(result, tmp_path / "whole" / RUN))
    return Road(("stages=[data]",), tmp_path / "whole", products(tmp_path / "whole" / RUN))


def tried(road: Road, tmp_path: Path, how: Callable[[Case], object]) -> tuple[str, str]:
    def fault(case: Case) -> str:
        case.copy()
        how(case)
        case.same()
        return ""

    outcome = attempt(Fault("group", "name", fault), {"whole": road}, tmp_path)
    assert outcome.state in table([outcome])
    return outcome.state, outcome.note


def outlive(case: Case) -> None:
    subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=os.environ | {MARK: str(case.folder)}
    )


def raises(error: Exception) -> Callable[[Case], object]:
    def how(case: Case) -> object:
        raise error

    return how


@pytest.mark.parametrize(
    ("how", "state", "note"),
    [
        (lambda case: None, SURVIVED, ""),
        (lambda case: (case.result("data") / "problems.jsonl").write_text("a\n"), LOST, "1 products differ"),
        (lambda case: (case.folder / RUN / "data").unlink(), LOST, "2 products differ"),
        (
            lambda case: (case.store / "data" / "45.partial").mkdir(),
            LOST,
            "left behind: outputs/.store/data/45.partial",
        ),
        (raises(VoidError("too late")), VOID, "too late"),
        (raises(UntriedError("no mount")), UNTRIED, "no mount"),
        (raises(LostError("a hang")), LOST, "a hang"),
        (raises(KeyError("x")), LOST, "the bench itself failed"),
    ],
)
def test_what_differs_or_lies_about_is_lost_and_what_was_not_hit_counts_apart(
    road: Road, tmp_path: Path, how: Callable[[Case], object], state: str, note: str
) -> None:
    found, said = tried(road, tmp_path, how)
    assert found == state and note in said


def test_a_process_that_outlives_its_command_is_lost_and_ended(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.faults.case.GRACE", 0)
    assert tried(road, tmp_path, outlive) == (LOST, "1 processes outlive their command")


def test_a_refusal_is_one_sentence_and_exit_code_2() -> None:
    refused(Done(2, "limo: name=..: give the run a plain name\n", 1), "name")
    for done in (
        Done(1, "limo: no\n", 1),
        Done(2, "Traceback (most recent call last)\nlimo: no\n", 1),
        Done(2, "Killed", 1),
    ):
        with pytest.raises(LostError):
            refused(done)


def test_every_group_is_in_the_short_form_and_no_name_stands_for_two_faults() -> None:
    faults = every()
    assert len({(fault.group, fault.name) for fault in faults}) == len(faults) > 150
    assert {fault.group for fault in faults if fault.short} == {fault.group for fault in faults}
