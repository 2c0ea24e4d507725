"""The answers of an evaluation as it left them: where they stand, of which kinds they are, how many changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from limo import UserError
from limo.records import ANSWERS, Answer, BenchmarkResult, stream
from limo.statistics import repeats

FILTERS: dict[str, tuple[str, Callable[[Answer], bool]]] = {
    "wrong": ("not right", lambda one: not one.correct),
    "cut": ("not ended by themselves", lambda one: one.finish != "stop"),
    "no_answer": ("without a final answer", lambda one: one.verdict == "no_answer"),
    "in_circles": ("that end in a loop", lambda one: repeats(one.response)),
}
"""Kinds of answers that a reader asks for, in words and as a test."""


class Flips(NamedTuple):
    """Answers that one side has right and the other wrong."""

    gained: int
    lost: int


def files_of(folder: Path, benchmark: str | None = None) -> dict[str, Path]:
    """Benchmark -> the file of its answers. Raises UserError where there is no such benchmark."""
    found = {file.parent.name: file for file in sorted(folder.glob(f"*/{ANSWERS}"))}
    if benchmark and benchmark not in found:
        raise UserError(f"benchmark {benchmark}: not in {folder}; it has {', '.join(found)}")
    return {benchmark: found[benchmark]} if benchmark else found


def answers_in(files: Iterable[Path]) -> Iterator[Answer]:
    """One after the other: together they may be larger than memory."""
    return (answer for file in files for answer in stream(file, Answer))


def flips(first: BenchmarkResult, second: BenchmarkResult) -> Flips:
    """Answers to the same sample of the same question that only the second has right, and only the first."""
    before, after = first.answered, second.answered
    if before.questions == after.questions and before.samples == after.samples:
        one, other = (int.from_bytes(side.right) for side in (before, after))
        return Flips((other & ~one).bit_count(), (one & ~other).bit_count())
    both = [
        pair
        for question in before.keys() & after.keys()
        for pair in zip(before[question], after[question], strict=False)
    ]
    return Flips(sum(a < b for a, b in both), sum(a > b for a, b in both))
