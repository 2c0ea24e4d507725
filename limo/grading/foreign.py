"""Answers as other harnesses write them: a row of a JSONL file as cases to grade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limo import UserError
from limo.grading.rules import TYPES, Case
from limo.records import Grade

GOLD = "gold gold_answer ground_truth groundtruth gt gts target reference reference_answer expected_answer label answer"
"""Names of the field that holds the right answer; the first one that a row has counts."""
RESPONSE = (
    "response responses completion completions generation generated_text generated_responses model_output output outputs resps code text "
    "prediction predicted_answer pred generated_answers model_answer"
)
"""Names of the field that holds what the model wrote, whole text before extracted answer."""
IDENTITY = "id idx doc_id question_id problem_id unique_id index"
QUESTION = "question problem prompt input"
"""Names of the field that holds the question; only a judge reads it."""
FINISH = "finish finish_reason stop_reason"
CUT = ("length", "max_tokens", "model_length", "max_length")


@dataclass(frozen=True, slots=True)
class Submitted:
    """One answer of a file, and what its row says beside it."""

    case: Case
    id: object = None
    """As the file has it."""
    sample: int | None = None
    """Its place among the answers of its row; None where it is the only one."""
    question: str = ""
    expected: bool | None = None
    """Whether it is right, where that is known."""
    kind: str = ""
    """By which name it is counted beside others."""

    def line(self, grade: Grade) -> dict[str, object]:
        """What is written about it."""
        whose = {"id": self.id} | ({} if self.sample is None else {"sample": self.sample})
        return whose | {"answer": grade.answer, "verdict": grade.verdict, "correct": grade.correct, "rule": grade.rule}


def read_row(row: dict[str, Any], where: str, field: str | None = None) -> list[Submitted]:
    """The answers of a row, one for each of its responses; `field` names the field that holds them.

    Raises UserError naming file and line.
    """
    name = _first(row, GOLD)
    if name is None or row[name] is None:
        raise UserError(f"{where}: no gold answer; give one of {listed(GOLD)}")
    gold = row[name]
    held, texts = _texts(row, name, where, field)
    expected = row.get("expected")
    if expected is not None and expected not in (True, False):
        raise UserError(f"{where}: expected is {expected!r}; give true or false, or leave it out")
    kind, choices, finishes = _type(row, where), _choices(row.get("choices")), _finishes(row, held, len(texts))
    answers = []
    for sample, (text, finish) in enumerate(zip(texts, finishes, strict=True)):
        answers.append(
            Submitted(
                Case(gold=gold, response=text, answer_type=kind, finish=finish, choices=choices),
                id=_value(row, IDENTITY),
                sample=sample if len(texts) > 1 else None,
                question=str(_value(row, QUESTION) or ""),
                expected=None if expected is None else bool(expected),
                kind=str(row.get("policy") or row.get("kind") or row.get("benchmark") or ""),
            )
        )
    return answers


def responses(value: Any) -> list[str] | None:
    """The texts in a field: a string, a number, a list of samples, a chat or a completion object; None if there is no text."""
    if value is None:
        return [""]
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, dict):
        inner = _first(value, "completion content text message response")
        return None if inner is None else responses(value[inner])
    if isinstance(value, list) and value:
        if all(isinstance(turn, dict) and "role" in turn for turn in value):
            return responses(value[-1])
        texts = [responses(item) for item in value]
        return None if any(text is None for text in texts) else [text for found in texts for text in found or []]
    return None


def listed(names: str) -> str:
    """Names of fields as a sentence has them."""
    return ", ".join(names.split())


def _texts(row: dict[str, Any], gold: str, where: str, field: str | None) -> tuple[Any, list[str]]:
    """What the field of the responses holds, and the texts in it."""
    name = field or _first({k: v for k, v in row.items() if k != gold}, RESPONSE)
    if name is None:
        raise UserError(f"{where}: no response; give one of {listed(RESPONSE)}, or name another by --field")
    if name not in row:
        raise UserError(f"{where}: no {field}; --field names a field that every row has")
    texts = responses(row[name])
    if texts is None:
        raise UserError(f"{where}: {name} holds no text; give what the model wrote, or name another field by --field")
    return row[name], texts


def _type(row: dict[str, Any], where: str) -> str:
    kind = row.get("answer_type") or "auto"
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise UserError(f"{where}: answer_type is {kind!r}; give one of {', '.join(TYPES)}, or leave it out")
    return kind.lower()


def _choices(given: Any) -> dict[str, str] | None:
    """Options by letter; a list of them is lettered."""
    if isinstance(given, list):
        given = {chr(65 + i): text for i, text in enumerate(given)}
    return {str(k): str(v) for k, v in given.items()} if isinstance(given, dict) and given else None


def _finishes(row: dict[str, Any], held: Any, count: int) -> list[str]:
    """Why the model stopped, for each of the answers, as the row or the answers themselves tell."""
    given = _value(row, FINISH)
    if given is None and isinstance(held, list) and all(isinstance(item, dict) for item in held):
        given = [_value(item, FINISH) for item in held]
    reasons = [*given, *[given] * count][:count] if isinstance(given, list) else [given] * count
    return ["length" if reason in CUT else "stop" for reason in reasons]


def _value(row: dict[str, Any], names: str) -> Any:
    name = _first(row, names)
    return None if name is None else row[name]


def _first(row: dict[str, Any], names: str) -> str | None:
    return next((name for name in names.split() if name in row), None)
