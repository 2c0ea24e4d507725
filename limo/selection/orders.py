"""Orders that no single score gives: values that take turns, quotas, and s1's draw of domains; each orders all candidates."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from limo.config import component
from limo.grading.rules import Rules
from limo.records import RIGHT, Example
from limo.selection.scores import number
from limo.selection.steps import column, refuse_unknown, seeded_uniform

if TYPE_CHECKING:
    from limo.selection.steps import Vectors


@component
class Turns:
    """Values of a column take turns, each giving its best candidate that is left; values in the order of their best."""

    by: str
    """A key of `meta` (subject, source, level …), or `origin`."""

    def order(self, ranked: Sequence[Example], vectors: Mapping[str, Vectors], seed: int) -> list[str]:
        refuse_unknown(ranked, self.by, "selection.order.by")
        groups = _groups(ranked, self.by)
        longest = max(map(len, groups.values()), default=0)
        return [group[turn] for turn in range(longest) for group in groups.values() if turn < len(group)]


@component
class Quotas:
    """Values of a column in given shares: every first part of the order is as near to them as whole candidates allow."""

    by: str
    """A key of `meta`, or `origin`."""
    shares: dict[str, float]
    """Value -> share of the examples; they sum to 1. Candidates of other values come last."""

    def __post_init__(self) -> None:
        if any(share < 0 for share in self.shares.values()) or not math.isclose(sum(self.shares.values()), 1.0):
            raise ValueError(f"shares={self.shares} must be 0 or more and sum to 1, not {sum(self.shares.values()):g}")

    def order(self, ranked: Sequence[Example], vectors: Mapping[str, Vectors], seed: int) -> list[str]:
        refuse_unknown(ranked, self.by, "selection.order.by")
        groups = _groups(ranked, self.by)
        taken = dict.fromkeys((value for value in self.shares if groups.get(value)), 0)
        found: list[str] = []
        while open_now := [value for value in taken if taken[value] < len(groups[value])]:
            value = max(open_now, key=lambda v: self.shares[v] * (len(found) + 1) - taken[v])
            found.append(groups[value][taken[value]])
            taken[value] += 1
        chosen = set(found)
        return found + [e.id for e in ranked if e.id not in chosen]


@component
class DomainDraw:
    """s1's last step (arXiv 2501.19393, section 2.2): draw a domain, then one of its candidates by weight `base` to the
    power of minus its place in the ranking.

    Upstream draws without a seed; here every draw follows from the seed, the domain and the candidate's id, so that a
    smaller size keeps the first of a larger one.
    """

    by: str = "domain"
    """The key of `meta` that names the domain."""
    base: float = 2.0
    """The best of a domain is so many times likelier than the second, the second than the third …"""
    switch: int | None = 700
    """From so many examples on domains are drawn by `weights`; null draws them all alike throughout."""
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of a domain after the switch; a domain that is not named has 1 where none is named, else 0."""

    def __post_init__(self) -> None:
        if self.base < 1 or any(weight < 0 for weight in self.weights.values()):
            raise ValueError(f"base={self.base} must be 1 or more, and weights 0 or more")

    def order(self, ranked: Sequence[Example], vectors: Mapping[str, Vectors], seed: int) -> list[str]:
        return self.draw(ranked, seed)

    def draw(self, ranked: Sequence[Example], seed: int, before: int = 0) -> list[str]:
        """All ids in the order of their draw; `before` examples were taken already."""
        refuse_unknown(ranked, self.by, "selection.order.by")
        groups = {value: self._drawn(value, ids, seed) for value, ids in sorted(_groups(ranked, self.by).items())}
        taken = dict.fromkeys(groups, 0)
        found: list[str] = []
        while open_now := [value for value in groups if taken[value] < len(groups[value])]:
            turn = before + len(found)
            value = _pick(open_now, self._weights(open_now, turn), seeded_uniform(seed, "turn", str(turn)))
            found.append(groups[value][taken[value]])
            taken[value] += 1
        return found

    def _weights(self, domains: Sequence[str], drawn: int) -> list[float]:
        if not self.weights or self.switch is None or drawn < self.switch:
            return [1.0] * len(domains)
        weights = [self.weights.get(domain, 0.0) for domain in domains]
        return weights if any(weights) else [1.0] * len(domains)

    def _drawn(self, domain: str, ids: Sequence[str], seed: int) -> list[str]:
        """A domain's candidates in the order in which weighted draws without replacement give them: by -ln(u) / weight."""

        def key(place: int) -> tuple[float, str]:
            uniform = 1 - seeded_uniform(seed, "draw", domain, ids[place])  # never 0
            return math.log(-math.log(uniform) or 1e-300) + place * math.log(self.base), ids[place]

        return [ids[place] for place in sorted(range(len(ids)), key=key)]


@component
class PresetDraw(DomainDraw):
    """s1's last two steps: its preset as it is ranked, right solutions of some sources, long enough; then the draw among all others,
    wrong ones too. The preset counts for `switch`."""

    preset: dict[str, float]
    """Source -> what a right solution of it must have more than, to be taken first."""
    source: str = "source"
    """The key of `meta` that names the source."""
    of: str = "length"
    """The score that is meant."""
    rules: Rules = Rules()
    """Rules by which the source's solutions are graded."""

    def order(self, ranked: Sequence[Example], vectors: Mapping[str, Vectors], seed: int) -> list[str]:
        refuse_unknown(ranked, self.source, "selection.order.source")
        refuse_unknown(ranked, self.of, "selection.order.of")
        first = [e.id for e in ranked if self._is_preset(e)]
        taken = set(first)
        return first + self.draw([e for e in ranked if e.id not in taken], seed, len(first))

    def _is_preset(self, example: Example) -> bool:
        least = self.preset.get(str(column(example, self.source)))
        value = number(example, self.of)
        return least is not None and value is not None and value > least and example.verdict in RIGHT


def _pick(values: Sequence[str], weights: Sequence[float], uniform: float) -> str:
    left = uniform * sum(weights)
    for value, weight in zip(values, weights, strict=True):
        if (left := left - weight) < 0:
            return value
    return values[-1]


def _groups(ranked: Sequence[Example], by: str) -> dict[str, list[str]]:
    """Ids by the value of a column, best first; the value whose best is ranked first comes first."""
    groups: dict[str, list[str]] = defaultdict(list)
    for example in ranked:
        groups[str(column(example, by))].append(example.id)
    return dict(groups)
