"""From an example to token ids: the chat template rendered once, the prompt known apart from the answer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limo import UserError
from limo.models.chat import answer_ids, prompt_ids
from limo.models.model import Model
from limo.records import Example, replacing
from limo.store import content_digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

FORMAT = 3
"""Raised when the same example would become other ids: part of the key of cached ids."""

FILES = (
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "merges.txt"),
    *("added_tokens.json", "special_tokens_map.json"),
)
"""What a tokenizer is made of, in a model's folder."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as the model sees it."""

    id: str
    tokens: tuple[int, ...]
    """Prompt, answer, end-of-turn token."""
    prompt: int
    """How many of them are prompt: position `prompt` is the first that has loss."""

    @property
    def supervised(self) -> int:
        """Tokens with loss: the answer and the token that ends the turn."""
        return len(self.tokens) - self.prompt


def encode(tokenizer: PreTrainedTokenizerBase, model: Model, example: Example) -> Encoded:
    """Render one example: the prompt exactly as at inference, then the answer up to and including the end-of-turn token.

    Prompt and answer are tokenised apart, because generation also starts from the ids of the prompt alone. Raises UserError
    naming the example where its text or the template does not let the two be told apart, or the answer from its end.
    """
    try:
        prompt = prompt_ids(tokenizer, model, example.question)
        answer = answer_ids(tokenizer, model, example.question, example.solution)
    except UserError as fault:
        raise UserError(f"model.path={model.path}, example {example.id}: {fault}") from None
    return Encoded(example.id, (*prompt, *answer), len(prompt))


def encode_all(
    tokenizer: PreTrainedTokenizerBase, model: Model, examples: Sequence[Example], cache: Path
) -> list[Encoded]:
    """All examples in order; kept under `cache` by the content of everything the ids depend on, so a sweep renders once."""
    files = [model.folder() / name for name in FILES]
    digests = [content_digest(file) for file in files if file.is_file()]
    texts = [(e.id, e.question, e.solution) for e in examples]
    parts = [FORMAT, digests, model.system, str(tokenizer.chat_template), texts]
    path = cache / f"{hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]}.json"
    if kept := _kept(path):
        return kept
    done = [encode(tokenizer, model, e) for e in examples]
    cache.mkdir(parents=True, exist_ok=True)
    text = json.dumps([[e.id, e.tokens, e.prompt] for e in done])
    with replacing(path) as fresh:
        fresh.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")
    return done


def _kept(path: Path) -> list[Encoded]:
    """The ids in a file of the cache; none where it is not there, or not as it was written."""
    if not path.is_file():
        return []
    check, _, text = path.read_bytes().partition(b"\n")
    if check != hashlib.sha256(text).hexdigest().encode():
        log.warning(f"{path} is damaged; the examples are tokenised anew")
        return []
    return [Encoded(name, tuple(tokens), prompt) for name, tokens, prompt in json.loads(text)]
