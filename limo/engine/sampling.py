"""Ask a model every question the wanted number of times; what the log of completions has is not asked again."""

from __future__ import annotations

import hashlib
import json
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limo import UserError, hardware
from limo.engine import actors
from limo.engine.completions import Completions, Key, Writer, key_of
from limo.engine.decode import dtype, on_ray
from limo.engine.protocol import Completion, Engine, Request, Sampling
from limo.engine.replicas import serve
from limo.models import Model, end_ids, load_tokenizer, prompt_ids
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
    request: Request | None
    key: Key
    expected: float


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
    """The attempts of several groups, in their order, from one start of the engine.

    Whatever happens on the way, finished answers are in `<store>/completions/` and the same call goes on from there.
    Raises UserError where the engine or the disk fails, and where an answer asked for is not there at the end.
    """
    longest = max((group.sampling.longest(model) for group in groups), default=None)
    if lacks := engine.missing(model, longest):
        raise UserError(lacks[0])
    engine = engine.pick(model, longest)
    tokenizer = load_tokenizer(model)
    asks = [_asks(group, model, tokenizer, seed) for group in groups]
    wanted = {ask.key: ask for part in asks for ask in part if ask.request is not None}
    digest = Store(store).digest
    about = {
        "model": model.fingerprint(digest)["weights"],
        "engine": fingerprint(engine, digest) | {"dtype": dtype(engine.dtype, model)},
        "ends": end_ids(tokenizer, model),
    }
    completions = Completions(store / "completions" / f"{store_key(about)}.jsonl")
    found = completions.find(set(wanted))
    if len(found) < len(wanted):
        about |= {"path": model.path, "hardware": hardware.describe(), "versions": hardware.versions()}
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
    pairs = zip(groups, asks, strict=True)
    return [[_attempt(ask, found, group.sampling.max_tokens) for ask in part] for group, part in pairs]


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
            room = min(sampling.max_tokens, context - len(prompt))
        except UserError as fault:
            if not group.foreign:
                raise UserError(f"{group.scope}, question {problem}: {fault}") from None
            prompt, room = (), 0
        expected = min(group.expected or sampling.max_tokens, room)
        for number in range(sampling.samples):
            own = seed_of(seed, group.scope, problem, number)
            request = (
                Request(prompt, own, sampling.temperature, sampling.top_p, sampling.top_k, room) if room > 0 else None
            )
            key = key_of(request) if request else ("", 0)
            asks.append(Ask(problem, number, own, len(prompt), request, key, expected))
    return asks


def _generate(engine: Engine, model: Model, asks: list[Ask], writer: Writer, known: int) -> dict[Key, Completion]:
    from tqdm import tqdm

    asks = sorted(asks, key=lambda ask: (-ask.expected, -ask.prompt_tokens))
    requests = [ask.request for ask in asks if ask.request is not None]
    longest = max(len(request.prompt) + request.max_tokens for request in requests)
    found: dict[Key, Completion] = {}
    started = begun = time.monotonic()
    tokens = 0
    log.info(f"{len(asks)} answers to generate, {known} known; engine {type(engine).__name__.lower()}")
    often = {"mininterval": 0.5 if sys.stderr.isatty() else 15, "maxinterval": 60}
    with tqdm(total=len(asks) + known, initial=known, unit="answer", desc="generating", **often) as bar:

        def on_tokens(more: int) -> None:
            nonlocal tokens, begun
            if not tokens:  # loading the weights is not counted in the speed
                begun = time.monotonic() - 1
            tokens += more
            bar.set_postfix_str(f"{tokens / (time.monotonic() - begun):.0f} tokens/s", refresh=False)
            bar.update(0)

        # closed at once when the disk fails, not when the exception is forgotten
        logs = writer.path.with_suffix("")
        with closing(
            actors.serve(engine, model, requests, longest, on_tokens)
            if on_ray(engine)
            else serve(engine, model, requests, longest, logs, on_tokens)
        ) as answers:
            for number, completion in answers:
                writer.append(asks[number].key, completion)
                found[asks[number].key] = completion
                bar.update()
    seconds = time.monotonic() - started
    log.info(f"{len(found)} answers, {tokens} tokens in {seconds:.1f} s with the start of the engine")
    return found


def _attempt(ask: Ask, found: dict[Key, Completion], max_tokens: int) -> Attempt:
    got = found[ask.key] if ask.request else Completion(text="", finish="prompt_too_long", tokens=0)
    by_context = got.finish == "length" and ask.request is not None and ask.request.max_tokens < max_tokens
    finish = "context" if by_context else got.finish
    return Attempt(ask.problem, ask.sample, ask.seed, got.text, finish, ask.prompt_tokens, got.tokens)
