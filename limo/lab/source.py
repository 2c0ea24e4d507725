"""The lab as a source of problems: an uncurated pool of mixed difficulty and quality, and benchmarks that share no problem with it."""

from __future__ import annotations

import random
from typing import Any, Literal

from limo.config import component
from limo.data import Decontamination
from limo.data.near import refuse_near
from limo.lab.problems import (
    LETTERS,
    LEVELS,
    MODULUS,
    TEACHERS,
    Chain,
    Surface,
    draw_chain,
    pick,
    solve,
    translate,
    vary,
)
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
    slips: float = 0.0
    """Share of the steps of good solutions (levels 4 and 5) that first come out wrong and are mended: `Wait:`."""
    teachers: tuple[float, ...] = (1, 0, 0)
    """Weight of the notations in which good solutions are written: the base's own, terse (no plan), foreign; `meta.teacher`."""
    surface_b: float = 0.0
    """Share of questions in the second domain, written in words (`b is a plus 4.`); `meta.domain` is signs or words."""
    copies: float = 0.13
    """Share of rows that repeat an earlier question under another id; `meta.copy_of` names it."""
    varied: float = 0.0
    """Share of rows that repeat an earlier question with one more definition that leads nowhere; `meta.varied_of` names it."""
    leaks: float = 0.0
    """Share of rows that are questions of the benchmark `main`, word for word; `meta.leak_of` names which."""
    wrong_golds: float = 0.0
    """Share of rows whose answer is wrong, whatever their solution says; `meta.right` holds the right one."""
    near: float | None = None
    """Share of common runs of tokens from which questions with one answer are duplicates; null does not look."""
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
        if len(self.teachers) != len(TEACHERS) or min(self.teachers) < 0 or not sum(self.teachers):
            raise ValueError(f"teachers={self.teachers} must be {len(TEACHERS)} weights, none negative, not all 0")
        for name in ("slips", "surface_b", "copies", "varied", "leaks", "wrong_golds"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is a share: 0 to 1")
        if self.copies + self.varied + self.leaks >= 1:
            raise ValueError("copies, varied and leaks together must be below 1: the others are problems of their own")
        refuse_near(self.near)

    def missing(self) -> list[str]:
        """Nothing: the pool is made, not read."""
        return []

    def known(self) -> int:
        """How many problems it has."""
        return self.size

    def problems(self) -> list[Problem]:
        """The pool, the same for the same fields; what is planted leaves the problems of the other rows as they are."""
        benchmark = Questions()
        leaked = benchmark.chains() if self.leaks else []
        own: list[tuple[Problem, Chain]] = []
        found: list[Problem] = []
        for index in range(self.size):
            name = f"lab-{self.seed}-{index:05d}"
            rng = random.Random(f"pool {name}")
            drawn = rng.random()
            first, chain = rng.choice(own) if own and drawn < self.copies + self.varied else (None, None)
            if first and drawn < self.copies:
                found.append(
                    Problem(name, first.question, first.gold, first.solutions, {**first.meta, "copy_of": first.id})
                )
                continue
            surface: Surface = "B" if rng.random() < self.surface_b else "A"
            level, meta = LEVELS[pick(rng, self.levels)], {}
            if first and chain:
                chain, surface, meta["varied_of"] = vary(rng, chain), first.meta["surface"], first.id
            elif drawn < self.copies + self.varied + self.leaks and leaked:
                number = rng.randrange(len(leaked))
                chain, surface, meta["leak_of"] = leaked[number], "A", benchmark.name(number)
            else:
                chain = draw_chain(rng, 1 + pick(rng, self.steps), part="train")
            problem = self._row(name, chain, surface, level, meta)
            found.append(problem)
            if not meta:
                own.append((problem, chain))
        return found

    def _row(self, name: str, chain: Chain, surface: Surface, level: int, planted: dict[str, str]) -> Problem:
        rng = random.Random(f"lab solution {name}")
        teacher = TEACHERS[pick(rng, self.teachers)] if level >= 4 else TEACHERS[0]
        solution = solve(chain, level, rng, self.slips) if teacher == TEACHERS[0] else translate(chain, teacher)
        meta = {**_meta(chain, surface), "level": level, "teacher": teacher, **planted}
        answer = chain.answer
        if rng.random() < self.wrong_golds:
            meta["right"] = answer
            answer = str((int(answer) + rng.randrange(1, MODULUS)) % MODULUS)
        return Problem(name, chain.question(surface), Gold(answer), (solution,), meta)


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
        surface = KINDS[self.kind][2]
        return [
            Problem(self.name(n), chain.question(surface), Gold(chain.answer), meta=_meta(chain, surface))
            for n, chain in enumerate(self.chains())
        ]

    def name(self, number: int) -> str:
        """The id of a problem."""
        return f"{self.kind}-{self.split}-{number:04d}"

    def chains(self) -> list[Chain]:
        """The problems as chains."""
        fewest, most, surface = KINDS[self.kind]
        rng = random.Random(f"lab {self.kind} {self.split}")
        found: dict[str, Chain] = {}
        while len(found) < self.size:
            chain = draw_chain(rng, rng.randint(fewest, most), part=self.split)
            found.setdefault(chain.question(surface), chain)
        return list(found.values())


def _meta(chain: Chain, surface: Surface) -> dict[str, Any]:
    return {"steps": chain.steps, "surface": surface, "domain": "signs" if surface == "A" else "words"}
