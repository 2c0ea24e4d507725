"""Who tries the problems, how often, and how the tries are graded."""

from __future__ import annotations

from limo.config import component, runtime
from limo.engine import Sampling
from limo.grading.rules import Rules
from limo.models import Model


@component
class Attempts:
    """Who tries the problems, how often, and how the tries are graded."""

    sampling: Sampling
    model: Model | None = None
    """Who tries; null takes the model of the run."""
    rules: Rules
    """Rules by which the tries are graded."""
    limit: int | None = None
    """Only the first so many problems, by id; null tries all."""
    largest: float | None = runtime(default=None)
    """Weights of the largest model that these settings were made for; a larger one is refused. Null asks nothing."""

    def lacks(self, model: Model) -> list[str]:
        """What keeps a model from being tried so, one sentence."""
        return model.outgrows("attempts", self.largest, "attempts=none, give them room (attempts.sampling.max_tokens)")

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} must be 1 or more, or null for all problems")
