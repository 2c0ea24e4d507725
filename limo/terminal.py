"""Text for a terminal: no wider than it is, and what others wrote without power over it."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Sequence

OTHERWISE = 100
"""Columns of text where there is no terminal."""
ENDLESS = 1_000_000
"""Columns of a table there."""
GAP = "  "


def width(otherwise: int = OTHERWISE) -> int:
    """Columns of the terminal, or as COLUMNS of the environment has it; `otherwise` where there is none."""
    return shutil.get_terminal_size((otherwise, 24)).columns


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


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1, columns: int | None = None) -> str:
    """Aligned columns: the first `words` of them to the left, figures to the right; nothing without rows.

    What is wider than the terminal (`columns`) stands in parts one below the other, each with the first column; a cell that is
    wider still is shortened. A file takes any width.
    """
    if not rows:
        return ""
    room = columns or width(ENDLESS)
    lines = [[" ".join(plain(cell).split("\n")) for cell in row] for row in [head, *rows]]
    first = min(max(cells(line[0]) for line in lines), max(room // 2, 2))
    caps = [first, *[max(room - first - len(GAP), 2)] * (len(head) - 1)]
    lines = [[short(cell, cap) for cell, cap in zip(line, caps, strict=True)] for line in lines]
    widths = [max(cells(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["─" * w for w in widths])
    parts = [[0]]
    for i in range(1, len(head)):
        if len(parts[-1]) > 1 and sum(widths[j] + len(GAP) for j in parts[-1]) + widths[i] > room:
            parts.append([0])
        parts[-1].append(i)
    return "\n\n".join(
        "\n".join(GAP.join(_aligned(line[i], widths[i], i < words) for i in part).rstrip() for line in lines)
        for part in parts
    )


def fits(head: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table is no wider than the terminal as it stands."""
    widths = [max(cells(plain(line[i])) for line in [head, *rows]) for i in range(len(head))]
    return sum(widths) + len(GAP) * (len(head) - 1) <= width(ENDLESS)


def short(text: str, columns: int) -> str:
    """A text of one line in so many columns: a longer one without its middle."""
    if cells(text) <= columns:
        return text
    kept = len(text)
    while cells(text[: (kept + 1) // 2]) + cells(text[len(text) - kept // 2 :]) > columns - 1:
        kept -= 1
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def _aligned(text: str, columns: int, left: bool) -> str:
    space = " " * (columns - cells(text))
    return text + space if left else space + text
