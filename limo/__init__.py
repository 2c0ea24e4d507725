"""Less is more for reasoning: choose data, train, evaluate and compare, as one declarative experiment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from limo.loaded import Loaded

__version__ = "0.1.0"


class UserError(ValueError):
    """Something the user can mend: one sentence that names the key or the file and the remedy; exit code 2, no traceback."""


class StageError(RuntimeError):
    """A stage process that did not end well: one sentence that names its log; exit code 1, no traceback here."""

    code: ClassVar[int] = 1


class EndedError(StageError):
    """A stage process that was told to end (SIGTERM) and did; the same command goes on from there; exit code 143."""

    code: ClassVar[int] = 143


def load(run: str | Path) -> Loaded:
    """The only run at or below a folder as plain objects: config, results, answers, examples (docs/python.md). Raises UserError."""
    from limo import loaded

    return loaded.load(run)


def load_all(folder: str | Path) -> list[Loaded]:
    """Every run at or below a folder, such as those of a sweep. Raises UserError."""
    from limo import loaded

    return loaded.load_all(folder)
