"""What a selection goes by beside the texts of the candidates, told from its config: sieves whose attempts it reads, tables of scores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from limo.selection.selection import GIVEN

NAMING = ("of", "by", "source", "vectors")
"""Fields of steps and orders that name columns, or a table."""


def reads(selection: Mapping[str, Any], sieves: Sequence[str], tables: Collection[str]) -> tuple[set[str], set[str]]:
    """Of these the sieves and the tables that it reads. `selection`: as `limo.serial.dump` writes it; `sieves`: in the order of the
    candidates' stage, whose last one gives `solve_rate`.
    """
    parts = [column.partition(".") for column in _columns(selection)]
    asked = {sieve or sieves[-1] for name, _, sieve in parts if name in GIVEN and sieves}
    return asked & set(sieves), {name for name, _, _ in parts if name in tables}


def _columns(selection: Mapping[str, Any]) -> Iterator[str]:
    """Columns that its rank, its steps and its order name."""
    yield selection["rank"] or ""
    for part in (*selection["steps"].values(), selection["order"] or {}):
        for named in (part.get(field) for field in NAMING):
            yield from [named] if isinstance(named, str) else named or ()
        if "sieve" in part:
            yield f"solve_rate.{part['sieve'] or ''}"
