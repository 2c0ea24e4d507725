"""What a word of a formula begins: fractions, roots, functions, sums, names. The reader of sums in `parse` builds on it."""

from __future__ import annotations

import re
from abc import abstractmethod
from fractions import Fraction

from limo.grading.formulas.symbols import FUNCTIONS, GREEK, MARKS, UNKNOWN
from limo.grading.formulas.tokens import Cursor, UnreadableError
from limo.grading.formulas.tree import Node, call, number, renamed, symbol


class Commands(Cursor):
    """Formulas that start with a word, over the parts of a formula that words may hold."""

    @abstractmethod
    def sum(self) -> Node:
        """Terms up to what cannot go on."""

    @abstractmethod
    def product(self) -> Node:
        """Factors up to the next sign."""

    @abstractmethod
    def power(self) -> Node:
        """One factor with its exponent."""

    @abstractmethod
    def argument(self, exponent: bool = False) -> Node:
        """What a command or `^` applies to: a braced group or one token."""

    @abstractmethod
    def group(self, open_: str, close: str) -> Node:
        """A sum between brackets."""

    @abstractmethod
    def starts(self) -> bool:
        """Whether a factor starts here (implicit product)."""

    @abstractmethod
    def inner(self, text: str) -> Node:
        """Another formula, inside this one."""

    def named(self) -> Node:
        name = self.take().text
        if name == "frac":
            return self.fraction()
        if name == "sqrt":
            return self.root()
        if name == "binom":
            top = self.argument()
            return call("binomial", top, self.argument())
        if name == "pi":
            return call("pi")
        if name in ("lfloor", "lceil"):
            node = self.sum()
            if not self.command("r" + name[1:]):
                raise UnreadableError(f"missing r{name[1:]}")
            self.take()
            return call("floor" if name == "lfloor" else "ceil", node)
        if name in FUNCTIONS:
            return self.function(name)
        if name in ("sum", "prod", "int"):
            return self.bounded(name)
        if name in MARKS:
            return self.symbol(f"{name}({self.raw()})")
        if name in ("angle", "triangle"):
            return self.symbol(f"{name} {self.capitals()}")
        if name in GREEK:
            return self.symbol("\\" + name)
        raise UnreadableError("\\" + name)

    def fraction(self) -> Node:
        top = self.argument()
        bottom = self.argument()
        if top == symbol("d") and bottom.kind == "*" and bottom.parts[0] == symbol("d"):
            raise UnreadableError("derivative")
        return Node("/", (top, bottom), marked=True)

    def root(self) -> Node:
        if self.is_("["):
            index = self.group("[", "]")
            return Node("^", (self.argument(), Node("/", (number(1), index))))
        return call("sqrt", self.group("(", ")") if self.is_("(") else self.argument())

    def capitals(self) -> str:
        letters = ""
        while (
            (token := self.peek()) is not None and token.kind == "chr" and token.text.isalpha() and token.text.isupper()
        ):
            letters += self.take().text
        return letters

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
        if exponent == Node("neg", (number(1),)) and name in ("sin", "cos", "tan", "cot"):
            return call("arc" + name, inner)
        node = call(name, inner) if base is None else Node("/", (call("ln", inner), call("ln", base)))
        return node if exponent is None else Node("^", (node, exponent))

    def applied(self) -> Node:
        """The argument of a function without parentheses: factors up to the next sum or function."""
        if self.is_("-"):
            self.take()
            return Node("neg", (self.applied(),))
        node = self.power()
        while self.starts() and not self.is_("(", "[") and not self.at_function():
            node = Node("*", (node, self.power()))
        if self.is_("/") and (token := self.peek(1)) is not None and (token.kind == "num" or token.text.isalpha()):
            self.take()
            node = Node("/", (node, self.power()))
        return node

    def at_function(self) -> bool:
        token = self.peek()
        return token is not None and token.kind == "cmd" and token.text in FUNCTIONS

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
        ends = [self.inner(part) for part in (start, upper) if part]
        return Node("opaque", (*ends, renamed(body, index, "bound variable")), name)

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
        if name in ("e", "i"):
            return call(name)
        if self.is_("(") and (name[0] in UNKNOWN or self.at_number()):
            self.take()
            arguments = [self.sum()]
            while self.is_(","):
                self.take()
                arguments.append(self.sum())
            self.expect(")")
            return Node("opaque", tuple(arguments), name)
        return symbol(name)

    def at_number(self) -> bool:
        """Whether `(0)` follows, which is no factor."""
        inner = self.peek(1)
        return inner is not None and inner.text == "0" and self.is_(")", ahead=2)

    def repeating(self, text: str) -> Node:
        """0.1\\overline{6}: a decimal whose last digits go on for ever."""
        period = ""
        while self.command("overline", "dot"):
            self.take()
            period += self.raw()
        if not period.isdigit():
            raise UnreadableError("overline in a number")
        places = len(text.partition(".")[2])
        tail = Fraction(int(period), 10**places * (10 ** len(period) - 1))
        return number(Fraction(text.rstrip(".") or "0") + tail)
