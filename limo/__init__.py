"""Less is more for reasoning: choose data, train, evaluate and compare, as one declarative experiment."""

__version__ = "0.1.0"


class Mistake(ValueError):  # noqa: N818 - not an error of the program
    """Something the user can mend: one sentence that names the key or the file and the remedy; exit code 2, no traceback."""
