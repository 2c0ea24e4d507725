"""How many examples and tokens a run will have: counted where the data are here, else assumed, and it says which."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo import Mistake
from limo.config import Config
from limo.models import Model

PUBLISHED = {"GAIR/LIMO": 817, "GAIR/LIMO-v2": 800}
"""Rows of data sets that are no longer than their name (the papers' counts)."""
TRACE = 10_000
"""Tokens of a long chain of thought where none can be counted. A replication found 32 % of LIMO-v2's above 16,384."""
CHARACTERS = 3.0
"""Characters per token of mathematics in English where no tokenizer is here."""
REASONER, DIRECT = 5_300, 800
"""Tokens of an answer: of a model tuned on long solutions (LIMO's first paper, Table 4, level 5: 5,290), of one that is not."""
PROMPT = 150
"""Tokens of a question with its system prompt."""
SAMPLE = 32
"""Texts that are tokenized to learn how many characters a token has."""
LARGEST = 64 * 2**20
"""Bytes of a data file that the plan still reads."""


@dataclass(frozen=True)
class Amounts:
    """What goes through the model in training."""

    problems: int | None
    examples: int | None
    """None where it cannot be known before the stages before it have run."""
    length: float
    """Mean tokens of an example, prompt included, cut or dropped as the training will."""
    longest: int | None
    """Tokens; None where it was not counted."""
    overlong: float | None
    """Share of examples longer than `training.max_length`, where it was counted."""
    source: str
    """Where these numbers come from, in words."""


def amounts(config: Config, found: Mapping[str, Path | None]) -> Amounts:
    """From the selection in the store, else the problems in the store, else a local file, else what is known of the data set."""
    limit = config.training.max_length if config.training else 32768
    size = getattr(config.selection, "size", None)
    for step, file, text in (("selection", "examples.jsonl", "solution"), ("data", "problems.jsonl", "solutions")):
        if place := found.get(step):
            rows = _rows(place / file)
            texts = [t for row in rows if (t := _text(row, text))]
            whole = len(rows) if step == "data" else None
            return _counted(texts, whole, size, limit, config.model, f"counted in {place.parent.name}/{place.name}/{file}")
    if (path := getattr(config.data, "path", None)) and (problems := _problems(config.data, path)) is not None:
        texts = [p.solutions[0] for p in problems if p.solutions]
        return _counted(texts, len(problems), size, limit, config.model, f"counted in {path}")
    rows_known = PUBLISHED.get(str(getattr(config.data, "repo", ""))) or getattr(config.data, "size", None)
    rows_known = min(filter(None, (rows_known, getattr(config.data, "limit", None))), default=None)
    examples = min(filter(None, (size, rows_known)), default=None)
    where = "as published, not counted here" if rows_known else "not known before the data are read"
    length = float(min(TRACE, limit))
    return Amounts(rows_known, examples, length, None, None, f"examples {where}; {length:,.0f} tokens each assumed")


def questions(benchmark: Any) -> int | None:
    """How many questions a benchmark has, without reading it."""
    rows = getattr(benchmark.source, "rows", None)
    known = rows if isinstance(rows, int) else getattr(benchmark.source, "size", None)
    return min(filter(None, (known, benchmark.limit)), default=None)


def _counted(texts: Sequence[str], whole: int | None, size: int | None, limit: int, model: Model, source: str) -> Amounts:
    examples = min(filter(None, (size, len(texts))), default=0) or None
    if not texts:
        return Amounts(whole, size, float(min(TRACE, limit)), None, None, f"{source}, without solutions: {TRACE:,} tokens each assumed")
    ratio, how = _ratio(texts, model)
    lengths = [len(t) / ratio + PROMPT for t in texts]
    over = sum(n > limit for n in lengths) / len(lengths)
    mean = sum(min(n, limit) for n in lengths) / len(lengths)
    return Amounts(whole, examples, mean, int(max(lengths)), over, f"{source}; {how}")


def _ratio(texts: Sequence[str], model: Model) -> tuple[float, str]:
    """Characters per token, measured on a sample where the tokenizer is here."""
    folder = model.local if model else None
    if folder is None or not (folder / "tokenizer.json").is_file():
        return CHARACTERS, f"{CHARACTERS:g} characters per token assumed"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    some = random.Random(0).sample(list(texts), min(SAMPLE, len(texts)))
    ids = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in some)
    ratio = sum(map(len, some)) / max(1, ids)
    return ratio, f"{ratio:.2f} characters per token, measured on {len(some)} of them"


def _problems(data: Any, path: Any) -> list[Any] | None:
    files = [Path(p).expanduser() for p in (path if isinstance(path, list | tuple) else [path])]
    if not all(f.is_file() for f in files) or sum(f.stat().st_size for f in files) > LARGEST:
        return None
    try:
        problems: list[Any] = data.problems()
    except Mistake:
        return None  # the run itself will say what is wrong with it
    return problems


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as handle:
        return [json.loads(line) for line in handle if line.strip()]


def _text(row: dict[str, Any], key: str) -> str | None:
    value = row.get(key)
    return value if isinstance(value, str) else value[0] if value else None
