"""Less is more for reasoning: choose data, train, evaluate and compare, as one declarative experiment."""

__version__ = "0.1.0"


class UserError(ValueError):
    """Something the user can mend: one sentence that names the key or the file and the remedy; exit code 2, no traceback."""


class StageError(RuntimeError):
    """A stage process that did not end well: one sentence that names its log; exit code 1, no traceback here."""
