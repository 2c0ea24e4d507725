"""Where the pages of single runs and the lists of their answers stand, as links of the page at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import quote, urlencode

from limo.records import BenchmarkResult
from limo.report.html import Html, el
from limo.report.replies import files_of, flips
from limo.report.runs import Run

T = TypeVar("T")
Which = Literal["tuned", "base"]
Lengths = Mapping[Path, Sequence[int]]
"""Where an evaluation keeps its answers to a benchmark -> how many tokens each has."""
SIDES: tuple[Which, Which] = ("tuned", "base")
"""Models that a run evaluates, the one it is about first."""
COMPARED = "answers/compare.html"
LONGEST = 80
"""Characters of a name that came from outside."""


@dataclass(frozen=True)
class Places:
    """Names of files beside a page; a link is None where there is nothing to see."""

    names: Mapping[Run, str]
    """Run -> what its page and the folder of its answers are called."""
    files: Mapping[Run, Mapping[str, Mapping[Which, Path]]]
    """Run -> benchmark -> model -> its answers, where the evaluation kept them."""
    benchmarks: Mapping[str, str]
    """Benchmark -> what its list is called."""
    pages: bool
    """Whether each run has a page of its own."""
    top: str
    """From the page at hand to the folder of all this, as a link."""

    def at(self, top: str) -> Places:
        """The same, from another page."""
        return replace(self, top=top)

    def run(self, run: Run) -> str | None:
        """The page of a run."""
        return f"{self.top}runs/{self.names[run]}.html" if self.pages else None

    def answers(self, run: Run, benchmark: str, *kinds: str, of: Which = "tuned") -> str | None:
        """The list of a run's answers to a benchmark, of some kinds only (`replies.FILTERS`, or `changed`)."""
        there = self.files.get(run, {}).get(benchmark, {})
        if of not in there:
            return None
        side = [of] if of == "base" and "tuned" in there else []
        asked = ",".join([*side, *kinds])
        name = f"{self.top}answers/{self.names[run]}/{self.benchmarks[benchmark]}.html"
        return f"{name}#{asked}" if asked else name

    def sources(self, runs: Iterable[Run], benchmark: str, of: Which) -> list[Path]:
        """Where the answers of several runs are, those that they share once."""
        there = (self.files.get(run, {}).get(benchmark, {}) for run in runs)
        return list(dict.fromkeys(files[of].resolve() for files in there if of in files))

    def changed(self, run: Run, benchmark: str) -> Html | None:
        """`gained 133, lost 8` of a run's training, as a link to those answers; text where they were not kept."""
        base, tuned = (model.benchmarks.get(benchmark) if model else None for model in (run.base, run.tuned))
        if not base or not tuned:
            return None
        return linked(_flipped(base, tuned), self.answers(run, benchmark, "changed"))

    def between(self, run: Run, other: Run, benchmark: str) -> Html | None:
        """As `changed`, of what a run's model has right and that of another has not, and the reverse."""
        second, first = (one.final.benchmarks.get(benchmark) if one.final else None for one in (run, other))
        if not first or not second:
            return None
        both = all(self.final(one, benchmark) for one in (run, other))
        asked = {"benchmark": benchmark, "run": self.names.get(run, ""), "other": self.names.get(other, "")}
        return linked(_flipped(first, second), f"{self.top}{COMPARED}?{urlencode(asked)}#changed" if both else None)

    def final(self, run: Run, benchmark: str) -> Path | None:
        """The answers of the model that a run is about."""
        there = self.files.get(run, {}).get(benchmark, {})
        return there.get("tuned" if run.tuned else "base")

    @property
    def compared(self) -> str | None:
        """The page on which a reader chooses two runs."""
        return f"{self.top}{COMPARED}" if self.pages and self.benchmarks else None


def places(runs: Sequence[Run], top: Path) -> Places:
    """For a page beside the folder `top`."""
    files = {run: _kept(run) for run in runs}
    return Places(
        names=named({run: run.folder.name or "run" for run in runs}),
        files=files,
        benchmarks=named({name: name for found in files.values() for name in found}),
        pages=len(runs) > 1,
        top=f"{quote(top.name)}/",
    )


def _flipped(first: BenchmarkResult, second: BenchmarkResult) -> str:
    gained, lost = flips(first, second)
    return f"gained {gained:,}, lost {lost:,}"


def linked(text: str, href: str | None) -> Html:
    """A link, or the text alone where it leads nowhere."""
    return el("a" if href else "span", text, href=href)


def _kept(run: Run) -> dict[str, dict[Which, Path]]:
    found: dict[str, dict[Which, Path]] = {}
    for side in SIDES:
        for benchmark, file in files_of(run.folder / "evaluation" / side).items():
            found.setdefault(benchmark, {})[side] = file
    return found


def named(things: Mapping[T, str]) -> dict[T, str]:
    """A name for each that any file system and any link takes, and no other has."""
    found: dict[T, str] = {}
    taken: set[str] = set()
    for thing, words in things.items():
        plain = re.sub(r"[^A-Za-z0-9.]+", "-", words).strip("-.") or "x"
        tries: Iterable[str] = (f"{plain[:LONGEST]}{f'-{n}' if n else ''}" for n in range(len(things)))
        found[thing] = next(name for name in tries if name.lower() not in taken)
        taken.add(found[thing].lower())
    return found
