"""What LIMO's published grader accepts, faults included, so that a number can be put beside the paper's.

Re-implemented from the behaviour of `eval/utils/{parser,grader}.py` of GAIR-NLP/LIMO at 2284c6a. Two differences: text is never
evaluated as Python (theirs falls back to `parse_expr`), and formulas are read by the reader of this package, not by sympy's.
"""

from __future__ import annotations

import re
from math import isclose

from limo.grading.answers.number import spelled
from limo.grading.formulas.equivalence import same
from limo.grading.formulas.evaluate import value
from limo.grading.formulas.numbers import Number, inexact, real
from limo.grading.formulas.parse import tree
from limo.grading.formulas.symbols import pairs
from limo.grading.formulas.tree import Node, symbols
from limo.grading.match.values import Result
from limo.grading.rules import Case
from limo.records import Grade

DEPTH = 5
"""How deep its comparison follows lists in lists."""
CLOSE = 1e-4
"""Absolute difference below which it takes two numbers for equal."""

_UNITS = (
    "east|degree|mph|kmph|ft|deg|mile|monkey|prime|ratio|rd|o|gm|lb|tile|per|dm|lt|gain|ab|way|west|t|a|h|no c"
    "hange|men|soldier|pie|bc|excess|st|inches|noon|percent|by|gal|kmh|c|acre|rise|th|sq|mark|l|toy|coin|gallo"
    "n|profit|yr|women|feet|am|pm|hr|cu cm|square|are|rupee|rounds|cubic|cc|mtr|s|ohm|number|day|hour|minute|m"
    "in|second|man|woman|sec|cube|mt|sq inch|mp|hectare|more|unit|cm 2|rs|kg|g|month|km|m|cm|mm|apple|liter|lo"
    "ss|yard|pure|year|increase|decrease|d|less|Surface|litre|metre|meter|inch"
)
_UNIT = [re.compile(rf"(^|\W){name}{plural}($|\W)") for plural in ("", "s") for name in _UNITS.split("|")]
_OPTION = re.compile(r"^(?:\([A-E]\)|[A-E][.):]|\*\*[A-E]\*\*)\s*")
_MONTH = re.compile(
    r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b", re.I
)
_SPELLINGS = pairs(r"tfrac:frac dfrac:frac \neq:\ne \leq:\le \geq:\ge \left: \right: \{:{ \}:}")


def grade(case: Case) -> Grade:
    """The grade of a case under the paper's rules: the last box of the whole text, else nothing."""
    answer = extract(case.response)
    if not answer:
        return case.graded("truncated" if case.finish != "stop" else "no_answer", None, "paper: no box")
    result = equal(answer, str(case.gold))
    return case.graded("correct" if result else "wrong", answer, f"paper: {result.rule}")


def extract(text: str) -> str:
    """What follows the last "boxed", up to the brace that closes it or else to the end."""
    if "boxed" not in text:
        return ""
    tail = text.rpartition("boxed")[2]
    if tail.startswith("{"):
        depth, end = 0, len(tail)
        for i, c in enumerate(tail):
            depth += (c == "{") - (c == "}")
            if depth == 0:
                end = i
                break
        answer = tail[1:end]
    else:
        answer = tail.split("$")[0].strip()
    answer = re.sub(r"\n\s*", "", answer).removeprefix(":")
    return answer.removesuffix(".").removesuffix("/")


def equal(answer: str, gold: str) -> Result:
    """Whether it takes an answer for the gold one."""
    return _equal(strip(answer), strip(gold), 0)


def strip(text: str) -> str:
    """Its spelling of an answer: without units (single letters among them), signs of percent and currency, names, spaces."""
    s = text.strip().replace("\n", "").rstrip(".").replace("\\!", "")
    s = re.sub(r"\\begin\{array\}\{.*?\}", r"\\begin{pmatrix}", s)
    s = re.sub(r"\\end\{array\}", r"\\end{pmatrix}", s).replace("bmatrix", "pmatrix")
    for old, new in _SPELLINGS.items():
        s = s.replace(old, new)
    s = re.sub(r"\\text{.*?}$", "", s).strip() or s
    for pattern in _UNIT:
        s = pattern.sub(r"\1\2", s) or s
    for old in ("^{\\circ}", "^\\circ", "\\$", "$", "\\(", "\\)"):
        s = s.replace(old, "")
    s = spelled(s) or s
    s = re.sub(r"\\text\{(.*?)\}", r"\1", s)
    for old in ("x=", "y=", "z=", "x\\in", "y\\in", "z\\in", "x\\to", "y\\to", "z\\to"):
        s = s.replace(old, "")
    s = s.replace("\\emptyset", "{}").replace("(-\\infty,\\infty)", "\\mathbb{R}").replace("\\%", "").replace("%", "")
    s = _MONTH.sub("", s).replace(" .", " 0.").replace("{.", "{0.").replace("infinity", "\\infty")
    if "\\infty" not in s:
        s = s.replace("inf", "\\infty")
    s = re.sub(r"\\mbox{.*?}", "", s.replace("and", "").replace("\\mathbf", ""))
    if "j" in s and "i" not in s:
        s = s.replace("j", "i")
    s = re.sub(r"(\d+)\.0*$", r"\1", re.sub(r"(\d+)\.0*([^\d])", r"\1\2", s))
    if not s:
        return s
    s = "0" + s if s[0] == "." else s
    sides = s.split("=")
    s = sides[1] if len(sides) == 2 and len(sides[0]) <= 2 else s
    s = re.sub(r"\\sqrt(\w+)", r"\\sqrt{\1}", s).replace(" ", "")
    s = re.sub(r"\\frac([^{])([^{])", r"\\frac{\1}{\2}", s)
    s = re.sub(r"\\frac([^{])(?={)", r"\\frac{\1}", s)
    return re.sub(r"^(-?\d+)/(-?\d+)$", r"\\frac{\1}{\2}", s)


