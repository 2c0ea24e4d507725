"""Problems with their right answers."""

from __future__ import annotations

import json
from dataclasses import field
from typing import Any, Literal

from limo.records.record import record

AnswerType = Literal[
    "auto", "letter", "integer", "number", "expression", "equation", "tuple", "interval", "set", "multi", "matrix", "text"
]  # fmt: skip
"""What kind of answer a gold is; `auto` reads it from the shape of its value."""


@record
class Gold:
    """The right answer of a problem, as grading takes it."""

    value: str | list[str] | dict[str, str]
    """A text; several answers in any order; or parts by name, all of them needed."""
    type: AnswerType = "auto"
    choices: dict[str, str] | None = None
    """Option letter -> option text, for multiple choice."""
    tolerance: float | None = None
    """Relative tolerance that the question itself allows; None leaves it to the rules."""
    published: str | None = None
    """As LIMO's own grader reads it from the source; None where that is the value."""

    @property
    def text(self) -> str:
        """The value in one line, for a person and for keys."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False)


@record
class Problem:
    """A question with a checkable answer."""

    id: str
    question: str
    gold: Gold
    solutions: tuple[str, ...] = ()
    """Solutions that came with the source, best known first; each may become training text."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What the user's source says beside it (level, subject …): the user's alone, never read by the program, never shown to a model."""

    @property
    def answer(self) -> str:
        """The gold answer as text."""
        return self.gold.text
