"""LIMO's rule score of a solution: length, self-verification, exploration, connectives (arXiv 2502.03387v3)."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal

from limo.config import component, runtime
from limo.data.progress import bar
from limo.data.spread import Engine, spread
from limo.records import Example
from limo.selection.steps import Measure

Scaling = Literal["rank", "minmax", "none"]


@component
class Trait:
    """Something that shows in certain words."""

    weight: float
    words: tuple[str, ...] = ()
    """Whole words or phrases, in whatever case."""
    pattern: str | None = None
    """A regular expression whose matches count as well, for text that is not made of words."""

    def __post_init__(self) -> None:
        if not self.words and not self.pattern:
            raise ValueError("a trait needs words, or a pattern")
        try:
            self.finder()
        except re.error as error:
            raise ValueError(f"pattern={self.pattern!r} is no regular expression ({error})") from None

    def finder(self) -> re.Pattern[str]:
        """What finds the trait in a text."""
        # longest first, so that "let me check" is found before "check"
        words = "|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True))
        parts = [rf"(?<!\w)(?:{words})(?!\w)"] if words else []
        return re.compile("|".join([*parts, *([f"(?:{self.pattern})"] if self.pattern else [])]), re.IGNORECASE)


@component
class Quality(Measure):
    """The weighted sum of a solution's length and of how often its traits show, divided by its length.

    The paper gives the four weights and two example words each; the full lists, the unit of length and the scaling that
    makes the four comparable are unpublished: those here are our choice.
    """

    weight: float = 0.30
    """Weight of the length."""
    traits: dict[str, Trait]
    """Weights and words by name."""
    scaling: Scaling = "rank"
    """How each term becomes a number from 0 to 1 within the pool: its `rank` (share of candidates below, ties in the
    middle), `minmax`, or `none`, which leaves lengths and frequencies as they are."""
    engine: Engine = runtime(default="local")
    """What measures large pools: processes of this machine, or Ray Data."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight < 0 or any(trait.weight < 0 for trait in self.traits.values()):
            raise ValueError("weights must be 0 or more")
        if "length" in self.traits:
            raise ValueError("traits.length: length is measured without words; give the trait another name")
        total = self.weight + sum(trait.weight for trait in self.traits.values())
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"the weights of length and traits are {total:g} together; give such as are 1")

    def score(self, pool: Sequence[Example], seed: int) -> dict[str, dict[str, float]]:
        texts = (e.solution for e in bar(pool, "quality", "solution"))
        rows = list(spread(self.measured, texts, self.engine))
        weights = {"length": self.weight, **{name: trait.weight for name, trait in self.traits.items()}}
        terms = {name: (weight, [row[i] for row in rows]) for i, (name, weight) in enumerate(weights.items())}
        scaled = {name: (weight, scale(values, self.scaling)) for name, (weight, values) in terms.items()}
        return {
            e.id: {
                "": sum(weight * values[i] for weight, values in scaled.values()),
                **{name: values[i] for name, (_, values) in terms.items()},
            }
            for i, e in enumerate(pool)
        }

    def measured(self, texts: list[str]) -> list[tuple[float, ...]]:
        """Of each text its length, and how often each trait shows in it, divided by its length."""
        count, finders = self.counter(), [trait.finder() for trait in self.traits.values()]
        sizes = [float(count(text)) for text in texts]
        return [
            (size, *(len(find.findall(text)) / size if size else 0.0 for find in finders))
            for text, size in zip(texts, sizes, strict=True)
        ]


def scale(values: Sequence[float], scaling: Scaling) -> list[float]:
    """Values as numbers from 0 to 1 within their pool; equal values get equal numbers."""
    if scaling == "none" or not values:
        return list(values)
    ordered = sorted(values)
    if scaling == "minmax":
        low, high = ordered[0], ordered[-1]
        return [(v - low) / (high - low) if high > low else 0.0 for v in values]
    return [(bisect_left(ordered, v) + bisect_right(ordered, v)) / (2 * len(ordered)) for v in values]
