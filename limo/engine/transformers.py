"""The transformers engine: continuous batches over a Hugging Face causal LM, own random numbers for each request."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from limo import hardware
from limo.config import component, runtime
from limo.engine import Completion, Request
from limo.engine.decode import completion, dtype
from limo.models import Model, end_ids, load_tokenizer

if TYPE_CHECKING:
    import torch

    from limo.engine.cache import Cache

log = logging.getLogger(__name__)

LARGEST_BATCH = 256
PREFILL_TOKENS = 16384
"""Prompt tokens that go through the model at once: bounds the memory of a prefill."""
UNIFORMS = 256
"""Random numbers drawn at a time for one request."""


@component
class Transformers:
    """Any Hugging Face causal LM with a key-value cache, on one GPU per replica or on the CPU."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: that of the model on a GPU, float32 on a CPU."""
    adapter: Path | None = None
    """A LoRA adapter folder (PEFT), applied without merging it into the weights."""
    batch_size: int = runtime(default=0)
    """Answers that grow at once; 0 takes what the key-value cache has memory for, at most 256."""
    replicas: int = runtime(default=0)
    """Engine processes that share the work; 0 is one per GPU, one on a CPU."""

    def __post_init__(self) -> None:
        if self.batch_size < 0 or self.replicas < 0:
            raise ValueError(
                f"batch_size={self.batch_size}, replicas={self.replicas}: 0 or more, 0 chooses by the machine"
            )

    @property
    def tensor_parallel(self) -> int:
        return 1

    def pick(self, model: Model) -> Transformers:
        return self

    def missing(self, model: Model) -> list[str]:
        if self.adapter is not None and not (self.adapter / "adapter_config.json").is_file():
            return [f"engine.adapter={self.adapter}: no adapter_config.json in it; give a folder that PEFT saved"]
        return []

    def open(self, model: Model, max_length: int, requests: int) -> Batches:
        weights = load(model, self.dtype, self.adapter)
        tokenizer = load_tokenizer(model)
        batch = self.batch_size or _affordable(weights, max_length, max(1, self.replicas))
        return Batches(weights, tokenizer, frozenset(end_ids(tokenizer, model.folder())), max(1, min(batch, requests)))


def load(model: Model, asked: str, adapter: Path | None = None) -> Any:
    """The weights for inference in the number format asked for (`auto` or a dtype), on the GPU where there is one."""
    import torch
    from transformers import AutoModelForCausalLM

    precision = dtype(asked, model)
    weights = AutoModelForCausalLM.from_pretrained(
        model.folder(), dtype=getattr(torch, precision), attn_implementation=_attention(model, precision)
    )
    if adapter is not None:
        from peft import PeftModel

        weights = PeftModel.from_pretrained(weights, adapter)
    return weights.to("cuda" if hardware.gpus() else "cpu").eval()


def _attention(model: Model, precision: str) -> str:
    if model.attention != "auto":
        return model.attention
    from transformers.utils import is_flash_attn_2_available

    fits = hardware.gpus() and precision == "bfloat16" and is_flash_attn_2_available()
    return "flash_attention_2" if fits else "sdpa"


def _affordable(weights: Any, max_length: int, replicas: int) -> int:
    """Rows whose key-value cache fits in half of the free memory, at their longest."""
    import torch

    shape = weights.config.get_text_config()
    heads = getattr(shape, "num_key_value_heads", None) or shape.num_attention_heads
    width = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
    row = 2 * shape.num_hidden_layers * heads * width * weights.dtype.itemsize * max_length
    # growing the cache holds the old and the new copy for a moment, hence half
    free = torch.cuda.mem_get_info()[0] if hardware.gpus() else hardware.memory() // 4 // replicas
    return max(1, min(LARGEST_BATCH, int(free // 2 // row)))


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
        import torch

        if not self.uniforms:
            if self.generator is None:
                self.generator = torch.Generator().manual_seed(self.request.seed)
            self.uniforms.extend(torch.rand(UNIFORMS, dtype=torch.float64, generator=self.generator).tolist())
        return self.uniforms.popleft()


class Batches:
    """A session: rows grow together, one token a step; finished ones leave the batch and waiting ones take their place.

    Prompts are padded on the left and positions given explicitly, so a row's answer does not depend on its neighbours
    (in float32 up to the last bit of the logits).
    """

    def __init__(self, weights: Any, tokenizer: Any, ends: frozenset[int], batch_size: int) -> None:
        from limo.engine.cache import Cache

        self.weights, self.tokenizer, self.ends, self.batch_size = weights, tokenizer, ends, batch_size
        self.waiting: deque[Row] = deque()
        self.rows: list[Row | None] = []
        self.cache = Cache(weights.config.get_text_config().num_hidden_layers)
        self.last: Any = None
        self.generated = 0

    @property
    def window(self) -> int:
        return 2 * self.batch_size

    def add(self, number: int, request: Request) -> None:
        self.waiting.append(Row(number, request))

    def step(self) -> Iterator[tuple[int, Completion]]:
        import torch

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
            self.last = self.last[live] if live else None

    def _admit(self, free: int) -> range:
        """Run the prompts of waiting rows; they join the batch with their first token. Their places."""
        import torch

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

    def _forward(self, ids: Any, cache: Cache, rows: Any) -> Any:
        """One pass; the next token of each row, [rows, 1]."""
        from limo.engine.draw import draw

        positions = (cache.mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        answer = self.weights(
            input_ids=ids,
            attention_mask=cache.mask,
            position_ids=positions,
            past_key_values=cache.layers,
            use_cache=True,
            logits_to_keep=1,
        )
        return draw(answer.logits[:, -1], rows).unsqueeze(1)
