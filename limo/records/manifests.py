"""From what a result of the store was made, by what, where and when: `manifest.json`, written last."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from limo.records.record import record


@record
class Part:
    """A file of a result."""

    bytes: int
    sha256: str


@record
class Manifest:
    """The birth certificate of a result."""

    stage: str
    key: str
    seconds: float
    finished: str
    """Local time with its zone, `2026-01-05T10:15:00+0000`."""
    files: dict[str, Part]
    """Path below the result -> what was stored; everything but the manifest."""
    version: int = 1
    """Of the stage's code."""
    config: Any = None
    """The stage as `limo.serial.dump` writes it."""
    versions: dict[str, str] = field(default_factory=dict)
    git: str | None = None
    """Commit of the checkout, `+changes` where it was not clean; None for an installed package."""
    hub: dict[str, str] = field(default_factory=dict)
    """Repository that it read, `Qwen/QwQ-32B`, `datasets/GAIR/LIMO` or `github:openai/grade-school-math` -> its commit."""
    hardware: str = ""
    gpus: int = 0
    """That it held while it was made."""