def _equal(answer: str, gold: str, depth: int) -> Result:
    if depth > DEPTH:
        return Result(False, "too deep")
    if answer.strip().lower() == gold.strip().lower():
        return Result(True, "same string")
    if gold in ("A", "B", "C", "D", "E") and (re.findall(r"\b([A-E])\b", answer.upper()) or [""])[-1] == gold:
        return Result(True, "letter")
    if (option := _OPTION.match(answer)) and _equal(answer[option.end() :].strip(), gold, depth + 1):
        return Result(True, "without its letter")
    if "," in answer and "," in gold:
        parts = [sorted(part.strip() for part in text.split(",")) for text in (answer, gold)]
        if len(parts[0]) == len(parts[1]) and all(_equal(a, b, depth + 1) for a, b in zip(*parts, strict=True)):
            return Result(True, "list")
    numbers = _number(answer), _number(gold)
    if numbers[0] is not None and numbers[1] is not None:
        return Result(
            any(isclose(numbers[0], n, abs_tol=CLOSE) for n in (numbers[1] / 100, numbers[1], numbers[1] * 100)),
            "number",
        )
    if not answer:
        return Result(False, "empty")
    return Result(True, "form") if _same_form(answer, gold, depth) else Result(_symbolic(answer, gold), "symbols")


def _same_form(answer: str, gold: str, depth: int) -> bool:
    brackets = str.maketrans("", "", "{}()")
    a, b = answer, gold
    if (re.match(r"\[.*\]$", a) and b[:1] != "(") or (re.match(r"\(.*\)$", a) and b[:1] != "["):
        a, b = a.strip("[]()"), b.strip("[]()")
    if a.translate(brackets).lower() == b.translate(brackets).lower():
        return True
    if all(re.match(r"[(\[].+[)\]]", text) for text in (answer, gold)) and _pairwise(
        answer[1:-1], gold[1:-1], ",", depth
    ):
        return True
    matrix = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", re.S)
    if (m := matrix.fullmatch(answer)) and (n := matrix.fullmatch(gold)):
        rows = [[row for row in text.split("\\\\") if row.strip()] for text in (m[1], n[1])]
        if len(rows[0]) == len(rows[1]) and all(_pairwise(x, y, "&", depth) for x, y in zip(*rows, strict=True)):
            return True
    if answer.count("=") == gold.count("=") == 1:
        sides = [f"{text.split('=')[0]}-({text.split('=')[1]})" for text in (answer, gold)]
        return _symbolic(*sides) or _symbolic(f"-({sides[0]})", sides[1])
    for one, other, swap in ((answer, gold, False), (gold, answer, True)):
        if one.count("=") == 1 and len(one.split("=")[0].strip()) <= 2 and "=" not in other:
            value = one.split("=")[1]
            return bool(_equal(*((other, value) if swap else (value, other)), depth + 1))
    return False


def _pairwise(a: str, b: str, separator: str, depth: int) -> bool:
    parts = a.split(separator), b.split(separator)
    return len(parts[0]) == len(parts[1]) and all(_equal(x, y, depth + 1) for x, y in zip(*parts, strict=True))


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def _symbolic(answer: str, gold: str) -> bool:
    a, b = _tree(answer), _tree(gold)
    if a is None or b is None:
        return False
    if same(a, b, 0.0):
        return True
    x, y = _constant(a), _constant(b)
    return x is not None and y is not None and bool(abs(inexact(x) - inexact(y)) <= CLOSE)


def _constant(node: Node) -> Number | None:
    found = None if symbols(node) else value(node, {})
    return None if found is None or not real(found) else found.real


def _tree(text: str) -> Node | None:
    # its LaTeX reader stops where a formula can't go on, at a comma above all, and takes what it has
    return tree(text, mixed=False) or tree(text.split(",")[0], mixed=False)
