"""How a row of a table becomes a problem: which column holds what."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from limo import UserError
from limo.config import component
from limo.data.text import boxed, control
from limo.records import Gold, Problem

ROLES = {"human": "user", "gpt": "assistant", "model": "assistant"}
"""Other words for who speaks."""
ANNOTATION = re.compile(r"<<[^<>]*>>")
LONGEST = 2_000_000
"""Characters of a question or a solution: more than the context of any model here holds."""
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


@component
class Columns:
    """Which column of a table holds what.

    A name with a point looks inside: `reward_model.ground_truth` into an object, `messages.user` into a list of turns
    (`role` and `content`, or `from` and `value`): the last turn of `user`, `system`, or of the `assistant` who ends it.
    """

    question: str = "question"
    """Column of the question."""
    answer: str | None = "answer"
    """Column of the answer; null takes the last box of the solution."""
    answer_marker: str | None = None
    """The answer is what follows the last of these marks (GSM8K: `####`), without commas between thousands; the text
    before it is a solution, without its <<…>> annotations. Null takes the whole column."""
    solution: str | None = None
    """Column of the worked solution, or of a list of them; null when there is none."""
    thoughts: str | None = None
    """Column of the reasoning that goes before the solution, or of a list of them, one a solution; null when there is none."""
    id: str | None = None
    """Column of a unique id; null makes one from the question's text, the same wherever the row stands."""
    meta: tuple[str, ...] = ()
    """Columns to carry along (level, subject …)."""
    extra_columns: dict[str, str] = field(default_factory=dict)
    """Further columns that a repair of the gold answer reads: the name it goes by there -> column."""
    box: bool = False
    """Close solutions that have no box with one that holds the answer, as the system prompt asks of a model."""

    def __post_init__(self) -> None:
        if self.answer is None and self.solution is None:
            raise ValueError("answer=null takes the answer from the box of the solution: name its column, solution=…")
        if self.answer_marker is not None and not (self.answer and self.answer_marker):
            raise ValueError("answer_marker needs a mark and the column that holds it, answer=…; null takes the column")

    def problem(self, place: str, row: Mapping[str, Any]) -> Problem:
        """The row as a problem; one without an answer has an empty one. Raises UserError naming the place."""
        question = self._cell(place, row, "question", self.question)
        if question is None or (isinstance(question, str) and not question.strip()):
            raise UserError(f"{place}: column {self.question!r} holds no question; mend or remove the row")
        if not isinstance(question, str):
            raise UserError(f"{place}: {_no_text(self.question, question)}")
        question = question.strip()
        solutions = self._solutions(place, row)
        if held := next(filter(None, map(control, (question, *solutions))), None):
            raise UserError(f"{place}: {held} in its text would be a control token of a chat; mend or remove the row")
        if self.answer is None:
            gold = Gold(next((held for s in solutions if (held := boxed(s))), ""))
        else:
            gold, worked = self._gold(place, row, self.answer)
            solutions = (*worked, *solutions)
        if (length := max(map(len, (question, gold.text, *solutions)))) > LONGEST:
            raise UserError(
                f"{place}: a text of {length:,} characters, which no model reads; mend or remove the row, or leave such out with "
                "bad_rows=drop"
            )
        if self.box:
            answer = (
                gold.value
                if isinstance(gold.value, str)
                else ", ".join([*gold.value.values()] if isinstance(gold.value, dict) else gold.value)
            )
            solutions = tuple(s if boxed(s) is not None else f"{s}\n\\boxed{{{answer}}}" for s in solutions)
        made = hashlib.sha256(question.encode()).hexdigest()[:12]
        name = made if self.id is None else as_text(self._cell(place, row, "id", self.id))
        if not name:
            raise UserError(f"{place}: column {self.id!r} holds no id; fill it, or set id=null")
        meta = {column: as_fact(self._cell(place, row, "meta", column)) for column in self.meta}
        return Problem(name, question, gold, solutions, meta)

    def _gold(self, place: str, row: Mapping[str, Any], column: str) -> tuple[Gold, tuple[str, ...]]:
        """The answer of a row, and the solution that stands before its mark."""
        cell = self._cell(place, row, "answer", column)
        if isinstance(cell, bool | bytes):
            held = named(cell) if isinstance(cell, bytes) else cell
            raise UserError(f"{place}: column {column!r} holds {held}, which is no answer; write it as text")
        if self.answer_marker is None:
            return as_gold(cell), ()
        worked, mark, answer = cell.rpartition(self.answer_marker) if isinstance(cell, str) else ("", "", "")
        if not mark:
            raise UserError(
                f"{place}: column {column!r} has no {self.answer_marker!r} before its answer; mend the row, or set "
                "answer_marker=null where the column is the answer"
            )
        answer, worked = answer.strip(), ANNOTATION.sub("", worked).strip()
        plain = answer.replace(",", "") if THOUSANDS.fullmatch(answer) else answer
        return Gold(plain, published=None if plain == answer else answer), (worked,) if worked else ()

    def _solutions(self, place: str, row: Mapping[str, Any]) -> tuple[str, ...]:
        if self.solution is None:
            return ()
        texts = self._texts(place, row, "solution", self.solution)
        if self.thoughts is not None:
            before = self._texts(place, row, "thoughts", self.thoughts)
            if len(before) != len(texts):
                raise UserError(f"{place}: {len(before)} texts in {self.thoughts!r}, {len(texts)} in {self.solution!r}")
            texts = [f"{thought}\n\n{text}" for thought, text in zip(before, texts, strict=True)]
        return tuple(filter(None, texts))

    def _texts(self, place: str, row: Mapping[str, Any], key: str, column: str) -> list[str]:
        held = self._cell(place, row, key, column)
        every = held if isinstance(held, list | tuple) else [held]
        return [self._text(place, column, one).strip() for one in every if one is not None]

    def _text(self, place: str, column: str, value: object) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return as_text(value)
        raise UserError(f"{place}: {_no_text(column, value)}")

    def _cell(self, place: str, row: Mapping[str, Any], key: str, column: str) -> Any:
        """What stands in a column; `reward_model.ground_truth` is what stands in an object in one."""
        try:
            return cell(row, column)
        except KeyError:
            turns = next((f" (of turns, {key}={name}.user)" for name, held in row.items() if _is_turns(held)), "")
            raise UserError(
                f"{place}: no column {column!r} among {', '.join(map(str, row))}; name the right one with {key}=…{turns}"
            ) from None

    def content(self, row: Mapping[str, Any], index: int) -> list[Any]:
        """All that is read of a row, as it stands: what the digest of a table is made of."""
        name = str(index if self.id is None else cell(row, self.id))
        extra = {k: row[c] for k, c in sorted(self.extra_columns.items()) if c in row}
        further = [cell(row, c) for c in (self.solution, self.thoughts, *self.meta) if c is not None]
        return [
            name,
            cell(row, self.question),
            None if self.answer is None else cell(row, self.answer),
            extra,
            *further,
        ]


