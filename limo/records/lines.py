"""Text files of other people: UTF-8 with or without a mark, packed or not, and never more of one than memory holds."""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limo import UserError

log = logging.getLogger(__name__)

LONGEST = 1 << 26
"""Characters of a line; the longest rows in use have a tenth of it."""
RATIO, FLOOR = 200, 1 << 26
"""A packed file may hold so many times its size, and as many bytes more; text packs to a tenth or so."""
EACH = 256
"""What a line or a row counts for beside its characters: millions of short ones take time and memory too."""
PACKED = (".gz", ".zst")
"""Endings of packed text."""
HINT = "; a file of one object a line ends in .jsonl"
HALF = re.compile("[\ud800-\udfff]")
ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")


def allowance(path: Path) -> int:
    """How many bytes a packed file may unpack to."""
    return RATIO * path.stat().st_size + FLOOR


def overfull(path: Path) -> UserError:
    return UserError(f"{path}: unpacks to more than {RATIO} times its size; no text does that, so it is not read")


def lines(path: Path, newline: str | None = None) -> Iterator[str]:
    """The lines of a text file, line ends kept (`newline` as of `open`), unpacked where its name ends in `.gz` or `.zst`.

    Raises UserError naming file and line of what is too long, damaged, or not UTF-8; OSError where it cannot be read.
    """
    packed = path.name.lower().endswith(PACKED)
    left, number = allowance(path) if packed else 0, 0
    try:
        with _opened(path, newline) as handle:
            while line := handle.readline(LONGEST + 1):
                number, left = number + 1, left - len(line) - EACH
                if len(line) > LONGEST:
                    raise UserError(f"{path}, line {number}: longer than {LONGEST >> 20} million characters; cut it up")
                if packed and left < 0:
                    raise overfull(path)
                yield line
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); convert the file") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged ({error}); fetch or pack it again") from None


def _opened(path: Path, newline: str | None) -> io.TextIOBase:
    if path.name.lower().endswith(".zst"):
        import pyarrow  # type: ignore[import-untyped]

        stream = pyarrow.input_stream(str(path), compression="zstd")
        return io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8-sig", newline=newline)
    packed = path.name.lower().endswith(".gz")
    return (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig", newline=newline)  # type: ignore[return-value]


def parsed(text: str, path: Path, number: int | None = None) -> Any:
    """JSON as it comes from others: half a character (a lone surrogate) is U+FFFD, and told.

    `number`: of the line that it is; None for a whole file. Raises UserError naming file and line.
    """
    place = f"{path}, line {number}" if number else str(path)
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg.removesuffix(' at')} at column {error.colno})"
        raise UserError(f"{path}, line {number or error.lineno}: {what}{'' if number else HINT}") from None
    except (RecursionError, ValueError) as error:  # lists in lists in lists, a number of ten thousand digits
        raise UserError(f"{place}: no JSON that anybody means ({str(error).split(';')[0]})") from None
    if not ESCAPED.search(text):
        return found
    whole, halves = _whole(found)
    if halves:
        log.warning(f"{place}: {halves} half characters (lone surrogates), read as U+FFFD")
    return whole


def _whole(value: Any) -> tuple[Any, int]:
    """A value without half characters, and how many there were."""
    if isinstance(value, str):
        return HALF.subn("\ufffd", value)
    if isinstance(value, list):
        parts = [_whole(part) for part in value]
        return [part for part, _ in parts], sum(halves for _, halves in parts)
    if isinstance(value, dict):
        pairs = [(*HALF.subn("\ufffd", key), *_whole(part)) for key, part in value.items()]
        return {key: part for key, _, part, _ in pairs}, sum(n + m for _, n, _, m in pairs)
    return value, 0


def weight(value: object) -> int:
    """Characters or bytes of a value, and of all that is in it."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    return sum(map(weight, value)) if isinstance(value, list) else 8
