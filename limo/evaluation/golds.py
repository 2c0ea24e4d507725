"""Gold answers made fit for grading, by named rules: each takes a problem and gives it back mended, or as it was."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Literal

from limo import UserError
from limo.evaluation.options import LETTERS, cut, permute
from limo.records import Problem

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
TYPES = {
    "Numerical": "auto",
    "Expression": "expression",
    "Tuple": "tuple",
    "Interval": "interval",
    "Equation": "equation",
}
"""Answer types of OlympiadBench's metadata in the words of grading; its numbers may be fractions and roots, so
`auto`."""


def repair(
    problem: Problem, rules: tuple[Repair, ...], answer_type: str, shuffle: int | None, correction: str | None = None
) -> tuple[Problem, list[str]]:
    """The problem with a gold answer that can be graded, and the names of the rules that changed it.

    `meta` of the result: `gold` (text, a list of answers, or a dict of named parts), `answer_type`, `choices` (letter
    -> text) where there are options, `raw` the gold answer as LIMO's code reads it. Raises UserError naming the row
    where the result is no answer of its type.
    """
    problem = _with(problem, _gold(problem), answer_type=answer_type, raw=str(_gold(problem)))
    applied: list[str] = []
    if correction is not None:
        problem = _with(problem, correction)
        applied.append("corrections")
    for name in rules:
        mended = RULES[name](problem)
        if mended != problem:
            applied.append(name)
            problem = mended
    if shuffle is not None:
        problem = shuffled(problem, shuffle)
        applied.append("shuffle")
    check(problem)
    return problem, applied


def check(problem: Problem) -> None:
    """Refuse a gold answer that cannot be one of its type."""
    gold, kind, where = problem.meta["gold"], problem.meta["answer_type"], problem.meta.get("where", problem.id)
    parts = list(gold.values()) if isinstance(gold, dict) else gold if isinstance(gold, list) else [gold]
    if not parts or any(not str(part).strip() for part in parts):
        raise UserError(f"{where}: the gold answer is empty after repair; mend the row")
    if kind == "integer" and not re.fullmatch(r"[+-]?\d+", gold):
        raise UserError(f"{where}: the gold answer {gold!r} is no integer; mend the row or set another answer_type")
    if kind == "letter" and gold not in (problem.meta.get("choices") or LETTERS):
        raise UserError(
            f"{where}: the gold answer {gold!r} is not the letter of an option; mend the row or set another answer_type"
        )
    if kind != "text" and any(not _balanced(str(part)) for part in parts):
        raise UserError(
            f"{where}: the gold answer {gold!r} has unbalanced braces; mend the row or set answer_type=text"
        )


def integral(problem: Problem) -> Problem:
    """27.0 -> 27: whole numbers that a data frame turned into floats."""
    gold = problem.meta["gold"]
    return _with(problem, gold[:-2]) if isinstance(gold, str) and re.fullmatch(r"[+-]?\d+\.0", gold) else problem


def thousands(problem: Problem) -> Problem:
    """`1,450,000` -> `1450000`, in a file whose answers are single numbers."""
    return _text(
        problem, lambda gold: gold.replace(",", "") if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", gold) else gold
    )


def delimiters(problem: Problem) -> Problem:
    """`$\\frac{1}{2}$` -> `\\frac{1}{2}`; `$69$,$84$` -> `69,84`; a full stop at the end goes too."""
    return _text(problem, lambda gold: re.sub(r"(?<!\\)\$+", "", gold).strip().rstrip(".。．").strip())


def currency(problem: Problem) -> Problem:
    """`\\$32,\\!348` -> `32348`: a dollar sign that math parsers stumble over, with the thousands marks of such
    amounts."""
    amount = re.compile(r"\\\$\s*(\d[\d,.\\!]*)")
    return _text(problem, lambda gold: amount.sub(lambda m: re.sub(r",|\\!", "", m.group(1)), gold))


def punctuation(problem: Problem) -> Problem:
    """Full-width signs of a Chinese text inside mathematics: `0。3853` -> `0.3853`, `（` -> `(`, `；` -> `;`."""
    table = str.maketrans("（）［］，；：＋－＝", "()[],;:+-=")

    def mend(gold: str) -> str:
        gold = re.sub(r"(?<=\d)。(?=\d)", ".", gold)
        return gold if re.search(r"[\u4e00-\u9fff]", gold) else gold.translate(table)

    return _text(problem, mend)


def backslash(problem: Problem) -> Problem:
    """`frac{1}{4}` -> `\\frac{1}{4}`: a command that lost its backslash."""
    return _text(problem, lambda gold: re.sub(r"(?<![\\A-Za-z])(frac|sqrt)(?=[{\[])", r"\\\1", gold))


def code(problem: Problem) -> Problem:
    """Program notation: `np.arcsin(10/13)` -> `\\arcsin(10/13)`, `-1./3` -> `-1/3`, `\\exp{a*t}` -> `e^{a t}`."""

    def mend(gold: str) -> str:
        gold = re.sub(r"\b(?:np|numpy|math)\.", r"\\", gold)
        gold = re.sub(r"(?<=\d)\.(?=/)", "", gold)
        if r"\exp{" in gold:
            gold = gold.replace(r"\exp{", "e^{").replace("*", " ")
        return re.sub(r"\\(arcsin|arccos|arctan|sin|cos|tan)\{(.*)\}$", r"\\\1(\2)", gold)

    return _text(problem, mend)


def exponent(problem: Problem) -> Problem:
    """`4.5e33` -> `4.5 \\times 10^{33}`, as a model writes it."""
    pattern = re.compile(r"(?<![\w.])([+-]?\d+(?:\.\d*)?)[eE]([+-]?)0*(\d+)(?!\w)")
    return _text(
        problem, lambda gold: pattern.sub(lambda m: rf"{m[1]} \times 10^{{{m[2].replace('+', '')}{m[3]}}}", gold)
    )


def parts(problem: Problem) -> Problem:
    """JSON lists and objects: a list is a set of answers, an object holds named parts; all of them are needed."""
    gold = problem.meta["gold"]
    if isinstance(gold, list):
        return _with(problem, [str(item) for item in gold], answer_type="multi")
    if isinstance(gold, dict):
        clean = {str(k): re.sub(r"(?<!\\)\$+", "", str(v)).strip() for k, v in gold.items()}
        return _with(problem, clean, answer_type="multi")
    return problem


def letter(problem: Problem) -> Problem:
    """Multiple choice: `（B）`, `C．`, `（A）$\\frac{1}{2}$` -> the letter; answer_type becomes `letter`."""
    gold = problem.meta["gold"]
    if not isinstance(gold, str):
        return problem
    found = re.fullmatch(r"\s*[(（]?\s*([A-J])\s*[)）]?\s*[.．、。]?\s*", gold) or re.match(
        r"\s*[(（]([A-J])[)）]\s*\S", gold
    )
    return _with(problem, found.group(1), answer_type="letter") if found else problem


def options(problem: Problem) -> Problem:
    """Options cut from the question, so that the letter or the text of the right one counts.

    A file that keeps the letter apart (`meta.letter`) decides by it: where the text of that option and the file's own
    answer differ, the option of the question wins, because it is what the model read.
    """
    gold, chosen = problem.meta["gold"], str(problem.meta.get("letter") or "").strip()
    found = cut(problem.question)
    if not chosen and (problem.meta["answer_type"] != "letter" or not isinstance(gold, str)):
        return problem
    if not chosen:
        return _with(problem, gold, choices=found) if found and gold in found else problem
    if chosen not in (found or {}):
        found = {chosen: re.sub(rf"^{chosen}\s*[.．、]\s*", "", str(gold))}
    return _with(problem, chosen, answer_type="letter", choices=found)


def metadata(problem: Problem) -> Problem:
    """OlympiadBench's own metadata: answer type, several answers in any order, the unit, the tolerance that it
    allows."""
    meta, gold = problem.meta, problem.meta["gold"]
    changes: dict[str, Any] = {}
    if kind := meta.get("type"):
        changes["answer_type"] = "multi" if meta.get("multiple") and kind != "Interval" else TYPES.get(kind, "auto")
        if kind == "Interval":  # `t(0,4]`: the variable before its interval
            gold = re.sub(r"^[a-z](?=[(\[])", "", gold)
    if meta.get("error"):
        changes["tolerance"] = _relative(str(meta["error"]), gold)
    return _with(problem, gold, **changes) if changes else problem


def forms(problem: Problem) -> Problem:
    """Two ways of writing one answer, `$A$ 或 $B$`: the first; in a list, `1, 2, 3, 或 6`, the word is only a comma."""

    def mend(gold: str) -> str:
        if found := re.fullmatch(r"\s*(\$[^$]+\$)\s*或\s*\$[^$]+\$\s*[.．。]?\s*", gold):
            return found.group(1)
        return re.sub(r"\s*[,，]\s*或\s*(?=\d)", ", ", gold)

    return _text(problem, mend)


_EVERY = (integral, thousands, delimiters, currency, punctuation, backslash, code, exponent, parts, letter, options)
RULES: dict[str, Callable[[Problem], Problem]] = {rule.__name__: rule for rule in (*_EVERY, metadata, forms)}
"""Every rule by its name."""


def shuffled(problem: Problem, seed: int) -> Problem:
    """The options in a random order, the gold letter moved along. Raises UserError where the options cannot be found."""
    choices = problem.meta.get("choices")
    moved = permute(problem.question, choices, problem.meta["gold"], seed) if choices else None
    if moved is None:
        where = problem.meta.get("where", problem.id)
        raise UserError(f"{where}: no options A., B., … in the question to shuffle; set shuffle=null")
    question, choices, right = moved
    return dataclasses.replace(_with(problem, right, choices=choices, raw=right), question=question)


def _relative(error: str, gold: str) -> float:
    """An absolute error on a gold number, or several of them (`1e-1,2`), as the relative tolerance that grading
    takes."""
    largest = max(float(part) for part in error.split(","))
    number = re.search(r"-?\d+(?:\.\d+)?", gold)
    size = abs(float(number.group())) if number else 0.0
    return min(largest / size, 0.5) if size else 0.0


def _gold(problem: Problem) -> Any:
    """The gold answer as the source has it; numbers as text."""
    gold = problem.meta.get("gold", problem.answer)
    return str(gold) if isinstance(gold, int | float) else gold


def _with(problem: Problem, gold: Any, **meta: Any) -> Problem:
    answer = gold if isinstance(gold, str) else problem.answer
    return dataclasses.replace(problem, answer=answer, meta={**problem.meta, "gold": gold, **meta})


def _text(problem: Problem, mend: Callable[[str], str]) -> Problem:
    gold = problem.meta["gold"]
    return _with(problem, mend(gold)) if isinstance(gold, str) and mend(gold) != gold else problem


def _balanced(text: str) -> bool:
    depth = 0
    for sign in re.sub(r"\\[{}]", "", text):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            return False
    return depth == 0
