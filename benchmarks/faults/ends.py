"""How a command ended: its exit code, what it said, and what nobody may hear from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

TRACEBACK = "Traceback (most recent call last)"


class LostError(Exception):
    """What was promised did not hold."""


class VoidError(Exception):
    """The moment was not hit."""


class UntriedError(Exception):
    """This machine does not allow it."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    text: str
    """All it printed."""
    peak: int
    """Most MiB that one of its processes had resident, the bench itself at its start included."""


def again(text: str) -> str:
    """What a command did rather than took from the store, from what it printed."""
    made = re.findall(r"^(\S+): [\d.]+ s  ", text, re.MULTILINE)
    parts = [", ".join(made) or "nothing"]
    parts += [f"from step {step}" for step in re.findall(r"going on from step (\d+)", text)]
    parts += [
        f"{n} answers to generate, {known} known"
        for n, known in re.findall(r"(\d+) answers to generate, (\d+) known", text)
    ]
    return "; ".join(parts)


def last(text: str) -> str:
    """The last line that says something."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no word"


def no_traceback(done: Done) -> None:
    if TRACEBACK in done.text:
        raise LostError(f"a traceback (exit code {done.code}): {last(done.text)}")


def refused(done: Done, *words: str) -> None:
    """Raise LostError unless a command ended with exit code 2 and a sentence that holds these words."""
    no_traceback(done)
    if done.code != 2:
        raise LostError(f"exit code {done.code} in place of 2: {last(done.text)}")
    if not re.search(r"^limo: |^\S.*; ", done.text, re.MULTILINE):
        raise LostError(f"it names no remedy: {last(done.text)}")
    if lacking := [word for word in words if word not in done.text]:
        raise LostError(f"its sentence does not say {', '.join(lacking)}: {last(done.text)}")
