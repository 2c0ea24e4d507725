"""Other texts of the chosen solutions, for studies of what in a solution teaches: cut, shuffled, thinned, without certain words.

Every rewriting depends on the example's id, its text and the seed alone. A solution's steps are its paragraphs, else its lines,
else its sentences, else what ends in a semicolon; the last one, which holds the answer, stays where it is.
"""

from __future__ import annotations

import re
from typing import ClassVar

from limo.config import component
from limo.data.text import boxed
from limo.records import Example
from limo.selection.quality import Trait
from limo.selection.steps import seeded_uniform

BREAKS = (
    re.compile(r"(\n\s*\n)"),
    re.compile(r"(\n)"),
    re.compile(r"((?<=[.!?。！？])\s+)"),
    re.compile(r"((?<=;)\s*)"),
)
FEW = 3
"""A text with fewer parts is cut by the next finer break."""


@component
class Partly:
    """What changes a share of a solution."""

    share: float = 0.5
    version: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share} must be from 0 to 1")


@component
class Cut(Partly):
    """Only a first share of the steps, then the answer in a box, as if the reasoning had been broken off."""

    answer: bool = True
    """Close with the boxed gold answer where the rest has no box."""

    def rewrite(self, example: Example, seed: int) -> str:
        parts, seams = steps(example.solution)
        kept = round(self.share * len(parts))
        text = _joined(parts[:kept], seams)
        if self.answer and boxed(text) is None:
            text = f"{text}\n\\boxed{{{example.answer}}}".lstrip()
        return text or example.solution


@component
class Shuffle(Partly):
    """A share of the steps change places among themselves, drawn by the seed; the last one stays."""

    share: float = 1.0

    def rewrite(self, example: Example, seed: int) -> str:
        parts, seams = steps(example.solution)
        moved = _drawn(example.id, seed, "moved", len(parts) - 1, self.share)
        mixed = sorted(moved, key=lambda place: seeded_uniform(seed, "place", example.id, str(place)))
        new = list(parts)
        for place, other in zip(moved, mixed, strict=True):
            new[place] = parts[other]
        return _joined(new, seams)


@component
class Delete(Partly):
    """A share of the steps is left out, drawn by the seed; the last one stays."""

    def rewrite(self, example: Example, seed: int) -> str:
        parts, seams = steps(example.solution)
        gone = set(_drawn(example.id, seed, "deleted", len(parts) - 1, self.share))
        kept = [place for place in range(len(parts)) if place not in gone]
        return _joined([parts[p] for p in kept], [seams[p - 1] for p in kept[1:]])


@component
class Digits(Partly):
    """A share of the numbers gets other digits, drawn by the seed; those in a box stay."""

    def rewrite(self, example: Example, seed: int) -> str:
        body, box, rest = example.solution.rpartition("\\boxed")
        if not box:
            body, rest = rest, ""

        def other(found: re.Match[str]) -> str:
            place = str(found.start())
            if seeded_uniform(seed, "number", example.id, place) >= self.share:
                return found[0]
            drawn = [int(10 * seeded_uniform(seed, "digit", example.id, place, str(n))) for n in range(len(found[0]))]
            return "".join(map(str, drawn))

        return re.sub(r"\d+", other, body) + box + rest


@component
class Strip:
    """The words that show certain traits are taken out, as the rule score finds them."""

    traits: dict[str, Trait]
    version: ClassVar[int] = 1

    def rewrite(self, example: Example, seed: int) -> str:
        text = example.solution
        for trait in self.traits.values():
            text = trait.finder().sub("", text)
        return re.sub(r"[ \t]{2,}", " ", text).strip() or example.solution


def steps(text: str) -> tuple[list[str], list[str]]:
    """The steps of a solution and what stands between them, one seam fewer than steps."""
    pieces = [text]
    for mark in BREAKS:
        pieces = mark.split(text)
        if len(pieces) >= 2 * FEW - 1:
            break
    return pieces[::2], pieces[1::2]


def _joined(parts: list[str], seams: list[str]) -> str:
    return "".join(piece for pair in zip(parts, [*seams, ""], strict=False) for piece in pair).rstrip() if parts else ""


def _drawn(name: str, seed: int, what: str, count: int, share: float) -> list[int]:
    """Places below `count`, a share of them, in order."""
    order = sorted(range(max(0, count)), key=lambda place: seeded_uniform(seed, what, name, str(place)))
    return sorted(order[: round(share * max(0, count))])
