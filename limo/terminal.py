"""Text for a terminal: no wider than it is, and what others wrote without power over it."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator

OTHERWISE = 100
"""Columns where there is no terminal."""


def width() -> int:
    """Columns of the terminal, or as COLUMNS of the environment has it."""
    return shutil.get_terminal_size((OTHERWISE, 24)).columns


def plain(text: str) -> str:
    """A text in which nothing but line ends moves the cursor: control characters, and those that turn the direction of writing
    or are not shown, stand as `\\x1b`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text.replace("\r\n", "\n")))


def _shown(char: str) -> str:
    if char == "\n" or char.isprintable():
        return char
    if char == "\t":
        return "    "
    return " " if unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode()


def cells(text: str) -> int:
    """Columns that a text of one line takes: Chinese letters take two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fold(text: str, columns: int) -> list[str]:
    """The lines of a text, made plain, none of more than so many columns; broken at spaces where there are any."""
    return [part for line in plain(text).split("\n") for part in _parts(line, max(columns, 2))]


def _parts(line: str, columns: int) -> Iterator[str]:
    while True:
        used = 0
        for end, char in enumerate(line):  # noqa: B007
            used += _cells(char)
            if used > columns:
                break
        else:
            yield line
            return
        space = line.rfind(" ", 0, end + 1)
        cut = space if space > 0 and line[:space].strip() else end
        yield line[:cut].rstrip()
        line = line[cut:].lstrip(" ")
