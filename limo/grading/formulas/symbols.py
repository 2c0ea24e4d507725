"""The words that formulas are written with."""

from __future__ import annotations


def names(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


def pairs(text: str) -> dict[str, str]:
    """The word:meaning pairs of a text."""
    return dict(pair.split(":", 1) for pair in text.split())


GREEK = names(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi "
    "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell hbar infty nabla partial Re Im aleph "
    "emptyset square star"
)
FUNCTIONS = names(
    "sin cos tan cot sec csc arcsin arccos arctan arccot asin acos atan sinh cosh tanh sech csch coth arcsinh "
    "arccosh arctanh asinh acosh atanh log ln lg exp sqrt abs floor ceil"
)
SPECIAL = pairs("infinity:infty inf:infty oo:infty Infinity:infty pi:pi Pi:pi Abs:abs")
UNKNOWN = frozenset("fghFGH")
"""Letters that, before a parenthesis, name a function nobody has defined."""
MARKS = names("overline vec hat bar tilde widehat overrightarrow mathbb mathcal mathfrak dot ddot underline widetilde")
