"""Ask a model every question the wanted number of times; what the log of completions has is not asked again."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo import UserError, hardware
from limo.engine import actors
from limo.engine.completions import Completions, Key, Writer, key_of
from limo.engine.decode import dtype, on_ray
from limo.engine.forcing import Forcing
from limo.engine.progress import Progress
from limo.engine.protocol import Completion, Engine, Request, Sampling
from limo.engine.replicas import serve
from limo.models import Model, end_ids, load_tokenizer, prompt_ids
from limo.models.chat import control_token
from limo.records import Attempt
from limo.serial import fingerprint
from limo.store import Store
from limo.store import key_of as store_key

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that are asked in the same way, a benchmark for example."""

    scope: str
    """Enters every seed: the same question in two benchmarks gets different random numbers."""
    questions: Sequence[tuple[str, str]]
    """Id and text of each, ids unique."""
    sampling: Sampling
    expected: float | None = None
    """Tokens of an answer, as far as known; the longest begin first. None expects max_tokens."""
    foreign: bool = False
    """They hold what a model wrote: one that spells a control token is not asked, instead of ending the work."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One answer wanted: which, and the request for it; None where its prompt leaves no room or spells a control token."""

    problem: str
    sample: int
    seed: int
    prompt_tokens: int
    room: int
    """Most tokens of the answer, by its sampling and the model's context."""
    request: Request | None
    key: Key
    expected: float
    said: str = ""
    """What stands of the answer in the prompt already."""
    rounds: int = 0
    """How often the model was made to go on."""


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
        _refuse_unwritable(forcing, model, tokenizer)
    asks = [_asks(group, model, tokenizer, seed) for group in groups]
    digest = Store(store).digest
    about = {
        "model": model.fingerprint(digest)["weights"],
        "engine": fingerprint(engine, digest) | {"dtype": dtype(engine.dtype, model)},
        "ends": end_ids(tokenizer, model),
    }
    completions = Completions(store / "completions" / f"{store_key(about)}.jsonl")
    found: dict[Key, Completion] = {}
    turn = [ask for part in asks for ask in part]
    while turn:
        found |= _complete(engine, model, {ask.key: ask for ask in turn if ask.request}, completions, about)
        turn = []
        forced = ((group.sampling.forcing, part) for group, part in zip(groups, asks, strict=True))
        for forcing, part in ((forcing, part) for forcing, part in forced if forcing):
            for place, ask in enumerate(part):
                if ask.request and (more := _onward(ask, ask.request, found[ask.key], forcing, tokenizer)):
                    part[place] = more
                    turn.append(more)
    pairs = zip(groups, asks, strict=True)
    return [[_attempt(ask, found, group.sampling.max_tokens) for ask in part] for group, part in pairs]


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


def _refuse_unwritable(forcing: Forcing, model: Model, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises UserError where the words of budget forcing are lost on the model."""
    words = {
        "wait": forcing.wait if forcing.waits else "",
        "conclusion": forcing.conclusion if forcing.thinking else "",
    }
    for key, text in words.items():
        read = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"])
        if "".join(read.split()) != "".join(text.split()):
            raise UserError(
                f"forcing.{key}={text!r}: the tokenizer of {model.path} cannot write it; choose words that it knows"
            )


def _onward(
    ask: Ask, request: Request, got: Completion, forcing: Forcing, tokenizer: PreTrainedTokenizerBase
) -> Ask | None:
    """The request by which a model goes on from what it said, where budget forcing has it do so."""
    cut = got.finish != "stop"
    said = forcing.onward(ask.said + got.text, not cut, ask.rounds)
    if said is None or ask.rounds > forcing.waits or control_token(tokenizer, said):  # no prompt may spell one
        return None
    begun = tokenizer(said, add_special_tokens=False)["input_ids"]
    room = forcing.left(ask.room, len(begun), not cut)
    if room < 1:
        return None
    onward = replace(request, prompt=(*request.prompt[: ask.prompt_tokens], *begun), max_tokens=room)
    rounds = forcing.waits + 1 if cut else ask.rounds + 1  # after its conclusion nothing
    return replace(ask, request=onward, key=key_of(onward), said=said, rounds=rounds, expected=room)


def seed_of(seed: int, scope: str, problem: str, sample: int) -> int:
    """The seed of one answer, 31 bits: nothing else enters, so that more samples or questions leave it as it is."""
    text = json.dumps([seed, scope, problem, sample])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def _asks(group: Group, model: Model, tokenizer: PreTrainedTokenizerBase, seed: int) -> list[Ask]:
    context, sampling = model.context or 0, group.sampling
    if len({name for name, _ in group.questions}) < len(group.questions):
        raise UserError(f"{group.scope}: two questions have the same id; ids must be unique")
    asks = []
    for problem, question in group.questions:
        try:
            prompt = tuple(prompt_ids(tokenizer, model, question))
            room = max(0, min(sampling.max_tokens, context - len(prompt)))
        except UserError as fault:
            if not group.foreign:
                raise UserError(f"{group.scope}, question {problem}: {fault}") from None
            prompt, room = (), 0
        limit = sampling.forcing.limit(room) if sampling.forcing else room
        expected = min(group.expected or sampling.max_tokens, limit)
        for number in range(sampling.samples):
            own = seed_of(seed, group.scope, problem, number)
            request = (
                Request(prompt, own, sampling.temperature, sampling.top_p, sampling.top_k, limit) if limit > 0 else None
            )
            key = key_of(request) if request else ("", 0)
            asks.append(Ask(problem, number, own, len(prompt), room, request, key, expected))
    return asks


def _generate(engine: Engine, model: Model, asks: list[Ask], writer: Writer, known: int) -> dict[Key, Completion]:
    asks = sorted(asks, key=lambda ask: (-ask.expected, -ask.prompt_tokens))
    requests = [ask.request for ask in asks if ask.request is not None]
    longest = max(len(request.prompt) + request.max_tokens for request in requests)
    found: dict[Key, Completion] = {}
    started = time.monotonic()
    log.info(f"{len(asks)} answers to generate, {known} known; engine {type(engine).__name__.lower()}")
    with Progress(known, len(asks), max(request.max_tokens for request in requests)) as progress:
        # closed at once when the disk fails, not when the exception is forgotten
        logs = writer.path.with_suffix("")
        with closing(
            actors.serve(engine, model, requests, longest, progress.more)
            if on_ray(engine)
            else serve(engine, model, requests, longest, logs, progress.more)
        ) as answers:
            for number, completion in answers:
                writer.append(asks[number].key, completion)
                found[asks[number].key] = completion
                progress.answered(completion.tokens)
    seconds = time.monotonic() - started
    log.info(f"{len(found)} answers, {progress.tokens} tokens in {seconds:.1f} s with the start of the engine")
    return found


def _attempt(ask: Ask, found: dict[Key, Completion], max_tokens: int) -> Attempt:
    got = found[ask.key] if ask.request else Completion(text="", finish="prompt_too_long", tokens=0)
    finish = "context" if got.finish == "length" and ask.room < max_tokens else got.finish
    before = len(ask.request.prompt) - ask.prompt_tokens if ask.request else 0
    return Attempt(
        ask.problem, ask.sample, ask.seed, ask.said + got.text, finish, ask.prompt_tokens, before + got.tokens
    )
