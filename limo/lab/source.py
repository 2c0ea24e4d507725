"""The lab as a source of problems: an uncurated pool of mixed difficulty and quality, and benchmarks that share no problem with it."""

from __future__ import annotations

import random
from typing import Any, Literal

from limo.config import component
from limo.data import Decontamination
from limo.lab.problems import LETTERS, LEVELS, Chain, Surface, draw_chain, pick, solve
from limo.records import Gold, Problem

Kind = Literal["main", "easy", "hard", "long", "surface"]
KINDS: dict[Kind, tuple[int, int, Surface]] = {
    "main": (4, 6, "A"),
    "easy": (1, 2, "A"),
    "hard": (7, 8, "A"),
    "long": (9, 12, "A"),
    "surface": (4, 6, "B"),
}
"""Fewest and most steps, and how the question is written."""
MOST = len(LETTERS) - 2
"""Steps of the longest chain that leaves a name for a distractor."""


@component
class Pool:
    """An uncurated pool: problems of every length, short ones more often, solutions of every level, poor ones more often, and copies."""

    size: int = 4000
    """Problems, copies included."""
    seed: int = 0
    """Which pool; another seed draws other problems."""
    steps: tuple[float, ...] = (6, 6, 5, 4, 3, 3, 2, 2)
    """Weight of problems of 1, 2, … steps."""
    levels: tuple[float, ...] = (25, 25, 20, 15, 15)
    """Weight of solutions of level 1 (worst) to 5 (best); pools of other weights hold the same problems."""
    surface_b: float = 0.0
    """Share of questions written in words (`b is a plus 4.`)."""
    copies: float = 0.13
    """Share of rows that repeat an earlier question under another id; `meta.copy_of` names it."""
    duplicates: Literal["drop", "merge", "keep"] = "drop"
    """What the stage does with a question that stands in the pool already."""
    decontamination: Decontamination | None = Decontamination(long=0, short=0, numbers=False)
    """How benchmark questions are found; all problems here share their few tokens, so only the same question is a leak."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size} must be 1 or more")
        if not 0 < len(self.steps) <= MOST or min(self.steps) < 0 or not sum(self.steps):
            raise ValueError(f"steps={self.steps} must be 1 to {MOST} weights, none negative, not all 0")
        if len(self.levels) != len(LEVELS) or min(self.levels) < 0 or not sum(self.levels):
            raise ValueError(f"levels={self.levels} must be {len(LEVELS)} weights, none negative, not all 0")
        if not (0 <= self.copies < 1 and 0 <= self.surface_b <= 1):
            raise ValueError(f"copies={self.copies}, surface_b={self.surface_b} are shares: 0 to 1, copies below 1")

    def missing(self) -> list[str]:
        """Nothing: the pool is made, not read."""
        return []

    def known(self) -> int:
        """How many problems it has."""
        return self.size

    def problems(self) -> list[Problem]:
        """The pool, the same for the same fields."""
        rng = random.Random(f"lab pool {self.seed}")
        found: list[Problem] = []
        for index in range(self.size):
            name = f"lab-{self.seed}-{index:05d}"
            if found and rng.random() < self.copies:
                first = rng.choice(found)
                meta = {**first.meta, "copy_of": first.meta.get("copy_of", first.id)}
                found.append(Problem(name, first.question, first.gold, first.solutions, meta))
                continue
            chain = draw_chain(rng, 1 + pick(rng, self.steps), part="train")
            surface: Surface = "B" if rng.random() < self.surface_b else "A"
            level = LEVELS[pick(rng, self.levels)]
            meta = {**_meta(chain, surface), "level": level}
            solution = solve(chain, level, random.Random(f"lab solution {name}"))
            found.append(Problem(name, chain.question(surface), Gold(chain.answer), (solution,), meta))
        return found


@component
class Questions:
    """A lab benchmark: problems that no pool and no pre-training corpus holds."""

    kind: Kind = "main"
    """main 4-6 steps, easy 1-2, hard 7-8, long 9-12, surface 4-6 steps written in words."""
    size: int = 500
    """Number of problems."""
    split: Literal["dev", "test"] = "test"
    """`dev` to choose settings by, `test` for results."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size} must be 1 or more")

    def missing(self) -> list[str]:
        """Nothing: the problems are made, not read."""
        return []

    def known(self) -> int:
        """How many problems it has."""
        return self.size

    def problems(self) -> list[Problem]:
        """The problems, always the same ones; a smaller size takes the first of them. `meta` holds steps and surface."""
        fewest, most, surface = KINDS[self.kind]
        rng = random.Random(f"lab {self.kind} {self.split}")
        found: dict[str, Problem] = {}
        while len(found) < self.size:
            chain = draw_chain(rng, rng.randint(fewest, most), part=self.split)
            question, name = chain.question(surface), f"{self.kind}-{self.split}-{len(found):04d}"
            found.setdefault(question, Problem(name, question, Gold(chain.answer), meta=_meta(chain, surface)))
        return list(found.values())


def _meta(chain: Chain, surface: Surface) -> dict[str, Any]:
    return {"steps": chain.steps, "surface": surface}
