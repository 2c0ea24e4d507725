"""Text of mathematics as tokens, Chinese by character, LaTeX by command; the box of a solution."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
PLAIN = re.compile(r"[a-z]+|\d+(?:\.\d+)?|\\[a-z]+|[=+*/<>^-]", re.ASCII)
"""The tokens of a text in ASCII, as TOKEN finds them, in a third of the time."""
TOKEN = re.compile(rf"\\[a-z]+|[{IDEOGRAPHS}]|\d+(?:\.\d+)?|[^\W\d_{IDEOGRAPHS}]+|[=+*/<>^-]")
TYPESETTING = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|quad|qquad|big|bigg|text|textbf|textit|mathrm|mathbf|operatorname|mbox"
    r"|begin|end)(?![a-z])"
    r"|\\[,;:! \\]"
)
SAME = {
    "dfrac": "frac",
    "tfrac": "frac",
    "le": "leq",
    "ge": "geq",
    "ne": "neq",
    "cdots": "ldots",
    "dots": "ldots",
    "to": "rightarrow",
}
ALIAS = re.compile(r"\\(" + "|".join(SAME) + r")(?![a-z])")
SYMBOLS = {
    "×": r"\times ",
    "·": r"\cdot ",
    "≤": r"\leq ",
    "≥": r"\geq ",
    "≠": r"\neq ",
    "π": r"\pi ",
    "√": r"\sqrt ",
    "°": r"\circ ",
    "−": "-",
    "–": "-",
}
GROUPING = re.compile(r"(?<=\d)\{?,\}?(?=\d{3}(?!\d))")
BARE = re.compile(r"(\\frac)\s*(\d)\s*(\d)")
BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")


INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
CONTROL = re.compile(
    r"<\|(?:im_start|im_end|im_sep|endoftext|begin_of_text|end_of_text|start_header_id|end_header_id|eot_id|eom_id|end)\|>"
    r"|</?(?:start|end)_of_turn>|<｜(?:User|Assistant|begin▁of▁sentence|end▁of▁sentence)｜>|\[/?INST\]"
)
"""Control tokens of the chat templates in use. Marks in the text of data sets (`<|begin_of_thought|>`) are none."""


def control(text: str) -> str | None:
    """The first control token of a chat that stands in a text; None without one."""
    found = CONTROL.search(text)
    return found[0] if found else None


@lru_cache(maxsize=1)
def _symbols() -> dict[int, str | None]:
    return str.maketrans({**SYMBOLS, **dict.fromkeys(INVISIBLE)})


def tokens(text: str) -> tuple[str, ...]:
    """Words, numbers, LaTeX commands, operators and single ideographs, in lower case.

    Two copies of a question that differ in spaces, punctuation, dollar signs, braces or equivalent commands
    (`\\dfrac` and `\\frac`) give the same tokens.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_symbols()))
    text = text.lower()
    if "\\" in text:
        text = TYPESETTING.sub(" ", text)
        text = ALIAS.sub(lambda match: "\\" + SAME[match[1]], text)
        text = BARE.sub(r"\1 \2 \3", text)
    if "," in text:
        text = GROUPING.sub("", text)
    return tuple((PLAIN if text.isascii() else TOKEN).findall(text))


def grams(text: tuple[str, ...], length: int) -> Iterator[tuple[str, ...]]:
    """All runs of so many tokens, in order; none for length 0 or a shorter text."""
    return zip(*(text[n:] for n in range(length)), strict=False)


def text_hash(text: str) -> bytes:
    """Equal for texts of equal tokens; 16 bytes, so that a large pool's fit in memory."""
    return hash_of(tokens(text))


def hash_of(text: tuple[str, ...]) -> bytes:
    """As `text_hash`, of tokens."""
    return hashlib.blake2b("\0".join(text).encode(), digest_size=16).digest()


def boxed(text: str) -> str | None:
    """What stands in the last closed `\\boxed{…}`, braces balanced; None without one."""
    for match in reversed(list(BOX.finditer(text))):
        depth = 0
        for position in range(match.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            if depth == 0:
                return text[match.end() + 1 : position].strip()
    return None
