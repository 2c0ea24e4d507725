"""What the paper says it measured, and a run's numbers beside it: inside or outside the interval, and what differs
in protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo import UserError

FILE = Path(__file__).with_name("claims.json")
"""`{version: {paper, protocol_source, examples, protocol: {benchmark: {…}}, columns: {model: {values, source,
unconfirmed}}}, studies: [{study, version, arm, values, source, unconfirmed}]}`; values in percent, as printed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark: what was measured, what is claimed, and why they may differ. Shares from 0 to 1."""

    benchmark: str
    value: float
    interval: tuple[float, float]
    claim: float | None
    """None where the paper gives no number."""
    inside: bool | None
    """Whether the claim lies in our interval, the claim's own rounding (0.05 points) allowed."""
    confirmed: bool
    """False where the number was not seen in the paper itself or in copies of it that agree."""
    source: str
    differences: tuple[str, ...]
    """What the two protocols do not share, `<what>: <ours>, paper <theirs>` each."""


def claims(file: Path = FILE) -> dict[str, Any]:
    """The paper's numbers, all versions and columns; needs no network."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def side_by_side(
    results: Mapping[str, Any],
    version: str = "v2",
    column: str = "LIMO",
    known: Mapping[str, Any] | None = None,
) -> list[Row]:
    """A run's `results.json` beside one column of the paper's table, a row a benchmark, the mean last where it can be
    compared.

    Raises UserError for a version or column that the claims do not have.
    """
    known = known or claims()
    versions = [name for name, value in known.items() if isinstance(value, dict)]
    if version not in versions:
        raise UserError(f"version {version} of the claims does not exist; choose one of: {', '.join(versions)}")
    paper = known[version]
    if column not in paper["columns"]:
        raise UserError(f"column {column} of the claims does not exist; choose one of: {', '.join(paper['columns'])}")
    claimed = paper["columns"][column]
    rows = []
    for name, result in results["benchmarks"].items():
        protocol = paper["protocol"].get(name)
        differences = differ(result["protocol"], protocol) if protocol else ()
        rows.append(_row(name, result["accuracy"], result["interval"], claimed, differences))
    if set(paper["protocol"]) == set(results["benchmarks"]):
        mean = results["mean"]
        rows.append(_row("mean", mean["accuracy"], mean["interval"], claimed, ()))
    return rows


def differ(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[str, ...]:
    """What two protocols do not share, in words."""
    found = []
    for name in ("samples", "temperature", "top_p", "max_tokens", "prompt", "system"):
        if name in theirs and ours.get(name) != theirs[name]:
            found.append(f"{name}: {ours.get(name)}, paper {theirs[name]}")
    grader = "our rules" if ours.get("rules") == "limo" else f"{ours.get('rules')} rules"
    if ours.get("judge"):
        grader += " and a judge model"
    if ours.get("rules") != "paper" or "judge" in theirs["grader"]:
        found.append(f"grader: {grader}, paper {theirs['grader']}")
    if ours.get("shuffle") is not None:
        found.append("options: shuffled, paper the right one always first")
    if ours.get("limit") is not None:
        found.append(f"questions: the first {ours['limit']}, paper all")
    return tuple(found)


def _row(
    name: str, value: float, interval: list[float], claimed: Mapping[str, Any], differences: tuple[str, ...]
) -> Row:
    low, high = interval
    percent = claimed["values"].get(name)
    claim = None if percent is None else percent / 100
    inside = None if claim is None else low - 0.0005 <= claim <= high + 0.0005
    confirmed = claim is not None and name not in claimed["unconfirmed"]
    return Row(name, value, (low, high), claim, inside, confirmed, claimed["source"], differences)
