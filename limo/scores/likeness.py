"""RDS+: candidates that are like the examples of a development set, each of which takes its turn (arXiv 2503.01807)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from limo import UserError
from limo.config import component, held_to
from limo.data import Data
from limo.data.text import text_hash
from limo.models import Model
from limo.records import Example, Problem
from limo.scores.table import Table
from limo.scores.vectors import hidden


@component
class Likeness:
    """Column `place`: 1 for the candidate that is taken first, when the examples of a development set take turns, each taking the
    candidate most like it (cosine of position-weighted hidden states) that is left; `cosine`: the nearest example's.

    The development set must not be a benchmark of the run: that would be choosing by the test.
    """

    model: Model | None = None
    """Null takes the model of the run."""
    to: Annotated[Data, held_to(Data)]
    """The development set; a problem without a solution counts by its question and answer."""
    passes: ClassVar[int] = 1

    def missing(self, model: Model) -> list[str]:
        return [*model.missing(), *(f"scores: to: {sentence}" for sentence in self.to.missing())]

    def refuse_test(self, protected: dict[str, list[Problem]]) -> None:
        """Raises UserError where a question of the development set stands in a benchmark of the run."""
        own = {text_hash(p.question): p.id for p in self.to.problems()}
        for name, problems in protected.items():
            if found := [p.id for p in problems if text_hash(p.question) in own]:
                raise UserError(
                    f"scores: {len(found)} questions of the development set stand in the benchmark {name} of this run ({found[0]} …), so "
                    "examples would be chosen by the test; give another set, or leave the benchmark out"
                )

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        from limo.scores.forward import Network

        network = Network(model)
        wanted = [_example(p) for p in self.to.problems()]
        if not wanted:
            raise UserError("scores: to: the development set is empty; give one with problems")
        found, read = hidden(network, model, [*pool, *wanted])
        ids = sorted(e.id for e in pool)
        like = np.stack([found[e.id] for e in wanted]) @ np.stack([found[name] for name in ids]).T
        order = turns(like)
        columns = {
            ids[at]: {"place": float(place), "cosine": float(like[:, at].max())} for place, at in enumerate(order, 1)
        }
        return Table(columns, tokens=read, relative=True)


def turns(like: np.ndarray) -> list[int]:
    """[queries, candidates] to candidates in the order in which the queries, by turns, take the most alike that is left."""
    best = [iter(row) for row in np.argsort(-like, axis=1, kind="stable")]
    taken: dict[int, None] = {}
    while len(taken) < like.shape[1]:
        for row in best:
            if (at := next((int(at) for at in row if int(at) not in taken), None)) is not None:
                taken[at] = None
    return list(taken)


def _example(problem: Problem) -> Example:
    solution = problem.solutions[0] if problem.solutions else f"\\boxed{{{problem.answer}}}"
    return Example(f"\0{problem.id}", problem.id, problem.question, problem.answer, solution)
