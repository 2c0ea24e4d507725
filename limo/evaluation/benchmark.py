"""A benchmark: questions with known answers, how they are asked, sampled and graded; a suite is several of them by
name."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from limo import UserError
from limo.config import component, held_to
from limo.data import Data, PinnedFile, located
from limo.engine import Forcing, Sampling
from limo.evaluation.repairs import Repair, repair
from limo.grading import Rules
from limo.records import AnswerType, Mended, Problem


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A benchmark's questions, ready to be asked."""

    problems: list[Problem]
    repairs: dict[str, list[str]]
    """Rule -> ids of the questions whose gold answer (or options) it changed."""
    duplicates: list[list[str]]
    """Ids of questions with the same text."""

    def mended(self) -> Mended:
        """What was done to it, as the summary says it."""
        repairs = {rule: tuple(ids) for rule, ids in self.repairs.items()}
        return Mended(len(self.problems), repairs, tuple(tuple(ids) for ids in self.duplicates))


@component
class Benchmark:
    """One benchmark and its protocol."""

    source: Annotated[Data, held_to(Data)]
    """Where the questions come from: whatever may be a pool, any member of the group `data`."""
    language: Literal["en", "zh", "none"] = "en"
    domain: Literal["in", "out"] = "in"
    """In or out of the domain of the training data, as LIMO's tables divide them."""
    prompt: str = "{question}"
    """The user's turn; `{question}` is replaced by the question."""
    answer_type: AnswerType = "auto"
    """What its answers are; `auto` reads it from each gold answer."""
    repairs: tuple[Repair, ...] = ()
    """Rules that mend gold answers when loaded, in this order."""
    corrections: dict[str, str] = field(default_factory=dict)
    """Right answers by id, where the file's own is known to be wrong; before the rules, and not in the paper's grading."""
    shuffle: int | None = None
    """Seed by which the options of each question are put in a random order; None leaves them."""
    samples: int = 1
    """Answers per question."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    max_tokens: int = 32768
    """Longest answer in tokens."""
    forcing: Forcing | None = None
    """Make the model think longer, or conclude sooner, than it would; None lets it be."""
    rules: Rules = Rules()
    """Conventions of grading on which graders differ."""
    judge: bool = False
    """Whether a second model is asked about free-form answers that the rules reject (`evaluation.judge`)."""
    limit: int | None = None
    """Only the first so many questions; None takes all."""

    def __post_init__(self) -> None:
        if "{question}" not in self.prompt:
            raise ValueError(f"prompt={self.prompt!r} must contain {{question}}")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} must be 1 or more, or null for all questions")
        _ = self.sampling  # refuses impossible settings, such as several greedy samples

    @property
    def sampling(self) -> Sampling:
        """How its answers are drawn."""
        names = [f.name for f in dataclasses.fields(Sampling)]
        return Sampling(**{name: getattr(self, name) for name in names})

    def ask(self, problem: Problem) -> str:
        """The user's turn for a question."""
        return self.prompt.replace("{question}", problem.question)

    def load(self) -> Loaded:
        """The questions with mended gold answers. Raises UserError naming file and line of what does not fit."""
        problems: list[Problem] = []
        repairs: dict[str, list[str]] = defaultdict(list)
        same: dict[str, list[str]] = defaultdict(list)
        rows = list(located(self.source))
        if unknown := self.corrections.keys() - {row.problem.id for row in rows}:
            raise UserError(f"corrections: there is no question {', '.join(sorted(unknown))}; take ids of the file")
        for row in rows[: self.limit]:
            same[row.problem.question].append(row.problem.id)
            correction = self.corrections.get(row.problem.id)
            mended, applied = repair(row, self.repairs, self.answer_type, self.shuffle, correction)
            problems.append(mended)
            for rule in applied:
                repairs[rule].append(mended.id)
        if not problems:
            raise UserError("the source of a benchmark gives no questions; take one that has some")
        return Loaded(problems, dict(repairs), [ids for ids in same.values() if len(ids) > 1])

    def at(self, folder: Path | None) -> Benchmark:
        """The same benchmark, read from a folder of benchmark files where one is given and its source has a name there."""
        if folder is None or not isinstance(self.source, PinnedFile):
            return self
        return dataclasses.replace(self, source=self.source.at(folder))
