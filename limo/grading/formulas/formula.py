"""A small reader of formulas, in LaTeX or plain notation, into a tree: never evaluates text, gives up on what it doesn't know."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from limo.grading.formulas.symbols import FUNCTIONS, GREEK, MARKS, UNKNOWN
from limo.grading.formulas.tokens import Cursor, Token, UnreadableError

Node = tuple[Any, ...]
"""("num", Fraction, decimal) ("sym", name) ("+"|"*"|"/"|"^", a, b) ("neg", a) ("call", name, *args) ("opaque", name, *args)."""
LONGEST = 2000
"""Characters of a formula."""
DEPTH = 60
"""Brackets in brackets."""


@lru_cache(maxsize=4096)
def read(text: str, mixed: bool = True) -> Node:
    """The tree of a normalised formula without relations or lists. mixed: 1\\frac{1}{2} is 3/2. Raises UnreadableError."""
    if len(text) > LONGEST:
        raise UnreadableError("too long")
    if mixed and (match := re.fullmatch(r"(-?)\s*(\d+) (\d+) ?/ ?(\d+)", text)):
        sign, whole, top, bottom = match.groups()
        if int(bottom):
            value = int(whole) + Fraction(int(top), int(bottom))
            return ("num", -value if sign else value, False)
    try:
        reader = _Reader(text, mixed)
        node = reader.sum()
    except (RecursionError, IndexError, ValueError) as error:
        raise UnreadableError(str(error)) from None
    if reader.position < len(reader.tokens):
        raise UnreadableError(f"unexpected {reader.tokens[reader.position].text}")
    return node


class _Reader(Cursor):
    """Recursive descent: a sum of products of powers of atoms."""

    def __init__(self, text: str, mixed: bool) -> None:
        super().__init__(text)
        self.mixed = mixed
        self.bars = 0
        self.depth = 0

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH:
            raise UnreadableError("nested too deeply")
        node = self.product()
        while self.is_("+", "-"):
            sign = self.take().text
            right = self.product()
            node = ("+", node, right if sign == "+" else ("neg", right))
        if self.command("bmod", "mod"):
            self.take()
            node = ("call", "mod", node, self.product())
        self.depth -= 1
        return node

    def product(self) -> Node:
        if self.is_("-", "+"):
            sign = self.take().text
            inner = self.product()
            return ("neg", inner) if sign == "-" else inner
        node = self.power()
        while True:
            if self.is_("*") or self.command("cdot", "times"):
                self.take()
                node = ("*", node, self.signed())
            elif self.is_("/"):
                self.take()
                node = ("/", node, self.signed())
            elif self.starts():
                right = self.power()
                if node[0] == "num" and right[0] == "num":
                    raise UnreadableError("two numbers in a row")
                node = ("+" if self.mixed and self._mixed(node, right) else "*", node, right)
            else:
                return node

    @staticmethod
    def _mixed(left: Node, right: Node) -> bool:
        """`1\\frac{1}{2}` is one and a half."""
        if left[0] != "num" or left[2] or left[1].denominator != 1 or right[0] != "/" or len(right) != 4:
            return False
        top, bottom = right[1], right[2]
        return bool(top[0] == "num" and bottom[0] == "num" and not top[2] and not bottom[2] and 0 < top[1] < bottom[1])

    def signed(self) -> Node:
        if self.is_("-"):
            self.take()
            return ("neg", self.signed())
        if self.is_("+"):
            self.take()
            return self.signed()
        return self.power()

    def starts(self) -> bool:
        """Whether a factor starts here (implicit product)."""
        token = self.peek()
        if token is None:
            return False
        if token.kind in ("num",):
            return True
        if token.kind == "cmd":
            return token.text not in (
                "cdot",
                "times",
                "rfloor",
                "rceil",
                "rangle",
                "pmod",
                "bmod",
                "mod",
                "end",
                "text",
                "circ",
            )
        if token.kind == "esc":
            return False
        if token.text == "|":
            return self.bars == 0
        return token.text.isalpha() or token.text in "([{"

    def power(self) -> Node:
        node = self.postfix(self.atom())
        if self.is_("^"):
            self.take()
            if self.command("circ"):
                self.take()
                node = ("*", node, ("call", "degree"))
                return self.postfix(node)
            if self.is_("'"):
                raise UnreadableError("prime")
            node = self.postfix(("^", node, self.argument(exponent=True)))
            if self.is_("^"):
                raise UnreadableError("two exponents")
        return node

    def postfix(self, node: Node) -> Node:
        while self.is_("!", "%", "'"):
            mark = self.take().text
            if mark == "!":
                if self.is_("!"):
                    raise UnreadableError("double factorial")
                node = ("call", "factorial", node)
            elif mark == "%":
                node = ("/", node, ("num", Fraction(100), False))
            elif node[0] == "sym":
                node = ("sym", node[1] + "'")
            else:
                raise UnreadableError("prime")
        return node

    def argument(self, exponent: bool = False) -> Node:
        """What a command or `^` applies to: a braced group or one token."""
        if self.is_("{"):
            return self.group("{", "}")
        if self.is_("-", "+"):
            sign = self.take().text
            node = self.argument(exponent)
            return ("neg", node) if sign == "-" else node
        token = self.peek()
        if token is None:
            raise UnreadableError("missing argument")
        if token.kind == "num" and not exponent and len(token.text) > 1 and token.text.isdigit():
            # \frac12: one digit each
            self.tokens[self.position] = Token("num", token.text[1:], token.start + 1, token.end)
            return ("num", Fraction(int(token.text[0])), False)
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
            self.take()
            value: Node = (
                "num",
                Fraction(token.text if token.text[-1] != "." else token.text[:-1]),
                "." in token.text.rstrip("."),
            )
            if "." in token.text and self.command("overline", "dot"):
                return self.repeating(token.text)
            if self.is_("_"):
                self.take()
                return self.based(token.text, self.raw())
            return value
        if token.kind == "cmd":
            return self.named()
        if token.kind == "esc":
            raise UnreadableError(token.text)
        if token.text == "(":
            return self.group("(", ")")
        if token.text == "[":
            return self.group("[", "]")
        if token.text == "{":
            return self.group("{", "}")
        if token.text == "|" and self.bars == 0:
            self.take()
            self.bars = 1
            node = self.sum()
            self.bars = 0
            self.expect("|")
            return ("call", "abs", node)
        if token.text.isalpha() and token.text.isascii():
            self.take()
            return self.symbol(token.text)
        raise UnreadableError(f"unexpected {token.text}")

    def repeating(self, text: str) -> Node:
        """0.1\\overline{6}: a decimal whose last digits go on for ever."""
        period = ""
        while self.command("overline", "dot"):
            self.take()
            period += self.raw()
        if not period.isdigit():
            raise UnreadableError("overline in a number")
        places = len(text.partition(".")[2])
        return (
            "num",
            Fraction(text.rstrip(".") or "0") + Fraction(int(period), 10**places * (10 ** len(period) - 1)),
            False,
        )

    def based(self, digits: str, base: str) -> Node:
        if not base.isdigit() or not 2 <= int(base) <= 36 or not digits.isdigit():
            raise UnreadableError("subscript of a number")
        try:
            return ("num", Fraction(int(digits, int(base))), False)
        except ValueError:
            raise UnreadableError("a digit not below the base") from None

    def symbol(self, name: str) -> Node:
        token = self.peek()
        if self.is_("_"):
            self.take()
            name += "_" + self.raw()
        elif (
            token and token.kind == "num" and token.text.isdigit() and token.start == self.tokens[self.position - 1].end
        ):
            # c1 in plain notation is c_1
            name += "_" + self.take().text
        while self.is_("'"):
            self.take()
            name += "'"
        if name == "e" and self.is_("^"):
            return ("call", "e")
        if name == "e":
            return ("call", "e")
        if name == "i":
            return ("call", "i")
        if self.is_("(") and (name[0] in UNKNOWN or self.at_number()):
            self.take()
            arguments = [self.sum()]
            while self.is_(","):
                self.take()
                arguments.append(self.sum())
            self.expect(")")
            return ("opaque", name, *arguments)
        return ("sym", name)

    def at_number(self) -> bool:
        """Whether `(0)` follows, which is no factor."""
        inner = self.peek(1)
        return inner is not None and inner.text == "0" and self.is_(")", ahead=2)

    def named(self) -> Node:
        name = self.take().text
        if name == "frac":
            top = self.argument()
            bottom = self.argument()
            if top[:2] == ("sym", "d") and bottom[:2] == ("*", ("sym", "d")):
                raise UnreadableError("derivative")
            # the fourth element marks a typeset fraction, which may follow a whole number
            return ("/", top, bottom, "frac")
        if name == "sqrt":
            if self.is_("["):
                index = self.group("[", "]")
                return ("^", self.argument(), ("/", ("num", Fraction(1), False), index))
            if self.is_("("):
                return ("call", "sqrt", self.group("(", ")"))
            return ("call", "sqrt", self.argument())
        if name == "binom":
            top = self.argument()
            return ("call", "binomial", top, self.argument())
        if name == "pi":
            return ("call", "pi")
        if name == "lfloor" or name == "lceil":
            node = self.sum()
            if not self.command("r" + name[1:]):
                raise UnreadableError(f"missing r{name[1:]}")
            self.take()
            return ("call", "floor" if name == "lfloor" else "ceil", node)
        if name in FUNCTIONS:
            return self.function(name)
        if name in ("sum", "prod", "int"):
            return self.bounded(name)
        if name in MARKS:
            return self.symbol(f"{name}({self.raw()})")
        if name in ("angle", "triangle"):
            letters = ""
            while (
                (token := self.peek()) is not None
                and token.kind == "chr"
                and token.text.isalpha()
                and token.text.isupper()
            ):
                letters += self.take().text
            return self.symbol(name + " " + letters)
        if name in GREEK:
            return self.symbol("\\" + name)
        raise UnreadableError("\\" + name)

    def function(self, name: str) -> Node:
        exponent: Node | None = None
        base: Node | None = None
        for _ in range(2):
            if self.is_("_") and name == "log":
                self.take()
                base = self.argument()
            elif self.is_("^"):
                self.take()
                exponent = self.argument(exponent=True)
        if self.is_("("):
            inner = self.group("(", ")")
        elif self.is_("{"):
            inner = self.group("{", "}")
        else:
            inner = self.applied()
        name = re.sub(r"^a(?=sin|cos|tan)", "arc", name)
        if exponent == ("neg", ("num", Fraction(1), False)) and name in ("sin", "cos", "tan", "cot"):
            return ("call", "arc" + name, inner)
        node: Node = ("call", name, inner) if base is None else ("/", ("call", "ln", inner), ("call", "ln", base))
        return node if exponent is None else ("^", node, exponent)

    def applied(self) -> Node:
        """The argument of a function without parentheses: factors up to the next sum or function."""
        if self.is_("-"):
            self.take()
            return ("neg", self.applied())
        node = self.power()
        while (
            self.starts()
            and not self.is_("(", "[")
            and not ((t := self.peek()) and t.kind == "cmd" and t.text in FUNCTIONS)
        ):
            node = ("*", node, self.power())
        if self.is_("/") and (t := self.peek(1)) is not None and (t.kind == "num" or t.text.isalpha()):
            self.take()
            node = ("/", node, self.power())
        return node

    def bounded(self, name: str) -> Node:
        """A sum, product or integral: a function of its bounds and body that is equal only where these are."""
        lower = upper = ""
        for _ in range(2):
            if self.is_("_"):
                self.take()
                lower = self.raw()
            elif self.is_("^"):
                self.take()
                upper = self.raw()
        body = self.product()
        index, _, start = lower.partition("=")
        ends = [read(part) for part in (start, upper) if part]
        return ("opaque", name, *ends, _renamed(body, index, "bound variable"))


def _renamed(node: Node, old: str, new: str) -> Node:
    # an index called i is no imaginary unit
    if node[:2] in (("sym", old), ("call", old)):
        return ("sym", new)
    return tuple(_renamed(child, old, new) if isinstance(child, tuple) else child for child in node)
