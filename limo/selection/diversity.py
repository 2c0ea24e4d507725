"""Orders by how far candidates lie from each other: greedy choices over vectors, each as good for every size at once.

All are deterministic: of equally good candidates the one that is ranked first is taken. Memory grows with candidates × length of
a vector; only facility location compares all pairs, in rows of BLOCK.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from limo import UserError
from limo.config import component
from limo.records import Example

if TYPE_CHECKING:
    from limo.selection.steps import Vectors

Matrix = np.ndarray
"""[candidates, width] float32, rows of length 1, best ranked first."""
BLOCK = 1024
ENOUGH = 1e-10
"""Of what is left of a candidate's own direction: below it the vectors chosen span it already."""


@component
class OverVectors:
    """An order that looks at vectors."""

    vectors: str = "tfidf"
    """Name of the member of `scores` whose vectors are compared."""
    first: int | None = None
    """Only the best ranked so many are put in another order, the others follow as they are ranked: a floor of quality, and of
    time. Null takes all."""

    def __post_init__(self) -> None:
        if self.first is not None and self.first < 1:
            raise ValueError(f"first={self.first} must be 1 or more, or null for all")

    def order(self, ranked: Sequence[Example], vectors: Mapping[str, Vectors], seed: int) -> list[str]:
        if not ranked:
            return []
        if self.vectors not in vectors:
            raise UserError(
                f"selection.order.vectors={self.vectors}: there are vectors of {', '.join(vectors) or 'no member of scores'}; "
                f"add them, +scores@scores.{self.vectors}=tfidf"
            )
        table, chosen = vectors[self.vectors], ranked[: self.first]
        matrix = np.stack([table[e.id] for e in chosen]).astype(np.float32)
        places = self.greedy(matrix, _worth(len(chosen)))
        return [chosen[place].id for place in places] + [e.id for e in ranked[len(chosen) :]]

    def greedy(self, matrix: Matrix, worth: np.ndarray) -> list[int]:
        """All places of the matrix, best first. `worth`: of each candidate by its rank, from 1 down to above 0."""
        raise NotImplementedError


@component
class Distinct(OverVectors):
    """DEITA's filter (arXiv 2312.15685): in the order of the ranking, leave a candidate for later where one that was taken is
    nearer to it than `threshold`; those left for later follow in the order of the ranking."""

    threshold: float = 0.9
    """Cosine of two vectors above which they are too near."""

    def greedy(self, matrix: Matrix, worth: np.ndarray) -> list[int]:
        taken: list[int] = []
        later: list[int] = []
        kept = np.empty_like(matrix)
        for place, vector in enumerate(matrix):
            near = taken and float((kept[: len(taken)] @ vector).max()) > self.threshold
            if near:
                later.append(place)
            else:
                kept[len(taken)] = vector
                taken.append(place)
        return taken + later


@component
class KCenter(OverVectors):
    """k-center (Gonzalez 1985): the best ranked first, then always the candidate that is farthest from all taken ones.

    It takes outliers early: give it a floor of quality (`first`, or a filter).
    """

    def greedy(self, matrix: Matrix, worth: np.ndarray) -> list[int]:
        nearest = np.full(len(matrix), -np.inf, np.float32)
        order = [0]
        while len(order) < len(matrix):
            np.maximum(nearest, matrix @ matrix[order[-1]], out=nearest)
            nearest[order[-1]] = np.inf
            order.append(int(nearest.argmin()))
        return order


@component
class FacilityLocation(OverVectors):
    """Facility location: always the candidate that adds most to Σ over all candidates of their cosine (at least 0) with the
    nearest one taken. The lazy greedy choice, which is exact; its value is at least 1 - 1/e of the best for every size."""

    def greedy(self, matrix: Matrix, worth: np.ndarray) -> list[int]:
        covered = np.zeros(len(matrix), np.float32)
        bounds = [(-float(gain), place) for place, gain in enumerate(_sums(matrix))]
        heapq.heapify(bounds)
        order: list[int] = []
        while bounds:
            _, place = heapq.heappop(bounds)
            nearer = np.maximum(covered, matrix @ matrix[place])
            bound = (-float((nearer - covered).sum(dtype=np.float64)), place)
            if bounds and bound > bounds[0]:  # another may add more: its bound, from an earlier turn, is higher
                heapq.heappush(bounds, bound)
                continue
            covered = nearer
            order.append(place)
        return order


@component
class Dpp(OverVectors):
    """The most probable set of a determinantal point process, chosen greedily (Chen et al. 2018, arXiv 1709.05135): quality and
    diversity in one, kernel worth_i · cosine_ij · worth_j. Candidates that the taken ones span follow in the order of the ranking."""

    quality: float = 1.0
    """How much the rank counts: the worth of a candidate is its share of candidates ranked no better, to this power; 0 counts
    diversity alone."""

    def greedy(self, matrix: Matrix, worth: np.ndarray) -> list[int]:
        scale = worth.astype(np.float64) ** self.quality
        rows = matrix.astype(np.float64) * scale[:, None]
        left = np.einsum("nd,nd->n", rows, rows)
        enough = ENOUGH * float(left.max(initial=0.0))
        most = min(len(matrix), matrix.shape[1])
        done = np.zeros((most, len(matrix)))
        order: list[int] = []
        while len(order) < most and (best := int(left.argmax())) >= 0 and left[best] > enough:
            made = (rows @ rows[best] - done[: len(order)].T @ done[: len(order), best]) / np.sqrt(left[best])
            done[len(order)] = made
            left = left - made**2
            left[best] = -np.inf
            order.append(best)
        chosen = set(order)
        return order + [place for place in range(len(matrix)) if place not in chosen]


def _worth(count: int) -> np.ndarray:
    return np.arange(count, 0, -1) / count


def _sums(matrix: Matrix) -> np.ndarray:
    """What each candidate alone would cover."""
    parts = [
        np.maximum(matrix[i : i + BLOCK] @ matrix.T, 0).sum(1, dtype=np.float64) for i in range(0, len(matrix), BLOCK)
    ]
    return np.concatenate(parts)
