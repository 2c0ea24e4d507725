"""A small reader of formulas, in LaTeX or plain notation, into a tree: never evaluates text, gives up on what it doesn't know."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from limo.grading.formulas.commands import Commands
from limo.grading.formulas.symbols import names
from limo.grading.formulas.tokens import Token, UnreadableError
from limo.grading.formulas.tree import Node, call, number, symbol

LONGEST = 2000
"""Characters of a formula."""
DEPTH = 60
"""Brackets in brackets."""
NO_FACTOR = names("cdot times rfloor rceil rangle pmod bmod mod end text circ")
"""Words that no factor starts with."""


@lru_cache(maxsize=4096)
def read(text: str, mixed: bool = True) -> Node:
    """The tree of a normalised formula without relations or lists. mixed: 1\\frac{1}{2} is 3/2. Raises UnreadableError."""
    if len(text) > LONGEST:
        raise UnreadableError("too long")
    if mixed and (match := re.fullmatch(r"(-?)\s*(\d+) (\d+) ?/ ?(\d+)", text)):
        sign, whole, top, bottom = match.groups()
        if int(bottom):
            value = int(whole) + Fraction(int(top), int(bottom))
            return number(-value if sign else value)
    try:
        reader = _Reader(text, mixed)
        node = reader.sum()
    except (RecursionError, IndexError, ValueError) as error:
        raise UnreadableError(str(error)) from None
    if reader.position < len(reader.tokens):
        raise UnreadableError(f"unexpected {reader.tokens[reader.position].text}")
    return node


def tree(text: str, mixed: bool = True) -> Node | None:
    """The tree of a formula, if it can be read."""
    try:
        return read(text, mixed)
    except UnreadableError:
        return None


class _Reader(Commands):
    """Recursive descent: a sum of products of powers of atoms."""

    def __init__(self, text: str, mixed: bool) -> None:
        super().__init__(text)
        self.mixed = mixed
        self.bars = 0
        self.depth = 0

    def inner(self, text: str) -> Node:
        return read(text)

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH:
            raise UnreadableError("nested too deeply")
        node = self.product()
        while self.is_("+", "-"):
            sign = self.take().text
            right = self.product()
            node = Node("+", (node, right if sign == "+" else Node("neg", (right,))))
        if self.command("bmod", "mod"):
            self.take()
            node = call("mod", node, self.product())
        self.depth -= 1
        return node

    def product(self) -> Node:
        if self.is_("-", "+"):
            sign = self.take().text
            inner = self.product()
            return Node("neg", (inner,)) if sign == "-" else inner
        node = self.power()
        while True:
            if self.is_("*") or self.command("cdot", "times"):
                self.take()
                node = Node("*", (node, self.signed()))
            elif self.is_("/"):
                self.take()
                node = Node("/", (node, self.signed()))
            elif self.starts():
                right = self.power()
                if node.kind == "num" and right.kind == "num":
                    raise UnreadableError("two numbers in a row")
                node = Node("+" if self.mixed and _mixed(node, right) else "*", (node, right))
            else:
                return node

    def signed(self) -> Node:
        if self.is_("-"):
            self.take()
            return Node("neg", (self.signed(),))
        if self.is_("+"):
            self.take()
            return self.signed()
        return self.power()

    def starts(self) -> bool:
        token = self.peek()
        if token is None or token.kind == "esc":
            return False
        if token.kind == "num":
            return True
        if token.kind == "cmd":
            return token.text not in NO_FACTOR
        if token.text == "|":
            return self.bars == 0
        return token.text.isalpha() or token.text in "([{"

    def power(self) -> Node:
        node = self.postfix(self.atom())
        if self.is_("^"):
            self.take()
            if self.command("circ"):
                self.take()
                return self.postfix(Node("*", (node, call("degree"))))
            if self.is_("'"):
                raise UnreadableError("prime")
            node = self.postfix(Node("^", (node, self.argument(exponent=True))))
            if self.is_("^"):
                raise UnreadableError("two exponents")
        return node

    def postfix(self, node: Node) -> Node:
        while self.is_("!", "%", "'"):
            mark = self.take().text
            if mark == "!":
                if self.is_("!"):
                    raise UnreadableError("double factorial")
                node = call("factorial", node)
            elif mark == "%":
                node = Node("/", (node, number(100)))
            elif node.kind == "sym":
                node = symbol(node.name + "'")
            else:
                raise UnreadableError("prime")
        return node

    def argument(self, exponent: bool = False) -> Node:
        if self.is_("{"):
            return self.group("{", "}")
        if self.is_("-", "+"):
            sign = self.take().text
            node = self.argument(exponent)
            return Node("neg", (node,)) if sign == "-" else node
        token = self.peek()
        if token is None:
            raise UnreadableError("missing argument")
        if token.kind == "num" and not exponent and len(token.text) > 1 and token.text.isdigit():
            # \frac12: one digit each
            self.tokens[self.position] = Token("num", token.text[1:], token.start + 1, token.end)
            return number(int(token.text[0]))
        return self.atom()

    def group(self, open_: str, close: str) -> Node:
        self.expect(open_)
        bars, self.bars = self.bars, 0
        node = self.sum()
        self.bars = bars
        self.expect(close)
        return node

    def atom(self) -> Node:
        token = self.peek()
        if token is None:
            raise UnreadableError("unexpected end")
        if token.kind == "num":
            return self.number()
        if token.kind == "cmd":
            return self.named()
        if token.kind == "esc":
            raise UnreadableError(token.text)
        if token.text in ("(", "[", "{"):
            return self.group(token.text, {"(": ")", "[": "]", "{": "}"}[token.text])
        if token.text == "|" and self.bars == 0:
            self.take()
            self.bars = 1
            node = self.sum()
            self.bars = 0
            self.expect("|")
            return call("abs", node)
        if token.text.isalpha() and token.text.isascii():
            self.take()
            return self.symbol(token.text)
        raise UnreadableError(f"unexpected {token.text}")

    def number(self) -> Node:
        text = self.take().text
        if "." in text and self.command("overline", "dot"):
            return self.repeating(text)
        if self.is_("_"):
            self.take()
            return _based(text, self.raw())
        return number(Fraction(text.removesuffix(".")), "." in text.rstrip("."))


def _mixed(left: Node, right: Node) -> bool:
    """`1\\frac{1}{2}` is one and a half."""
    if left.kind != "num" or left.marked or left.number.denominator != 1 or right.kind != "/" or not right.marked:
        return False
    top, bottom = right.parts
    whole = top.kind == bottom.kind == "num" and not top.marked and not bottom.marked
    return whole and 0 < top.number < bottom.number


def _based(digits: str, base: str) -> Node:
    if not base.isdigit() or not 2 <= int(base) <= 36 or not digits.isdigit():
        raise UnreadableError("subscript of a number")
    try:
        return number(int(digits, int(base)))
    except ValueError:
        raise UnreadableError("a digit not below the base") from None
