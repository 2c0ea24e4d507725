"""What a model is asked for each answer wanted: the first request, and those by which budget forcing has it go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limo import UserError
from limo.engine.completions import Key, key_of
from limo.engine.forcing import Forcing
from limo.engine.protocol import Completion, Request, Sampling
from limo.models import Model, prompt_ids
from limo.models.chat import control_token
from limo.records import Attempt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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
    sampling: Sampling
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


def asks(group: Group, model: Model, tokenizer: PreTrainedTokenizerBase, seed: int) -> list[Ask]:
    """The answers wanted of a group, by question, then by sample. Raises UserError where a question cannot be asked."""
    context, sampling = model.context or 0, group.sampling
    if len({name for name, _ in group.questions}) < len(group.questions):
        raise UserError(f"{group.scope}: two questions have the same id; ids must be unique")
    found = []
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
            found.append(Ask(problem, number, sampling, own, len(prompt), room, request, key, expected))
    return found


def seed_of(seed: int, scope: str, problem: str, sample: int) -> int:
    """The seed of one answer, 31 bits: nothing else enters, so that more samples or questions leave it as it is."""
    text = json.dumps([seed, scope, problem, sample])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def onward(ask: Ask, found: Mapping[Key, Completion], tokenizer: PreTrainedTokenizerBase) -> Ask | None:
    """The request by which a model goes on from what it said, where budget forcing has it do so."""
    forcing, request = ask.sampling.forcing, ask.request
    if forcing is None or request is None:
        return None
    got = found[ask.key]
    cut = got.finish != "stop"
    said = forcing.onward(ask.said + got.text, not cut, ask.rounds)
    if said is None or ask.rounds > forcing.waits or control_token(tokenizer, said):  # no prompt may spell one
        return None
    begun = tokenizer(said, add_special_tokens=False)["input_ids"]
    room = forcing.left(ask.room, len(begun), not cut)
    if room < 1:
        return None
    request = replace(request, prompt=(*request.prompt[: ask.prompt_tokens], *begun), max_tokens=room)
    rounds = forcing.waits + 1 if cut else ask.rounds + 1  # after its conclusion nothing
    return replace(ask, request=request, key=key_of(request), said=said, rounds=rounds, expected=room)


def refuse_unwritable(forcing: Forcing, model: Model, tokenizer: PreTrainedTokenizerBase) -> None:
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


def attempt(ask: Ask, found: Mapping[Key, Completion]) -> Attempt:
    """The whole answer, over all its rounds."""
    got = found[ask.key] if ask.request else Completion(text="", finish="prompt_too_long", tokens=0)
    finish = "context" if got.finish == "length" and ask.room < ask.sampling.max_tokens else got.finish
    before = len(ask.request.prompt) - ask.prompt_tokens if ask.request else 0
    return Attempt(
        ask.problem, ask.sample, ask.seed, ask.said + got.text, finish, ask.prompt_tokens, before + got.tokens
    )
