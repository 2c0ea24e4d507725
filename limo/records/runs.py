"""What a run was asked and how it ended (`run.json` and `status.json` in its folder), and the last word of a stage's process."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do."""

    name: str
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    strategy: str | None = None
    """The chosen member of the group `selection`."""
    size: int | None = None
    """Examples to select."""
    choices: dict[str, str | None] = field(default_factory=dict)
    """The chosen member of every group."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a run ended; `unfinished` where it was killed or still runs."""

    overrides: tuple[str, ...] = ()
    began: float = 0.0
    """Unix time in seconds."""
    state: str = "unfinished"
    """`done`, `failed` or `unfinished`."""
    code: int = 1
    """Exit code: 0 done, 1 broken off or a defect, 2 the user's mistake, 143 told to end."""
    error: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LastWord:
    """Why a stage's process ends before its work is done."""

    code: int
    """Its exit code, which a launcher between it and its parent may replace."""
    sentence: str
