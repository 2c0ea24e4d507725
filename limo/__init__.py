"""Less is more for reasoning: choose data, train, evaluate and compare, as one declarative experiment."""

from __future__ import annotations

from typing import ClassVar

__version__ = "0.1.0"


class UserError(ValueError):
    """Something the user can mend: one sentence that names the key or the file and the remedy; exit code 2, no traceback."""


class StageError(RuntimeError):
    """A stage process that did not end well: one sentence that names its log; exit code 1, no traceback here."""

    code: ClassVar[int] = 1


class EndedError(StageError):
    """A stage process that was told to end (SIGTERM) and did; the same command goes on from there; exit code 143."""

    code: ClassVar[int] = 143
