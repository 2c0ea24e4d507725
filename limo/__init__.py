"""Less is more for reasoning: choose data, train, evaluate and compare, as one declarative experiment."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from limo.loaded import load, load_all

__all__ = ["EndedError", "StageError", "UserError", "__version__", "load", "load_all"]

__version__ = "0.1.0"


class UserError(ValueError):
    """Something the user can mend: one sentence that names the key or the file and the remedy; exit code 2, no traceback."""


class StageError(RuntimeError):
    """A stage process that did not end well: one sentence that names its log; exit code 1, no traceback here."""

    code: ClassVar[int] = 1


class EndedError(StageError):
    """A stage process that was told to end (SIGTERM) and did; the same command goes on from there; exit code 143."""

    code: ClassVar[int] = 143


def __getattr__(name: str) -> Any:
    """`limo.load` and `limo.load_all`: a run from Python, see docs/python.md. What they import, no stage has to."""
    if name in ("load", "load_all"):
        return getattr(importlib.import_module("limo.loaded"), name)
    raise AttributeError(f"module 'limo' has no attribute {name!r}")
