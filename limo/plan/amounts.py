"""How many examples and tokens a run will have: counted where the data are here, else assumed, and it says which."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limo import UserError
from limo.config import Config
from limo.data import Data, Table, known
from limo.evaluation import Benchmark
from limo.models import Model
from limo.records import Example, Problem, read

TRACE = 10_000
"""Tokens of a long chain of thought where none can be counted. A replication found 32 % of LIMO-v2's above 16,384."""
CHARACTERS = 3.0
"""Characters per token of mathematics in English where no tokenizer is here."""
REASONER, DIRECT = 5_300, 800
"""Tokens of an answer: of a model tuned on long solutions (LIMO's first paper, Table 4, level 5: 5,290), of one that
is not.
"""
PROMPT = 150
"""Tokens of a question with its system prompt, where none can be counted."""
TEMPLATE = 10
"""Tokens that a chat template adds around question and answer."""
SAMPLE = 32
"""Texts that are tokenized to learn how many characters a token has."""
LARGEST = 64 * 2**20
"""Bytes of a data file that the plan still reads."""

SPREAD = 0.6
"""Standard deviation of the logarithm of a length, where none can be counted."""
MANY = 4096
"""Lengths that a plan lays out."""
MADE = 10_000
"""Problems up to which a pool that is made, not read, is made for counting."""


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
    lengths: tuple[int, ...]
    """Tokens of some examples, MANY at most: counted, or drawn around the mean as long solutions are spread."""


def amounts(config: Config, found: Mapping[str, Path | None]) -> Amounts:
    """From the selection in the store, else the problems in the store, else data that are here, else what is known."""
    if place := found.get("selection"):
        texts = [row.question + row.solution for row in read(place / "examples.jsonl", Example)]
        return _counted(config, texts, None, f"selection/{place.name}/examples.jsonl")
    if place := found.get("data"):
        pool = read(place / "problems.jsonl", Problem)
        return _counted(config, _texts(pool), len(pool), f"data/{place.name}/problems.jsonl")
    if (problems := _problems(config.data)) is not None:
        where = (
            ", ".join(map(str, config.data.files)) if isinstance(config.data, Table) else "the pool, before selection"
        )
        return _counted(config, _texts(problems), len(problems), where)
    count = known(config.data)
    length = float(min(TRACE, _limit(config)))
    examples = min(filter(None, (_size(config, length), count)), default=None)
    where = "examples as published" if count else "number of examples not known before the data are read"
    source = f"{where}, about {length:,.0f} tokens each"
    return Amounts(count, examples, length, None, None, source, _drawn(length, examples, _limit(config)))


def questions(benchmark: Benchmark) -> int | None:
    """How many questions a benchmark has, without reading it."""
    return min(filter(None, (known(benchmark.source), benchmark.limit)), default=None)


def _counted(config: Config, texts: Sequence[str], problems: int | None, where: str) -> Amounts:
    """From the texts (question and solution) of every example, or of every problem where none are selected yet."""
    limit = _limit(config)
    if not texts:
        length = float(min(TRACE, limit))
        size = _size(config, length)
        source = f"counted in {where}, without solutions: about {length:,.0f} tokens each"
        return Amounts(problems, size, length, None, None, source, _drawn(length, size or problems, limit))
    ratio, how = _ratio(texts, config.model)
    before = len(config.model.system or "" if config.model else "") / ratio + TEMPLATE
    lengths = [before + len(text) / ratio for text in texts]
    over = sum(n > limit for n in lengths) / len(lengths)
    mean = sum(min(n, limit) for n in lengths) / len(lengths)
    examples = min(_size(config, mean) or len(texts), len(texts))
    source = f"counted in {where}, {mean:,.0f} tokens each; {how}"
    some = tuple(int(min(n, limit)) for n in random.Random(0).sample(lengths, min(examples, MANY)))
    return Amounts(problems, examples, mean, int(max(lengths)), over, source, some)


def _drawn(mean: float, count: int | None, limit: int) -> tuple[int, ...]:
    """Lengths whose mean is the one given before the longest are cut."""
    draw, middle = random.Random(0), math.log(mean) - SPREAD**2 / 2
    return tuple(min(limit, max(2, int(draw.lognormvariate(middle, SPREAD)))) for _ in range(min(count or 0, MANY)))


def _size(config: Config, mean: float) -> int | None:
    """Examples that are asked for, where they have so many tokens each."""
    if not config.selection:
        return None
    budget = config.selection.budget
    held = max(1, round(budget.most / mean)) if budget and budget.unit == "tokens" else None
    return min(filter(None, (config.selection.size, held)), default=None)


def _limit(config: Config) -> int:
    return int(config.training.max_length) if config.training else 32768


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
    return ratio, f"{ratio:.2f} characters per token, measured on {len(some)}"


def _problems(data: Data) -> list[Problem] | None:
    """Every problem, where reading them takes a moment and no network: small local files, or what is made on the spot."""
    if isinstance(data, Table):
        here = bool(data.files) and not data.missing() and sum(f.stat().st_size for f in data.files) <= LARGEST
    else:
        count = known(data)
        here = count is not None and count <= MADE
    if not here:
        return None
    try:
        return data.problems()
    except UserError:
        return None  # the run itself will say what is wrong with it


def _texts(pool: Sequence[Problem]) -> list[str]:
    """Question and first solution of the problems that have one."""
    return [problem.question + problem.solutions[0] for problem in pool if problem.solutions]
