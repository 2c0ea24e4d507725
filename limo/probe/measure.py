"""The probing process, `python -m limo.probe.measure <folder>`: draw examples, let the base answer, measure what both cost it."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import transformers

from limo import UserError, records
from limo.engine.sampling import sample
from limo.engine.transformers import load
from limo.evaluation.scoring import table
from limo.grading import grade_all
from limo.grading.stage import case
from limo.models import load_tokenizer
from limo.models.encode import Encoded, encode, encode_all
from limo.models.weights import refuse_other_heads
from limo.probe.losses import score
from limo.records import Attempt, Context, Example, Gold, Losses, OwnAnswers, ProbeSummary, Problem, Solved
from limo.scores.forward import Cost
from limo.stage import main, summarise
from limo.statistics import Table, average, interval, pass_at, powers, ratio, repeats
from limo.training.length import cut_to_length

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limo.probe.stage import ProbeStage

TAILS = 8
"""Examples whose loss is measured at the end of longer contexts."""
SHORTEST = 64
"""Tokens of the shortest context."""
FACTOR = 2
"""The longest context in lengths of the longest example, where the window has so much."""


def probe(stage: ProbeStage, folder: Path) -> None:
    """All measurements of one base. Raises UserError where there are no examples or none fits `max_length`."""
    every = records.read(stage.examples, Example)
    if not every:
        raise UserError(f"{stage.examples}: no examples to probe with; loosen the selection")
    drawn = random.Random(f"{stage.seed}/probe").sample(every, len(every))
    tokenizer = load_tokenizer(stage.model)
    policy = "truncate" if stage.overlong == "error" else stage.overlong
    fitting, long = cut_to_length(
        encode_all(tokenizer, stage.model, drawn, stage.store / "tokens"), stage.max_length, policy
    )  # in the order drawn
    chosen = fitting[: stage.count]
    problems = _problems(drawn, {e.id for e in chosen})
    questions = [(p.id, p.question) for p in problems.values()]
    answers = sample(stage.engine, stage.model, questions, stage.sampling, stage.seed, "probe", stage.store)
    grades = grade_all([case(problems[a.problem], a) for a in answers], stage.rules)
    records.write(folder / "attempts.jsonl", answers)
    records.write(folder / "grades.jsonl", grades)
    own = _answers(tokenizer, stage, problems, answers)

    transformers.utils.logging.disable_progress_bar()
    net = load(stage.model, stage.engine.pick(stage.model).dtype)
    refuse_other_heads(net)
    shape = stage.model.shape()
    window = shape.max_position_embeddings if shape else None
    found = ProbeSummary(
        model=stage.model.path,
        probed=len(chosen),
        selected=len(every),
        overlong=len(long),
        solutions=cost([score(net, e) for e in chosen], max(len(e.tokens) for e in fitting)),
        own=cost([score(net, e) for e in own], max(len(e.tokens) for e in own)) if own else None,
        answers=answered(answers),
        solved=solved(table(list(problems), grades)),
        window=window,
        contexts=tuple(contexts(net, fitting, window or math.inf)),
    )
    summarise(folder, found)


def cost(paid: Sequence[Cost], longest: int) -> Losses:
    """Nats per token over all tokens, the share of tokens that were the first choice with its interval over texts, the median length."""
    tokens = sum(p.tokens for p in paid)
    return Losses(
        loss=sum(p.surprisal for p in paid) / tokens,
        first=sum(p.first for p in paid) / tokens,
        first_interval=ratio([(p.first, p.tokens) for p in paid]),
        tokens=statistics.median(p.tokens for p in paid),
        texts=len(paid),
        longest=longest,
    )


def answered(answers: Sequence[Attempt]) -> OwnAnswers:
    """How long the base's own answers are, and how many never end."""
    return OwnAnswers(
        tokens=statistics.median(a.tokens for a in answers),
        cut=sum(a.finish in ("length", "context") for a in answers) / len(answers),
        circles=sum(repeats(a.text) for a in answers) / len(answers),
    )


def solved(rows: Table) -> Solved:
    """Solve rate with its interval over questions, and pass@k."""
    return Solved(
        questions=len(rows),
        samples=len(rows[0]),
        rate=average(rows),
        interval=interval(rows),
        pass_at={k: pass_at(rows, k) for k in powers(len(rows[0]))},
    )


def contexts(net: PreTrainedModel, encoded: Sequence[Encoded], window: float) -> list[Context]:
    """The loss of the same few solutions, the shortest, at the end of ever longer contexts: before them stand other examples."""
    tails = sorted(encoded, key=lambda e: len(e.tokens))[:TAILS]
    alone = {tail.id: score(net, tail) for tail in tails}
    end = int(min(window, FACTOR * max(len(e.tokens) for e in encoded)))
    lengths = [SHORTEST * 2**i for i in range(max(1, end).bit_length()) if SHORTEST * 2**i < end]
    found = []
    for length in [*lengths, end]:
        pairs = [(score(net, t, before), alone[t.id]) for t in tails if (before := _before(encoded, t, length))]
        if pairs:
            tokens = sum(short.tokens for _, short in pairs)
            there, here = (sum(p.surprisal for p in side) / tokens for side in zip(*pairs, strict=True))
            found.append(Context(length, there, here, len(pairs)))
    return found


def _before(encoded: Sequence[Encoded], tail: Encoded, length: int) -> list[int]:
    """Tokens of other examples that fill a context of `length` up to `tail`; empty where there is no room or not enough text."""
    room = length - len(tail.tokens)
    filled: list[int] = []
    for other in reversed(encoded):
        if len(filled) >= room:
            break
        if other.id != tail.id:
            filled = [*other.tokens, *filled]
    return filled[-room:] if 0 < room <= len(filled) else []


def _problems(examples: Sequence[Example], wanted: set[str]) -> dict[str, Problem]:
    return {e.problem: Problem(e.problem, e.question, Gold(e.answer)) for e in examples if e.id in wanted}


def _answers(
    tokenizer: PreTrainedTokenizerBase, stage: ProbeStage, problems: dict[str, Problem], answers: Sequence[Attempt]
) -> list[Encoded]:
    """The base's answers as training would see them; one that was cut has no end token, an empty one nothing to measure."""
    found = []
    for a in answers:
        if not a.text.strip():
            continue
        asked = Example(f"{a.problem}#{a.sample}", a.problem, problems[a.problem].question, "", a.text, "attempt")
        try:
            one = encode(tokenizer, stage.model, asked)
        except UserError:  # an answer that the template changes or that spells a special token: not what was generated
            continue
        found.append(one if a.finish == "stop" else Encoded(one.id, one.tokens[:-1], one.prompt))
    return [one for one in found if one.supervised]


if __name__ == "__main__":
    main()
