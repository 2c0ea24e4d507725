"""Ask a model every question the wanted number of times; what the log of completions has is not asked again."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from limo import UserError, hardware
from limo.engine import actors
from limo.engine.asking import Ask, Group, asks, attempt, onward, refuse_unwritable
from limo.engine.completions import Completions, Key, Writer
from limo.engine.decode import dtype, on_ray
from limo.engine.progress import Progress
from limo.engine.protocol import Completion, Engine, Sampling
from limo.engine.replicas import serve
from limo.models import Model, end_ids, load_tokenizer
from limo.records import Attempt
from limo.serial import fingerprint
from limo.store import Store, key_of

log = logging.getLogger(__name__)


def sample(
    engine: Engine,
    model: Model,
    questions: Sequence[tuple[str, str]],
    sampling: Sampling,
    seed: int,
    scope: str,
    store: Path,
    expected: float | None = None,
    foreign: bool = False,
) -> list[Attempt]:
    """The attempts at (id, text) questions, by question in the order given, then by sample."""
    return sample_all(engine, model, [Group(scope, questions, sampling, expected, foreign)], seed, store)[0]


def sample_all(engine: Engine, model: Model, groups: Sequence[Group], seed: int, store: Path) -> list[list[Attempt]]:
    """The attempts of several groups, in their order, from one start of the engine, and one more for each round of budget forcing.

    Whatever happens on the way, finished answers are in `<store>/completions/` and the same call goes on from there.
    Raises UserError where the engine or the disk fails, and where an answer asked for is not there at the end.
    """
    longest = max((group.sampling.longest(model) for group in groups), default=None)
    if lacks := engine.missing(model, longest):
        raise UserError(lacks[0])
    engine = engine.pick(model, longest)
    tokenizer = load_tokenizer(model)
    for forcing in (group.sampling.forcing for group in groups if group.sampling.forcing):
        refuse_unwritable(forcing, model, tokenizer)
    wanted = [asks(group, model, tokenizer, seed) for group in groups]
    digest = Store(store).digest
    about = {
        "model": model.fingerprint(digest)["weights"],
        "engine": fingerprint(engine, digest) | {"dtype": dtype(engine.dtype, model)},
        "ends": end_ids(tokenizer, model),
    }
    completions = Completions(store / "completions" / f"{key_of(about)}.jsonl")
    found: dict[Key, Completion] = {}
    turn = [ask for part in wanted for ask in part]
    while turn:
        found |= _complete(engine, model, {ask.key: ask for ask in turn if ask.request}, completions, about)
        turn = []
        for part in wanted:
            for place, ask in enumerate(part):
                if more := onward(ask, found, tokenizer):
                    part[place] = more
                    turn.append(more)
    return [[attempt(ask, found) for ask in part] for part in wanted]


def _complete(
    engine: Engine, model: Model, wanted: dict[Key, Ask], completions: Completions, about: dict[str, Any]
) -> dict[Key, Completion]:
    """The completions of requests, from the log or from one start of the engine."""
    found = completions.find(set(wanted))
    if len(found) < len(wanted):
        about = about | {"path": model.path, "hardware": hardware.describe(), "versions": hardware.versions()}
        with completions.writing(about, f"another run is asking {model.path}; waiting for its answers") as writer:
            found = completions.find(set(wanted))
            missing = [ask for key, ask in wanted.items() if key not in found]
            if completions.damaged:
                log.warning(f"{completions.path}: {completions.damaged} damaged answer(s) in it are generated anew")
            if missing:
                found |= _generate(engine, model, missing, writer, len(found))
    if lost := len(wanted) - len(found):
        raise UserError(
            f"{completions.path}: {lost} of {len(wanted)} answers are not there; run again to generate them"
        )
    return found


def _generate(engine: Engine, model: Model, missing: list[Ask], writer: Writer, known: int) -> dict[Key, Completion]:
    order = sorted(missing, key=lambda ask: (-ask.expected, -ask.prompt_tokens))
    requests = [ask.request for ask in order if ask.request is not None]
    longest = max(len(request.prompt) + request.max_tokens for request in requests)
    found: dict[Key, Completion] = {}
    started = time.monotonic()
    log.info(f"{len(order)} answers to generate, {known} known; engine {type(engine).__name__.lower()}")
    with Progress(known, len(order), max(request.max_tokens for request in requests)) as progress:
        # closed at once when the disk fails, not when the exception is forgotten
        logs = writer.path.with_suffix("")
        with closing(
            actors.serve(engine, model, requests, longest, progress.more)
            if on_ray(engine)
            else serve(engine, model, requests, longest, logs, progress.more)
        ) as answers:
            for number, completion in answers:
                writer.append(order[number].key, completion)
                found[order[number].key] = completion
                progress.answered(completion.tokens)
    seconds = time.monotonic() - started
    log.info(f"{len(found)} answers, {progress.tokens} tokens in {seconds:.1f} s with the start of the engine")
    return found
