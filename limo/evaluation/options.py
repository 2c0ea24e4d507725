"""The options of a multiple choice question: found in its text, put in another order."""

from __future__ import annotations

import hashlib
import random
import re

LETTERS = "ABCDEFGHIJ"
LABELS = (
    (re.compile(r"(?m)^([A-J])\. "), 2),
    (re.compile(r"[(（]\s*([A-J])\s*[)）]\s*"), 4),
    (re.compile(r"(?:(?<![A-Za-z\\^_{])|(?<=\\n))([A-J])\s*[.．、]\s*"), 3),
)
"""How options are labelled: `A. ` at the start of a line, `（A）`, `A.`; and how many in order make it no coincidence."""
INSTRUCTION = re.compile(r"\\boxed|\b(answer|choice|letter|option)\b|答案|选项", re.IGNORECASE)
"""What a paragraph after the options says that tells how to answer."""


def cut(question: str) -> dict[str, str] | None:
    """The options A., B., C., … written at the end of a question, letter -> text; None where they cannot be told
    apart."""
    spans = _labels(question)
    if spans is None:
        return None
    ends = [start for start, _ in spans[1:]] + [_end(question, spans[-1][1])]
    texts = [re.sub(r"(\s|\\n|\\\\)+$", "", question[stop:end]) for (_, stop), end in zip(spans, ends, strict=True)]
    return dict(zip(LETTERS, texts, strict=False)) if all(texts) else None


def permute(question: str, choices: dict[str, str], gold: str, seed: int) -> tuple[str, dict[str, str], str] | None:
    """Question, options and right letter with the options in an order drawn from `seed` and the question itself.

    LIMO's GPQA file has the right option first in all 198 questions. None where the question does not show its options.
    """
    spans = _labels(question)
    if spans is None or len(spans) != len(choices):
        return None
    letters, last = list(choices), len(spans) - 1
    rng = random.Random(hashlib.sha256(f"{seed}\0{question}".encode()).hexdigest())
    order = rng.sample(letters, len(letters))
    shuffled = {new: choices[old] for new, old in zip(letters, order, strict=True)}
    pieces = [question[: spans[0][0]]]
    for i, (letter, (start, stop)) in enumerate(zip(letters, spans, strict=True)):
        end = spans[i + 1][0] if i < last else _end(question, stop)
        pieces.append(question[start:stop] + shuffled[letter] + question[stop + len(choices[letter]) : end])
    pieces.append(question[_end(question, spans[-1][1]) :])
    return "".join(pieces), shuffled, letters[order.index(gold)]


def _labels(question: str) -> list[tuple[int, int]] | None:
    """Where each option's label starts and its text begins: the last A., B., C., … in order; a label may lack its
    full stop."""
    for pattern, least in LABELS:
        found = list(pattern.finditer(question))
        letters = "".join(m.group(1) for m in found)
        run = found[letters.rfind("A") :] if "A" in letters else []
        if len(run) >= least and LETTERS.startswith(letters[-len(run) :]):
            return [m.span() for m in run]
    lenient = re.search(
        r"(?s).*[\s(（](A[.．、]?\s)(?:.+?)\s(B[.．、]?\s)(?:.+?)\s(C[.．、]?\s)(?:.+?)\s(D[.．、]\s?)(?:.+)$", question
    )
    return [lenient.span(i) for i in (1, 2, 3, 4)] if lenient else None


def _end(question: str, start: int) -> int:
    """Where the last option ends: before a last paragraph that says how to answer, else with the question."""
    found = re.search(r"\n\s*\n(?=(?:(?!\n\s*\n).)*$)", question[start:], re.DOTALL)
    if found and INSTRUCTION.search(question, start + found.end()):
        return start + found.start()
    return len(question)
