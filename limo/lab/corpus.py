"""What a base model reads: arithmetic facts, look-ups, dependencies, evaluations, direct answers, and a minority of worked notes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from limo.lab.problems import CONSTANTS, Chain, Surface, compute, draw_chain, pick, plan, work

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
    direct: tuple[float, ...] = (5, 3, 1, 1, 1, 1, 1, 1)
    """Weight of 1, 2, … steps in directly answered questions."""
    worked: tuple[float, ...] = (1, 1, 1)
    """Weight of 1, 2, … steps in worked notes."""


FULL = {"facts": 1.5, "find": 3.0, "needs": 2.0, "notes": 3.0, "direct": 1.5, "worked": 1.0}
CURRICULUM = (
    Mix(until=0.12, kinds={"find": 8, "facts": 1}, steps=3, distractors=1),
    Mix(until=0.40, kinds={"find": 8, "facts": 1}, steps=8, distractors=3),
    Mix(until=1.0, kinds=FULL, steps=8, distractors=3, surface_b=0.25),
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
            "direct": self.direct,
            "worked": self.worked,
        }

    def documents(self) -> Iterator[list[Piece]]:
        """An endless sequence of documents."""
        names, weights = list(self.mix.kinds), list(self.mix.kinds.values())
        while True:
            yield self.kinds[names[pick(self.rng, weights)]]()

    def _chain(self, steps: int | None = None) -> tuple[Chain, Surface]:
        n = steps or self.rng.randint(1, self.mix.steps)
        chain = draw_chain(self.rng, n, (1, self.mix.distractors), part="train")
        return chain, "B" if self.rng.random() < self.mix.surface_b else "A"

    def facts(self) -> list[Piece]:
        """`Facts:9-8=1;7+1=8;…`: ten facts modulo 10."""
        pieces: list[Piece] = [("Facts:", FREE)]
        for _ in range(10):
            value, operator = self.rng.randrange(10), self.rng.choice("+-*")
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
        """`Needs:<context>?l<i.k<h.e<o<h.…`: up to two hops from a name towards its leaf."""
        chain, surface = self._chain()
        by_name = chain.by_name
        pieces: list[Piece] = [(f"Needs:{chain.context(surface)}?", FREE)]
        for d in self.rng.sample(chain.definitions, min(7, len(chain.definitions))):
            pieces.append((d.name, FREE))
            hops, source = self.rng.choice((1, 2)), d.source
            while hops and source is not None:
                pieces.append((f"<{source}", 1.0))
                source, hops = by_name[source].source, hops - 1
            pieces.append((".", FREE if source is not None else 1.0))
        return pieces

    def notes(self) -> list[Piece]:
        """`Notes:<context>?b=3;o=3+8=1;…`: four times a constant and one to three steps that follow from it."""
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
                pieces.append((f"{d.name}=", FREE if len(users[here]) > 1 else 1.0))
                pieces.append((f"{values[here]}{d.operator}{d.constant}={values[d.name]};", 1.0))
                here = d.name
        return pieces

    def direct(self) -> list[Piece]:
        """`Q:<question>A:\\boxed{3}`: the only way in which questions are answered here."""
        chain, surface = self._chain(1 + pick(self.rng, self.mix.direct))
        return [(f"Q:{chain.question(surface)}A:", FREE), (f"\\boxed{{{chain.answer}}}", 1.0)]

    def worked(self) -> list[Piece]:
        """`Notes:<context>?l<g<k.k=3;g=3+9=2;…`: a plan and its steps, short, and never as the answer to a question."""
        chain, surface = self._chain(1 + pick(self.rng, self.mix.worked))
        text = plan(chain) + "".join(work(chain))
        return [(f"Notes:{chain.context(surface)}?{text[0]}", FREE), (text[1:], 1.0)]
