"""The tests hold on a busy machine: none of them measures itself by the clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.waiting import LAST, gone, until

HERE = Path(__file__).parent
LEAST = 1800
"""Seconds that a limit must leave: no more than a way out of a test that hangs."""
WAITS = ("wait", "join", "communicate", "acquire", "result", "get")
CLOCKS = ("monotonic", "perf_counter", "time", "process_time")


def limits(source: str) -> Iterator[str]:
    """What in a test depends on how fast the machine is: short limits of waits, and readings of the clock."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        given = [word.value for word in node.keywords if word.arg in ("timeout", "deadline")]
        given += node.args[:1] if name in WAITS else []
        short = [
            v.value
            for v in given
            if isinstance(v, ast.Constant) and isinstance(v.value, int | float) and v.value < LEAST
        ]
        clock = name in CLOCKS and ast.unparse(node.func) == f"time.{name}"
        if short or clock:
            yield f"line {node.lineno}: {ast.unparse(node)[:80]}"


def test_no_test_has_a_limit_that_a_slow_machine_breaks() -> None:
    files = [file for file in HERE.rglob("*.py") if file.name != "waiting.py"]
    assert len(files) > 30
    found = [f"{file.name}, {limit}" for file in files for limit in limits(file.read_text(encoding="utf-8"))]
    assert not found, "wait with tests.waiting.until, or hold what is waited for at a gate: " + "; ".join(found)


@pytest.mark.parametrize(
    "line", ["run.wait(20)", "run.communicate(timeout=60)", "settings(deadline=200)", "end = time.monotonic() + 60"]
)
def test_such_a_limit_would_be_noticed(line: str) -> None:
    assert list(limits(line)) and not list(limits("run.wait(LAST)\nrun.wait()\ntimeout = 5"))


def test_no_property_has_a_deadline() -> None:
    assert settings.default.deadline is None and HealthCheck.too_slow in settings.default.suppress_health_check


def test_waiting_ends_with_what_came_and_fails_where_it_cannot_come() -> None:
    came = iter([0, 0, 3])
    assert until("a number", lambda: next(came)) == 3
    with pytest.raises(AssertionError, match="never came: a number"):
        until("a number", lambda: 0, alive=lambda: False)
    last = iter([0, 5])
    assert until("a number", lambda: next(last), alive=lambda: False) == 5, "it came as its maker ended"
    gone([2**22 + 1])
    assert LAST >= LEAST
