"""Gold answers made fit for grading, by named rules: each gives an answer back mended, or as it was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Literal

from limo import UserError
from limo.data import Row
from limo.evaluation.options import LETTERS, cut, permute
from limo.records import AnswerType, Gold, Problem

Repair = Literal[
    "integral",
    "thousands",
    "delimiters",
    "currency",
    "punctuation",
    "backslash",
    "code",
    "exponent",
    "parts",
    "letter",
    "options",
    "metadata",
    "forms",
]
TYPES: dict[str, AnswerType] = {
    "Numerical": "auto",
    "Expression": "expression",
    "Tuple": "tuple",
    "Interval": "interval",
    "Equation": "equation",
}
"""Answer types of OlympiadBench's metadata in the words of grading; its numbers may be fractions and roots, so
`auto`."""


def repair(
    row: Row, rules: tuple[Repair, ...], answer_type: AnswerType, shuffle: int | None, correction: str | None = None
) -> tuple[Problem, list[str]]:
    """The row's problem with a gold answer that can be graded, and the names of the rules that changed it.

    `gold.published` of the result is the answer as LIMO's code reads it. Raises UserError naming the row where the
    result is no answer of its type.
    """
    source = row.problem.gold
    if correction is None and not source.text.strip():
        raise UserError(f"{row.place}: there is no answer; mend or remove the row")
    of_source = answer_type == "auto" and correction is None
    gold = dataclasses.replace(source, type=source.type if of_source else answer_type)
    applied: list[str] = []
    if correction is not None:
        gold = dataclasses.replace(gold, value=correction)
        applied.append("corrections")
    for name in rules:
        mended = mend(name, gold, row)
        if mended != gold:
            applied.append(name)
            gold = mended
    if gold.published is None and gold.value != source.value:
        gold = dataclasses.replace(gold, published=source.text)
    problem = dataclasses.replace(row.problem, gold=gold)
    if shuffle is not None:
        problem = shuffled(problem, shuffle, row.place)
        applied.append("shuffle")
    check(problem.gold, row.place)
    return problem, applied


def mend(name: Repair, gold: Gold, row: Row) -> Gold:
    """The gold answer after one rule; rules of texts leave one of several parts as it is."""
    if name in GOLDS:
        return GOLDS[name](gold, row)
    return dataclasses.replace(gold, value=TEXTS[name](gold.value)) if isinstance(gold.value, str) else gold


def check(gold: Gold, place: str) -> None:
    """Refuse a gold answer that cannot be one of its type."""
    value, kind = gold.value, gold.type
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if not parts or any(not part.strip() for part in parts):
        raise UserError(f"{place}: the gold answer is empty after repair; mend the row")
    if kind == "integer" and not re.fullmatch(r"[+-]?\d+", gold.text):
        raise UserError(f"{place}: the gold answer {value!r} is no integer; mend the row or set another answer_type")
    if kind == "letter" and value not in (gold.choices or LETTERS):
        raise UserError(
            f"{place}: the gold answer {value!r} is not the letter of an option; mend the row or set another answer_type"
        )
    if kind != "text" and any(not _balanced(part) for part in parts):
        raise UserError(
            f"{place}: the gold answer {value!r} has unbalanced braces; mend the row or set answer_type=text"
        )


def integral(gold: str) -> str:
    """27.0 -> 27: whole numbers that a data frame turned into floats."""
    return gold[:-2] if re.fullmatch(r"[+-]?\d+\.0", gold) else gold


def thousands(gold: str) -> str:
    """`1,450,000` -> `1450000`, in a file whose answers are single numbers."""
    return gold.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", gold) else gold


def delimiters(gold: str) -> str:
    """`$\\frac{1}{2}$` -> `\\frac{1}{2}`; `$69$,$84$` -> `69,84`; a full stop at the end goes too."""
    return re.sub(r"(?<!\\)\$+", "", gold).strip().rstrip(".。．").strip()


def currency(gold: str) -> str:
    """`\\$32,\\!348` -> `32348`: a dollar sign that math parsers stumble over, with the thousands marks of such
    amounts."""
    amount = re.compile(r"\\\$\s*(\d[\d,.\\!]*)")
    return amount.sub(lambda m: re.sub(r",|\\!", "", m.group(1)), gold)


def punctuation(gold: str) -> str:
    """Full-width signs of a Chinese text inside mathematics: `0。3853` -> `0.3853`, `（` -> `(`, `；` -> `;`."""
    table = str.maketrans("（）［］，；：＋－＝", "()[],;:+-=")
    gold = re.sub(r"(?<=\d)。(?=\d)", ".", gold)
    return gold if re.search(r"[\u4e00-\u9fff]", gold) else gold.translate(table)


def backslash(gold: str) -> str:
    """`frac{1}{4}` -> `\\frac{1}{4}`: a command that lost its backslash."""
    return re.sub(r"(?<![\\A-Za-z])(frac|sqrt)(?=[{\[])", r"\\\1", gold)


def code(gold: str) -> str:
    """Program notation: `np.arcsin(10/13)` -> `\\arcsin(10/13)`, `-1./3` -> `-1/3`, `\\exp{a*t}` -> `e^{a t}`."""
    gold = re.sub(r"\b(?:np|numpy|math)\.", r"\\", gold)
    gold = re.sub(r"(?<=\d)\.(?=/)", "", gold)
    if r"\exp{" in gold:
        gold = gold.replace(r"\exp{", "e^{").replace("*", " ")
    return re.sub(r"\\(arcsin|arccos|arctan|sin|cos|tan)\{(.*)\}$", r"\\\1(\2)", gold)


def exponent(gold: str) -> str:
    """`4.5e33` -> `4.5 \\times 10^{33}`, as a model writes it."""
    pattern = re.compile(r"(?<![\w.])([+-]?\d+(?:\.\d*)?)[eE]([+-]?)0*(\d+)(?!\w)")
    return pattern.sub(lambda m: rf"{m[1]} \times 10^{{{m[2].replace('+', '')}{m[3]}}}", gold)


def parts(gold: Gold, row: Row) -> Gold:
    """Parts by name, in any order, without dollar signs."""
    if not isinstance(gold.value, dict):
        return gold
    clean = {name: re.sub(r"(?<!\\)\$+", "", part).strip() for name, part in gold.value.items()}
    return dataclasses.replace(gold, value=clean, type="multi")


def letter(gold: Gold, row: Row) -> Gold:
    """Multiple choice: `（B）`, `C．`, `（A）$\\frac{1}{2}$` -> the letter; answer_type becomes `letter`."""
    if not isinstance(gold.value, str):
        return gold
    found = re.fullmatch(r"\s*[(（]?\s*([A-J])\s*[)）]?\s*[.．、。]?\s*", gold.value) or re.match(
        r"\s*[(（]([A-J])[)）]\s*\S", gold.value
    )
    return dataclasses.replace(gold, value=found.group(1), type="letter") if found else gold


def options(gold: Gold, row: Row) -> Gold:
    """Options cut from the question, so that the letter or the text of the right one counts.

    A file that keeps the letter apart (column `letter`) decides by it: where the text of that option and the file's own
    answer differ, the option of the question wins, because it is what the model read.
    """
    chosen, found = str(row.columns.get("letter") or "").strip(), cut(row.problem.question)
    if not chosen:
        known = gold.type == "letter" and found and gold.value in found
        return dataclasses.replace(gold, choices=found) if known else gold
    if chosen not in (found or {}):
        found = {chosen: re.sub(rf"^{chosen}\s*[.．、]\s*", "", gold.text)}
    return dataclasses.replace(gold, value=chosen, type="letter", choices=found)


def metadata(gold: Gold, row: Row) -> Gold:
    """OlympiadBench's own columns: answer type, several answers in any order, the unit, the tolerance that it allows."""
    kind, error = row.columns.get("type"), row.columns.get("error")
    if kind:
        several = row.columns.get("multiple") and kind != "Interval"
        gold = dataclasses.replace(gold, type="multi" if several else TYPES.get(kind, "auto"))
        if kind == "Interval" and isinstance(gold.value, str):  # `t(0,4]`: the variable before its interval
            gold = dataclasses.replace(gold, value=re.sub(r"^[a-z](?=[(\[])", "", gold.value))
    return dataclasses.replace(gold, tolerance=_relative(str(error), gold.text)) if error else gold