def as_gold(value: Any) -> Gold:
    """The answer as a table has it: a text, a number (27.0 is 27), several in any order, or parts by name; empty without one."""
    if isinstance(value, list | tuple | dict) and not value:
        return Gold("")
    if isinstance(value, list | tuple):
        return Gold([as_text(part) for part in value], "multi", published=str(value))
    if isinstance(value, dict):
        return Gold({str(k): as_text(v) for k, v in value.items()}, published=str(value))
    text = as_text(value)
    return Gold(text, published=str(value) if isinstance(value, float) and text not in ("", str(value)) else None)


def as_text(value: Any) -> str:
    """A cell as text: 27.0 is 27, a list or an object is JSON; nothing, and a number that is not finite, is empty."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)).strip()


def as_fact(value: Any) -> Any:
    """A cell as JSON has it: dates and the like as text, a number that is not finite as nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list | tuple):
        return [as_fact(part) for part in value]
    if isinstance(value, dict):
        return {str(key): as_fact(part) for key, part in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def cell(row: Mapping[str, Any], column: str) -> Any:
    """What stands in a column, in an object in it, or in its turns (`Columns`). Raises KeyError."""
    if column in row:
        return row[column]
    outer, _, inner = column.partition(".")
    held = _opened(row[outer])
    if inner and _is_turns(held):
        return _turn(held, inner)
    if not inner or not isinstance(held, Mapping):
        raise KeyError(column)
    return cell(held, inner)


def _opened(held: Any) -> Any:
    """A cell that is looked into; in a CSV an object or a list is JSON text."""
    try:
        return json.loads(held) if isinstance(held, str) and held[:1] in ("[", "{") else held
    except ValueError:
        return held


def _is_turns(held: object) -> bool:
    return isinstance(held, list | tuple) and bool(held) and all(isinstance(t, Mapping) and _role(t) for t in held)


def _role(turn: Mapping[str, Any]) -> str:
    said = turn.get("role") or turn.get("from")
    return ROLES.get(said, said) if isinstance(said, str) else ""


def _turn(turns: list[Mapping[str, Any]], role: str) -> Any:
    """What the last turn of a role says, nothing where there is none; the assistant's is an answer only at the end."""
    if role not in ("system", "user", "assistant"):
        raise KeyError(role)
    heard = [turn for turn in turns if _role(turn) == role] if role != "assistant" else [turns[-1]]
    if not heard or _role(heard[-1]) != role:
        return None
    said = heard[-1].get("content", heard[-1].get("value"))
    if isinstance(said, list | tuple) and all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in said):
        return "\n".join(part["text"] for part in said)
    return said


def named(value: object) -> str:
    """The type of a cell in words."""
    words = {
        bytes: "bytes",
        bool: "true or false",
        int: "a number",
        float: "a number",
        dict: "an object",
        list: "a list",
    }
    return words.get(type(value), type(value).__name__)


def _no_text(column: str, value: object) -> str:
    turns = f", or a turn of it: {column}.user, {column}.assistant" if _is_turns(value) else ""
    return f"column {column!r} holds {named(value)}, which is no text; name a column of texts{turns}"
