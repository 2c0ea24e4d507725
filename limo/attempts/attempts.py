"""A sieve: who tries the problems, how often, how the tries are graded, and which problems stay."""

from __future__ import annotations

from limo.config import component, runtime
from limo.engine import Sampling
from limo.grading.rules import Rules
from limo.models import Model
from limo.records import Band


@component
class Sieve:
    """Which problems stay by how often they were solved."""

    rules: Rules
    """Rules by which the tries are graded."""
    keep: str | None = None
    """Problems with so many right tries stay, `0 of 4` or `1..3 of 32`; null measures only, and all stay."""

    def __post_init__(self) -> None:
        if self.keep is not None:
            try:
                Band.parse(self.keep)
            except ValueError as error:
                raise ValueError(f"keep: {error}") from None

    @property
    def samples(self) -> int | None:
        """Tries of each problem; None where they are not known before the data are read."""
        return None

    @property
    def band(self) -> Band | None:
        return None if self.keep is None else Band.parse(self.keep)


@component
class Attempts(Sieve):
    """A model tries the problems that the sieves before left."""

    sampling: Sampling
    model: Model | None = None
    """Who tries; null takes the model of the run."""
    stop: bool = True
    """No more tries at a problem that `keep` leaves out whatever they come to: the same problems stay for fewer tokens."""
    limit: int | None = None
    """Only the first so many problems, by id; null tries all. Under `keep` those not tried are left out."""
    seed: int | None = None
    """Null takes the seed of the run; two sieves of one model, sampling and seed share their tries."""
    largest: float | None = runtime(default=None)
    """Weights of the largest model that these settings were made for; a larger one is refused. Null asks nothing."""

    @property
    def samples(self) -> int:
        return self.sampling.samples

    def lacks(self, name: str, model: Model) -> list[str]:
        """What keeps a model from being tried so, one sentence; `name` is the sieve's."""
        room = f"attempts=none, give them room (attempts.{name}.sampling.max_tokens)"
        return model.outgrows(f"attempts.{name}", self.largest, room)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} must be 1 or more, or null for all problems")
        if self.band and self.band.of != self.sampling.samples:
            raise ValueError(
                f"keep={self.keep!r} counts {self.band.of} tries and sampling.samples={self.sampling.samples}; make them equal"
            )
