"""The lab's base model as a network: its initial weights, documents as tensors, its loss, and what it has learnt of each kind."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from limo.lab.corpus import CURRICULUM, Piece, Writer
from limo.lab.tokenizer import MAX_LENGTH

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

SIZES = {"small": (64, 2), "base": (128, 2), "wide": (192, 2)}
"""Hidden size and layers; heads are 32 wide."""


@dataclass(frozen=True, slots=True)
class Row:
    """One document: token ids and the loss weight of each."""

    ids: list[int]
    weights: list[float]


def encode(tokenizer: PreTrainedTokenizerFast, documents: Sequence[list[Piece]]) -> list[Row]:
    """Documents as rows, each with the end token; pieces end at token borders, so they are encoded apart."""
    flat = tokenizer([text for d in documents for text, _ in d], add_special_tokens=False)["input_ids"]
    rows, at = [], 0
    for d in documents:
        ids: list[int] = []
        weights: list[float] = []
        for _, weight in d:
            ids += flat[at]
            weights += [weight] * len(flat[at])
            at += 1
        rows.append(Row([*ids, tokenizer.eos_token_id], [*weights, 1.0]))
    return rows


def tensors(rows: Sequence[Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and weights of rows as two tensors (rows, longest); padding weighs nothing."""
    import torch

    longest = max(len(r.ids) for r in rows)
    ids = torch.tensor([r.ids + [pad] * (longest - len(r.ids)) for r in rows])
    weights = torch.tensor([r.weights + [0.0] * (longest - len(r.ids)) for r in rows])
    return ids, weights


def build(tokenizer: PreTrainedTokenizerFast, size: str, seed: int) -> Any:
    """A Qwen2ForCausalLM with initial weights.

    Not quite random: the query and key biases of layer 0 make its head j start by attending j + 1 tokens back, which
    the look-up needs and training would otherwise spend most of its tokens on finding. All weights are then trained.
    """
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    width, layers = SIZES[size]
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 32,
        intermediate_size=width * 5 // 2,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        use_sliding_window=False,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        _initialise(model)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model


def _initialise(model: Any) -> None:
    """Initial weights, and the biases of layer 0 that look back."""
    for name, weight in model.named_parameters():
        if "embed" in name:
            weight.normal_(std=0.1)
        elif name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.zero_()
        elif weight.ndim == 2:
            weight.normal_(std=0.8 / math.sqrt(weight.shape[1]))
    attention = model.model.layers[0].self_attn
    heads, head = model.config.num_attention_heads, attention.head_dim
    attention.q_proj.bias.zero_()
    attention.k_proj.bias.zero_()
    for j in range(heads):
        for i in range(head // 4):
            angle = 10_000.0 ** (-2 * i / head) * (j + 1)
            attention.k_proj.bias[j * head + i] = 5.0
            attention.q_proj.bias[j * head + i] = 5.0 * math.cos(angle)
            attention.q_proj.bias[j * head + i + head // 2] = -5.0 * math.sin(angle)


def loss(model: Any, rows: Sequence[Row], pad: int) -> torch.Tensor:
    """Mean cross-entropy over the tokens of the rows, weighted; scalar. Padding is on the right, so causal attention needs no mask."""
    import torch

    ids, weights = tensors(rows, pad)
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    entropy = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (entropy * weight).sum() / weight.sum()


def first_choices(
    model: Any, tokenizer: PreTrainedTokenizerFast, seed: int = 1_000_003, documents: int = 200
) -> dict[str, float]:
    """Share of determined tokens that are the model's first choice, per document kind, on documents not seen in training."""
    import torch

    writer = Writer(CURRICULUM[-1], random.Random(seed))
    found = {}
    for kind, write in writer.kinds.items():
        ids, weights = tensors(encode(tokenizer, [write() for _ in range(documents)]), tokenizer.pad_token_id)
        with torch.no_grad():
            guess = model(input_ids=ids[:, :-1], use_cache=False).logits.argmax(-1)
        known = weights[:, 1:] == 1.0
        found[kind] = round(100 * (guess == ids[:, 1:])[known].float().mean().item(), 1)
    return found
