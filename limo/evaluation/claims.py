"""What the paper says it measured, and a run's numbers beside it: inside or outside the interval, and what differs
in protocol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from limo import UserError
from limo.records import Interval, Protocol, Results, read_record, record

FILE = Path(__file__).with_name("claims.json")


@record
class Claimed:
    """A column of the paper's table."""

    values: dict[str, float]
    """Benchmark, or `mean` -> percent, as printed."""
    source: str
    unconfirmed: tuple[str, ...] = ()
    """Benchmarks whose number was not seen in the paper itself or in copies of it that agree."""


@record
class Asked:
    """How the paper asked and graded a benchmark."""

    samples: int
    temperature: float
    max_tokens: int
    prompt: str
    system: str
    grader: str


@record
class Version:
    """One version of the paper."""

    paper: str
    protocol_source: str
    examples: int
    protocol: dict[str, Asked]
    columns: dict[str, Claimed]


@record
class Study:
    """One arm of a study of the paper."""

    study: str
    version: str
    arm: str
    values: dict[str, float]
    source: str
    unconfirmed: tuple[str, ...] = ()


@record
class Claims:
    """The paper's numbers, all versions and columns."""

    v1: Version
    v2: Version
    studies: tuple[Study, ...]

    def version(self, name: str) -> Version:
        """Raises UserError for a version that there is not."""
        if name not in ("v1", "v2"):
            raise UserError(f"version {name} of the claims does not exist; choose one of: v1, v2")
        return self.v1 if name == "v1" else self.v2


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark: what was measured, what is claimed, and why they may differ. Shares from 0 to 1."""

    benchmark: str
    value: float
    interval: Interval
    claim: float | None
    """None where the paper gives no number."""
    inside: bool | None
    """Whether the claim lies in our interval, the claim's own rounding (0.05 points) allowed."""
    confirmed: bool
    """False where the number was not seen in the paper itself or in copies of it that agree."""
    source: str
    differences: tuple[str, ...]
    """What the two protocols do not share, `<what>: <ours>, paper <theirs>` each."""


@cache
def claims(file: Path = FILE) -> Claims:
    """The paper's numbers; needs no network."""
    return read_record(file, Claims)


def side_by_side(results: Results, version: str = "v2", column: str = "LIMO", known: Claims | None = None) -> list[Row]:
    """A run's results beside one column of the paper's table, a row a benchmark, the mean last where it can be compared.

    Raises UserError for a version or column that the claims do not have.
    """
    paper = (known or claims()).version(version)
    if column not in paper.columns:
        raise UserError(f"column {column} of the claims does not exist; choose one of: {', '.join(paper.columns)}")
    claimed = paper.columns[column]
    rows = []
    for name, result in results.benchmarks.items():
        theirs = paper.protocol.get(name)
        differences = differ(result.protocol, theirs) if theirs else ()
        rows.append(_row(name, result.accuracy, result.interval, claimed, differences))
    if set(paper.protocol) == set(results.benchmarks):
        rows.append(_row("mean", results.mean, results.mean_interval, claimed, ()))
    return rows


def differ(ours: Protocol, theirs: Asked) -> tuple[str, ...]:
    """What two protocols do not share, in words."""
    pairs = {
        "samples": (ours.samples, theirs.samples),
        "temperature": (ours.temperature, theirs.temperature),
        "max_tokens": (ours.max_tokens, theirs.max_tokens),
        "prompt": (ours.prompt, theirs.prompt),
        "system": (ours.system, theirs.system),
    }
    found = [f"{name}: {mine}, paper {its}" for name, (mine, its) in pairs.items() if mine != its]
    grader = "our rules" if ours.rules == "limo" else f"{ours.rules} rules"
    if ours.judge:
        grader += " and a judge model"
    if ours.rules != "paper" or "judge" in theirs.grader:
        found.append(f"grader: {grader}, paper {theirs.grader}")
    if ours.shuffle is not None:
        found.append("options: shuffled, paper the right one always first")
    if ours.forcing is not None:
        found.append("thinking: budget forcing, paper none")
    if ours.limit is not None:
        found.append(f"questions: the first {ours.limit}, paper all")
    return tuple(found)


def _row(name: str, value: float, over: Interval, claimed: Claimed, differences: tuple[str, ...]) -> Row:
    percent = claimed.values.get(name)
    claim = None if percent is None else percent / 100
    inside = None if claim is None else over.low - 0.0005 <= claim <= over.high + 0.0005
    confirmed = claim is not None and name not in claimed.unconfirmed
    return Row(name, value, over, claim, inside, confirmed, claimed.source, differences)
