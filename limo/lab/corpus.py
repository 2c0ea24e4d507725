"""What a base model reads: arithmetic facts, look-ups, dependencies, evaluations, worked notes, and questions."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from limo.lab.problems import CONSTANTS, MODULUS, WAIT, Chain, Surface, compute, draw_chain, pick, plan, work

Piece = tuple[str, float]
"""A text and the weight of its tokens in the loss."""
FREE = 0.03
"""Weight of text that nothing determines (random problems, which name is asked next); determined text weighs 1."""


@dataclass(frozen=True, slots=True)
class Mix:
    """One phase of the curriculum: which documents, over which problems."""

    until: float
    """Share of all tokens at which the phase ends."""
    kinds: Mapping[str, float]
    """Weight of each document kind, by number of documents."""
    steps: int
    """Longest chain."""
    distractors: int
    """Most distractors."""
    surface_b: float = 0.0
    """Share of documents in surface B."""
    worked_b: float | None = None
    """The same of documents that work a chain out; null as of all."""
    slips: float = 0.0
    """Share of worked steps that first come out wrong, and are mended. With few of them the next step is found by how far back it
    stands in the plan, which ends where the lengths seen in questions end; with many only its name finds it."""
    asked: tuple[float, ...] = (5, 3, 1, 1, 1, 1, 1, 1)
    """Weight of 1, 2, … steps in questions."""
    reasoned: tuple[float, ...] = (0.30, 0.27, 0.24, 0.20, 0.15, 0.10, 0.06, 0.03)
    """Share of the questions of 1, 2, … steps that are answered step by step; the others are answered at once."""
    worked: tuple[float, ...] = (1,) * 12
    """Weight of 1, 2, … steps in worked notes."""


FULL = {"facts": 1.0, "find": 2.0, "needs": 1.5, "notes": 1.5, "asked": 3.0, "worked": 4.0}
CURRICULUM = (
    Mix(until=0.06, kinds={"find": 8, "facts": 1}, steps=3, distractors=1),
    Mix(until=0.20, kinds={"find": 8, "facts": 1}, steps=8, distractors=3),
    Mix(until=1.0, kinds=FULL, steps=12, distractors=3, surface_b=0.35, slips=0.25),
)
"""Dense look-ups in one surface first: mixed from the start, the look-up never forms."""


@dataclass(slots=True)
class Writer:
    """Writes documents of a mix."""

    mix: Mix
    rng: random.Random
    kinds: dict[str, Callable[[], list[Piece]]] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = {
            "facts": self.facts,
            "find": self.find,
            "needs": self.needs,
            "notes": self.notes,
            "asked": self.asked,
            "worked": self.worked,
        }

    def documents(self) -> Iterator[list[Piece]]:
        """An endless sequence of documents."""
        names, weights = list(self.mix.kinds), list(self.mix.kinds.values())
        while True:
            yield self.kinds[names[pick(self.rng, weights)]]()

    def _chain(self, steps: int | None = None, worked: bool = False) -> tuple[Chain, Surface]:
        n = steps or self.rng.randint(1, self.mix.steps)
        chain = draw_chain(self.rng, n, (1, self.mix.distractors), part="train")
        rare = self.mix.worked_b if worked and self.mix.worked_b is not None else self.mix.surface_b
        return chain, "B" if self.rng.random() < rare else "A"

    def _solution(self, chain: Chain) -> list[Piece]:
        """The plan and the steps; a step that is about to be mended is not to be learnt, that it is mended is."""
        steps = work(chain, self.mix.slips, self.rng)
        pieces: list[Piece] = [("".join(plan(chain)), 1.0)]
        for step, after in itertools.zip_longest(steps, steps[1:], fillvalue=""):
            if after.startswith(WAIT):
                head, _, wrong = step.rpartition("=")
                pieces += [(head, 1.0), (f"={wrong}", FREE)]
            else:
                pieces.append((step, 1.0))
        return pieces

    def facts(self) -> list[Piece]:
        """`Facts:9-8=1;7+1=8;…`: ten facts modulo 37."""
        pieces: list[Piece] = [("Facts:", FREE)]
        for _ in range(10):
            value, operator = self.rng.randrange(MODULUS), self.rng.choice("+-*")
            constant = self.rng.choice(CONSTANTS[operator])
            pieces += [(f"{value}{operator}{constant}", FREE), (f"={compute(value, operator, constant)};", 1.0)]
        return pieces

    def find(self) -> list[Piece]:
        """`Find:<context>?p=l*7;m=3;…`: definitions again, in another order."""
        chain, surface = self._chain()
        pieces: list[Piece] = [(f"Find:{chain.context(surface)}?", FREE)]
        for d in self.rng.sample(chain.definitions, min(7, len(chain.definitions))):
            head, _, right = d.write().partition("=")
            pieces += [(f"{head}=", FREE), (f"{right};", 1.0)]
        return pieces

    def needs(self) -> list[Piece]:
        """`Needs:<context>?l?i<l;k<i;h?…`: up to two hops from a name towards its leaf."""
        chain, surface = self._chain()
        by_name = chain.by_name
        pieces: list[Piece] = [(f"Needs:{chain.context(surface)}?", FREE)]
        for d in self.rng.sample(chain.definitions, min(7, len(chain.definitions))):
            pieces.append((f"{d.name}?", FREE))
            hops, name, source = self.rng.choice((1, 2)), d.name, d.source
            while hops and source is not None:
                pieces.append((f"{source}<{name};", 1.0))
                name, source, hops = source, by_name[source].source, hops - 1
            pieces.append((".", FREE if source is not None else 1.0))
        return pieces

    def notes(self) -> list[Piece]:
        """`Notes:<context>?b=3;b<o=3+8=11;…`: four times a constant and one to three steps that follow from it."""
        chain, surface = self._chain()
        values, users = (
            chain.values(),
            {d.name: [u for u in chain.definitions if u.source == d.name] for d in chain.definitions},
        )
        roots = [d for d in chain.definitions if d.source is None]
        pieces: list[Piece] = [(f"Notes:{chain.context(surface)}?", FREE)]
        for _ in range(4):
            root = self.rng.choice(roots)
            pieces += [(f"{root.name}=", FREE), (f"{root.constant};", 1.0)]
            here = root.name
            for _ in range(self.rng.randint(1, 3)):
                if not users[here]:
                    break
                d = self.rng.choice(users[here])
                pieces += [(f"{here}<", 1.0), (f"{d.name}=", FREE if len(users[here]) > 1 else 1.0)]
                pieces.append((f"{values[here]}{d.operator}{d.constant}={values[d.name]};", 1.0))
                here = d.name
        return pieces

    def asked(self) -> list[Piece]:
        """`Q:<question>A:\\boxed{3}`, or the plan and the steps before it: the longer the question, the less often."""
        n = pick(self.rng, self.mix.asked)
        reasoned = self.rng.random() < self.mix.reasoned[n]
        chain, surface = self._chain(1 + n, worked=reasoned)
        steps = self._solution(chain) if reasoned else []
        return [(f"Q:{chain.question(surface)}A:", FREE), *steps, (f"\\boxed{{{chain.answer}}}", 1.0)]

    def worked(self) -> list[Piece]:
        """`Notes:<context>?l?k<l;g<k;g=3;g<k=3+9=12;…`: a plan and its steps, of chains longer than any question that is answered so."""
        chain, surface = self._chain(1 + pick(self.rng, self.mix.worked), worked=True)
        return [(f"Notes:{chain.context(surface)}?{chain.path[-1]}?", FREE), *self._solution(chain)]
