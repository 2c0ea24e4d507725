"""The words of a formula: names, numbers and signs, from LaTeX or plain notation, and a cursor over them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from limo.grading.formulas.symbols import FUNCTIONS, SPECIAL

_TOKEN = re.compile(
    r"\s*(?:(?P<num>\d+\.\d*|\.\d+|\d+)|\\(?P<cmd>[a-zA-Z]+)|\\(?P<esc>[{}|%&])|(?P<word>[a-zA-Z]{3,}(?![a-zA-Z]))|(?P<chr>.))",
    re.S,
)
_WORDS = re.compile("|".join(sorted(FUNCTIONS | SPECIAL.keys(), key=len, reverse=True)))
_SHORT = re.compile(r"pi|oo|ln|lg")
LETTERS = 4
"""Letters in a row that may be a product of symbols; more are a word."""


class UnreadableError(ValueError):
    """Not a formula that this reader knows."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """num, cmd (a command or known word, without its backslash), esc (an escaped sign) or chr (one character)."""
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a normalised formula. Raises UnreadableError where it holds a word."""
    found = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnreadableError("unexpected end")
        kind = match.lastgroup or "chr"
        start, value = match.start(kind), match[kind]
        # `sqrt(2)`, `pi`, `sinx`: known words; other letters in a row are symbols, many of them or nothing else a word
        known = (_WORDS if kind == "word" else _SHORT).match(text, start) if kind in ("word", "chr") else None
        if known:
            kind, value = "cmd", SPECIAL.get(known[0], known[0])
        elif kind == "word":
            if len(value) > LETTERS or text.strip() == value:
                raise UnreadableError(f"a word, {value}")
            kind, value = "chr", value[0]
        at = known.end() if known else start + 1 if kind == "chr" else match.end()
        found.append(Token(kind, value, start, at))
    return found


class Cursor:
    """A place in a row of tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.position = 0

    def peek(self, ahead: int = 0) -> Token | None:
        i = self.position + ahead
        return self.tokens[i] if i < len(self.tokens) else None

    def is_(self, *texts: str, ahead: int = 0) -> bool:
        token = self.peek(ahead)
        return token is not None and token.kind in ("chr", "esc") and token.text in texts

    def command(self, *names: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "cmd" and token.text in names

    def take(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def expect(self, text: str) -> Token:
        if not self.is_(text):
            raise UnreadableError(f"missing {text}")
        return self.take()

    def raw(self) -> str:
        """A braced group or one token, as text."""
        if not self.is_("{"):
            return self.take().text
        depth = 0
        start = self.tokens[self.position].end
        while True:
            token = self.take()
            if token.kind == "chr":
                depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                return self.text[start : token.start].replace(" ", "")
