"""The command of a user, in this process or in one of its own, and small pools for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from limo.__main__ import main
from tests.waiting import LAST


def limo(*words: object) -> int:
    """Run `limo <words>`; its exit code."""
    with mock.patch.object(sys, "argv", ["limo", *map(str, words)]), pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def started(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m limo <arguments>` in a process of its own."""
    command = [sys.executable, "-m", "limo", *arguments]
    env = os.environ | env
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=LAST)


def jsonl(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


GOOD = '{"question": "What is 1 + 1?", "answer": "2", "solution": "It is \\\\boxed{2}."}'
OTHER = '{"question": "What is 1 + 2?", "answer": "3", "solution": "It is \\\\boxed{3}."}'


def pooled(folder: Path) -> list[str]:
    """Overrides that read a pool of two solved problems, without attempts at them."""
    pool = jsonl(folder / "pool.jsonl", GOOD, OTHER)
    return ["data=files", f"data.path={pool}", "data.solution=solution", "attempts=none"]
