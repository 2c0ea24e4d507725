"""The benchmarks whose questions may not be in a pool: which they are, whether they can be read here, what they ask."""

from __future__ import annotations

from collections.abc import Mapping

from limo import UserError
from limo.data.contamination import Decontamination
from limo.data.source import Data, blamed, missing
from limo.records import Problem

Benchmarks = Mapping[str, Data]


def guarded(rule: Decontamination | None, protect: Benchmarks) -> dict[str, Data]:
    """The sources of the benchmarks that are looked for: the run's (`protect`), and those named beside them."""
    named = {name: getattr(held, "source", held) for name, held in rule.protect.items()} if rule else {}
    return {**named, **protect}


def unread(rule: Decontamination | None, protect: Benchmarks) -> list[str]:
    """Sentences for benchmarks that cannot be read here, unless the rule lets them be."""
    if rule is None or rule.absent == "report":
        return []
    remedy = (
        "data.decontamination: no leak can be found where the questions of a benchmark cannot be read; mend the above, "
        "or set data.decontamination.absent=report"
    )
    return [*lacks, remedy] if (lacks := missing(guarded(rule, protect))) else []


def protected(rule: Decontamination, protect: Benchmarks) -> dict[str, list[Problem]]:
    """The questions of each benchmark that can be read here. Raises UserError where that is not enough for the rule."""
    if lacks := unread(rule, protect):
        raise UserError("\n".join(lacks))
    found = {}
    for name, source in guarded(rule, protect).items():
        if not source.missing():
            with blamed(f"evaluation.benchmarks.{name}.source"):
                found[name] = source.problems()
    return found