def forms(gold: str) -> str:
    """Two ways of writing one answer, `$A$ 或 $B$`: the first; in a list, `1, 2, 3, 或 6`, the word is only a comma."""
    if found := re.fullmatch(r"\s*(\$[^$]+\$)\s*或\s*\$[^$]+\$\s*[.．。]?\s*", gold):
        return found.group(1)
    return re.sub(r"\s*[,，]\s*或\s*(?=\d)", ", ", gold)


_TEXTS = (integral, thousands, delimiters, currency, punctuation, backslash, code, exponent, forms)
TEXTS: dict[str, Callable[[str], str]] = {rule.__name__: rule for rule in _TEXTS}
"""Rules that read the answer's text alone, by name."""
GOLDS: dict[str, Callable[[Gold, Row], Gold]] = {rule.__name__: rule for rule in (parts, letter, options, metadata)}
"""Rules that read what else is known of it, by name."""


def shuffled(problem: Problem, seed: int, place: str) -> Problem:
    """The options in a random order, the gold letter moved along. Raises UserError where the options cannot be found."""
    gold = problem.gold
    moved = permute(problem.question, gold.choices, gold.text, seed) if gold.choices else None
    if moved is None:
        raise UserError(f"{place}: no options A., B., … in the question to shuffle; set shuffle=null")
    question, choices, right = moved
    gold = dataclasses.replace(gold, value=right, choices=choices, published=None)
    return dataclasses.replace(problem, question=question, gold=gold)


def _relative(error: str, gold: str) -> float:
    """An absolute error on a gold number, or several of them (`1e-1,2`), as the relative tolerance that grading
    takes."""
    largest = max(float(part) for part in error.split(","))
    number = re.search(r"-?\d+(?:\.\d+)?", gold)
    size = abs(float(number.group())) if number else 0.0
    return min(largest / size, 0.5) if size else 0.0


def _balanced(text: str) -> bool:
    depth = 0
    for sign in re.sub(r"\\[{}]", "", text):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0
