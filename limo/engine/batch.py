"""Answers that grow together, one token a pass: rows come and go, each with its own rules and random numbers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from limo import UserError
from limo.engine.cache import Cache
from limo.engine.decode import completion
from limo.engine.protocol import Completion, Request

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PREFILL_TOKENS = 16384
"""Prompt tokens that go through the model at once: bounds the memory of a prefill."""
UNIFORMS = 256
"""Random numbers drawn at a time for one request."""


@dataclass(slots=True)
class Row:
    """An answer that grows."""

    number: int
    request: Request
    ids: list[int] = field(default_factory=list)
    uniforms: deque[float] = field(default_factory=deque)
    generator: torch.Generator | None = None

    def uniform(self) -> float:
        """The next random number of this request alone, in [0, 1)."""
        if not self.uniforms:
            if self.generator is None:
                self.generator = torch.Generator().manual_seed(self.request.seed)
            self.uniforms.extend(torch.rand(UNIFORMS, dtype=torch.float64, generator=self.generator).tolist())
        return self.uniforms.popleft()


class TransformersSession:
    """A session: rows grow together, one token a step; finished ones leave the batch and waiting ones take their place.

    Prompts are padded on the left and positions given explicitly, so a row's answer does not depend on its neighbours
    (in float32 up to the last bit of the logits).
    """

    def __init__(
        self, weights: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ends: frozenset[int], batch_size: int
    ) -> None:
        self.weights, self.tokenizer, self.ends, self.batch_size = weights, tokenizer, ends, batch_size
        self.waiting: deque[Row] = deque()
        self.rows: list[Row | None] = []
        self.cache = Cache(weights.config.get_text_config().num_hidden_layers)
        self.last = torch.empty(0, 1, dtype=torch.long)
        """[rows, 1] the last token of each."""
        self.generated = 0

    @property
    def window(self) -> int:
        return 2 * self.batch_size

    def add(self, number: int, request: Request) -> None:
        self.waiting.append(Row(number, request))

    def advance(self) -> Iterator[tuple[int, Completion]]:
        with torch.inference_mode():
            live = [i for i, row in enumerate(self.rows) if row is not None]
            free = self.batch_size - len(live)
            # a refill copies the cache, so it waits until an eighth of the batch is free
            refill = bool(self.waiting) and (not live or free >= max(1, self.batch_size // 8))
            if not live or refill or len(live) <= len(self.rows) * 7 // 8:
                self._keep(live)
            if refill:
                grown = self._admit(free)
            elif self.rows:
                grown = range(len(self.rows))
                self._extend()
            else:
                return
            tokens = self.last[grown.start :, 0].tolist()
        for place, token in zip(grown, tokens, strict=True):
            row = self.rows[place]
            if row is None:
                continue
            row.ids.append(token)
            self.generated += 1
            ended = token in self.ends
            if ended or len(row.ids) >= row.request.max_tokens:
                self.rows[place] = None
                yield row.number, completion(self.tokenizer, row.ids, ended)

    def _keep(self, live: list[int]) -> None:
        """Only the given places stay."""
        if len(live) < len(self.rows):
            self.cache.keep(live)
            self.rows = [self.rows[i] for i in live]
            self.last = self.last[live]

    def _admit(self, free: int) -> range:
        """Run the prompts of waiting rows; they join the batch with their first token. Their places."""
        fresh: list[Row] = []
        width = 0
        while self.waiting and len(fresh) < free:
            width = max(width, len(self.waiting[0].request.prompt))
            if fresh and width * (len(fresh) + 1) > PREFILL_TOKENS:
                break
            fresh.append(self.waiting.popleft())
        width = max(len(row.request.prompt) for row in fresh)
        pads = [width - len(row.request.prompt) for row in fresh]
        filler = self.tokenizer.pad_token_id or 0
        ids = torch.tensor([[filler] * pad + list(row.request.prompt) for pad, row in zip(pads, fresh, strict=True)])
        mask = (torch.arange(width) >= torch.tensor(pads).unsqueeze(1)).long()
        device = self.weights.device
        cache = self.cache.fresh(mask.to(device))
        first = self._forward(ids.to(device), cache, fresh)
        self.cache.join(cache)
        start = len(self.rows)
        self.rows.extend(fresh)
        self.last = first if start == 0 else torch.cat([self.last, first])
        return range(start, len(self.rows))

    def _extend(self) -> None:
        self.cache.extend()
        self.last = self._forward(self.last, self.cache, self.rows)

    def _forward(self, ids: torch.Tensor, cache: Cache, rows: Sequence[Row | None]) -> torch.Tensor:
        """One pass; the next token of each row, [rows, 1]."""
        positions = (cache.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        answer = self.weights(
            input_ids=ids,
            attention_mask=cache.mask,
            position_ids=positions,
            past_key_values=cache.layers,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = answer.logits[:, -1]
        if ids.shape[1] > 1 and bool(logits.isnan().any()):  # a prompt: once an answer is enough
            raise UserError(
                "the logits of the model are NaN: its weights are damaged, or their numbers are too large for this dtype; "
                "take another checkpoint, or engine.dtype=float32"
            )
        return sample_tokens(logits, rows).unsqueeze(1)


def sample_tokens(logits: torch.Tensor, rows: Sequence[Row | None]) -> torch.Tensor:
    """One token id per row, [rows], from logits [rows, vocabulary]; None is a row that has finished.

    Temperature first, then `top_k`, then `top_p` over what is left, as vLLM does. A row depends on its own logits.
    """
    tokens = logits.argmax(-1)
    plain = [i for i, row in enumerate(rows) if row and row.request.temperature > 0 and not _cut(row)]
    cut = [i for i, row in enumerate(rows) if row and row.request.temperature > 0 and _cut(row)]
    for places in (plain, cut):
        if not places:
            continue
        chosen = [row for i in places if (row := rows[i])]
        device = logits.device
        heat = torch.tensor([row.request.temperature for row in chosen], device=device).unsqueeze(1)
        shares = (logits[places].float() / heat).softmax(-1).double()
        order = None
        if places is cut:
            shares, order = shares.sort(dim=-1, descending=True, stable=True)
            top_k = torch.tensor([row.request.top_k or shares.shape[1] for row in chosen], device=device).unsqueeze(1)
            shares = shares.masked_fill(torch.arange(shares.shape[1], device=device) >= top_k, 0.0)
            top_p = torch.tensor([row.request.top_p for row in chosen], device=device, dtype=torch.float64).unsqueeze(1)
            before = shares.cumsum(-1) - shares
            shares = shares.masked_fill(before >= top_p * shares.sum(-1, keepdim=True), 0.0)
        ladder = shares.cumsum(-1)
        height = torch.tensor([row.uniform() for row in chosen], device=device, dtype=torch.float64).unsqueeze(1)
        # the first rung above the height: a token without weight has no rung
        found = torch.searchsorted(ladder, height * ladder[:, -1:], right=True).clamp(max=shares.shape[1] - 1)
        tokens[places] = (found if order is None else order.gather(1, found)).squeeze(1)
    return tokens


def _cut(row: Row) -> bool:
    return row.request.top_k > 0 or row.request.top_p < 1
