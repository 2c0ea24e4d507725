"""Rebuild a base model from its seed: `python -m limo.lab.pretrain --seed 0 --out <folder>`."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.lab.corpus import CURRICULUM, Mix, Piece, Writer
from limo.lab.tokenizer import MAX_LENGTH, make

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

SIZES = {"base": (128, 2), "small": (64, 2)}
"""Hidden size and layers; heads are 32 wide."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a base depends on."""

    seed: int = 0
    tokens: int = 2_000_000
    """Corpus size; each document is read once."""
    size: str = "base"
    rate: float = 6e-3
    """Learning rate of Muon (matrices) and AdamW (embedding, norms, biases) alike."""
    warmup: int = 30
    batch: int = 1024
    """Tokens per optimizer step, about."""


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


def batches(
    tokenizer: PreTrainedTokenizerFast, recipe: Recipe, curriculum: Sequence[Mix], rng: random.Random
) -> Iterator[list[Row]]:
    """Rows of similar length in batches of about `recipe.batch` tokens, phase after phase."""
    start = 0.0
    for mix in curriculum:
        budget = (mix.until - start) * recipe.tokens
        start = mix.until
        documents = Writer(mix, rng).documents()
        while budget > 0:
            window = encode(tokenizer, [next(documents) for _ in range(1024)])
            window.sort(key=lambda r: len(r.ids))
            groups: list[list[Row]] = [[]]
            for row in window:
                if len(groups[-1]) * len(row.ids) >= recipe.batch:
                    groups.append([])
                groups[-1].append(row)
            rng.shuffle(groups)
            for group in groups:
                if budget <= 0:
                    break
                budget -= sum(len(r.ids) for r in group)
                yield group


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
        for name, weight in model.named_parameters():
            if "embed" in name:
                weight.normal_(std=0.1)
            elif name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.zero_()
            elif weight.ndim == 2:
                weight.normal_(std=0.8 / math.sqrt(weight.shape[1]))
        attention = model.model.layers[0].self_attn
        head = width // config.num_attention_heads
        attention.q_proj.bias.zero_()
        attention.k_proj.bias.zero_()
        for j in range(config.num_attention_heads):
            for i in range(head // 4):
                angle = 10_000.0 ** (-2 * i / head) * (j + 1)
                attention.k_proj.bias[j * head + i] = 5.0
                attention.q_proj.bias[j * head + i] = 5.0 * math.cos(angle)
                attention.q_proj.bias[j * head + i + head // 2] = -5.0 * math.sin(angle)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    return model


def loss(model: Any, rows: Sequence[Row], pad: int) -> torch.Tensor:
    """Mean cross-entropy over the tokens of the rows, weighted; scalar. Padding is on the right, so causal attention needs no mask."""
    import torch

    ids, weights = tensors(rows, pad)
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    entropy = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    weight = weights[:, 1:].flatten()
    return (entropy * weight).sum() / weight.sum()


def tensors(rows: Sequence[Row], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and weights of rows as two tensors (rows, longest); padding weighs nothing."""
    import torch

    longest = max(len(r.ids) for r in rows)
    ids = torch.tensor([r.ids + [pad] * (longest - len(r.ids)) for r in rows])
    weights = torch.tensor([r.weights + [0.0] * (longest - len(r.ids)) for r in rows])
    return ids, weights


def probe(
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


def train(recipe: Recipe, out: Path, curriculum: Sequence[Mix] = CURRICULUM) -> dict[str, Any]:
    """Pre-train, write the Hugging Face folder with `curve.csv` and `card.json`, and give the card."""
    import torch

    torch.set_num_threads(1)
    started = time.perf_counter()
    tokenizer = make()
    model = build(tokenizer, recipe.size, recipe.seed)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=recipe.rate, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]
    curve: list[tuple[int, int, float]] = []
    seen, total, recent, step = 0, recipe.tokens, 0.0, 0
    for step, rows in enumerate(batches(tokenizer, recipe, curriculum, random.Random(recipe.seed)), 1):
        seen += sum(len(r.ids) for r in rows)
        factor = min(step / recipe.warmup, 1.0) * max(0.05, 1 - 0.95 * seen / total)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = recipe.rate * factor
        value = loss(model, rows, tokenizer.pad_token_id)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        recent += value.item()
        if step % 25 == 0:
            curve.append((step, seen, round(recent / 25, 4)))
            recent = 0.0
            elapsed = time.perf_counter() - started
            left = elapsed / seen * max(total - seen, 0)
            print(
                f"\rstep {step}  tokens {seen:,}  loss {curve[-1][2]:.3f}  {left:.0f} s left ", end="", file=sys.stderr
            )
    print(file=sys.stderr)
    model = model.to(torch.bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    with (out / "curve.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows([("step", "tokens", "loss"), *curve])
    card = {
        "command": f"python -m limo.lab.pretrain --seed {recipe.seed} --tokens {recipe.tokens} --size {recipe.size}",
        "seed": recipe.seed,
        "tokens": seen,
        "steps": step,
        "size": recipe.size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "digest": digest(out),
        "probes": probe(model.float(), tokenizer),
        "seconds": round(time.perf_counter() - started, 1),
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def digest(folder: Path) -> str:
    """SHA-256 of the weights file."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """The command line."""
    default = Recipe()
    parser = argparse.ArgumentParser(prog="python -m limo.lab.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, in Hugging Face format")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--tokens", type=int, default=default.tokens, help="corpus size (default %(default)s)")
    parser.add_argument("--size", choices=SIZES, default=default.size)
    given = parser.parse_args()
    card = train(Recipe(seed=given.seed, tokens=given.tokens, size=given.size), given.out)
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
