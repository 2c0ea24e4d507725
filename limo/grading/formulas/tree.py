"""The tree of a formula, and what can be told from it without computing."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple


class Node(NamedTuple):
    """One node: a number or symbol, an operation on parts, a function that is computed (`call`) or only named (`opaque`)."""

    kind: Literal["num", "sym", "neg", "+", "*", "/", "^", "call", "opaque"]
    parts: tuple[Node, ...] = ()
    name: str = ""
    """Of a symbol or function."""
    number: Fraction = Fraction(0)
    marked: bool = False
    """A number with decimal places, so an approximation; a quotient typeset as a fraction, which may follow a whole number."""


def number(value: Fraction | int, decimal: bool = False) -> Node:
    return Node("num", number=Fraction(value), marked=decimal)


def symbol(name: str) -> Node:
    return Node("sym", name=name)


def call(name: str, *arguments: Node) -> Node:
    return Node("call", arguments, name)


def symbols(node: Node) -> frozenset[str]:
    """The free symbols of a tree."""
    if node.kind == "sym":
        return frozenset((node.name,))
    return frozenset().union(*map(symbols, node.parts))


def decimal(node: Node) -> bool:
    """Whether a tree holds a number with decimal places."""
    return node.marked if node.kind == "num" else any(map(decimal, node.parts))


def stepped(node: Node) -> bool:
    """Whether a tree has jumps."""
    return (node.kind == "call" and node.name in ("floor", "ceil")) or any(map(stepped, node.parts))


def opaque(node: Node) -> bool:
    """Whether a tree holds a function that isn't computed, so that unequal values prove nothing."""
    return node.kind == "opaque" or any(map(opaque, node.parts))


def renamed(node: Node, old: str, new: str) -> Node:
    """With another name for a symbol; an index called i is no imaginary unit."""
    if node.name == old and (node.kind == "sym" or node.kind == "call"):
        return symbol(new)
    return node._replace(parts=tuple(renamed(child, old, new) for child in node.parts))
