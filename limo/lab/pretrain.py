"""Rebuild a base model from its seed: `python -m limo.lab.pretrain --seed 0 --out <folder>`."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.lab.corpus import CURRICULUM, Mix, Writer
from limo.lab.network import SIZES, Row, build, encode, first_choices, loss
from limo.lab.tokenizer import make

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

EVERY = 25
"""Optimizer steps from one point of the curve to the next."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """Everything a base depends on."""

    seed: int = 0
    tokens: int = 4_000_000
    """Corpus size; each document is read once."""
    size: str = "base"
    rate: float = 6e-3
    """Learning rate of Muon (matrices) and AdamW (embedding, norms, biases) alike."""
    warmup: int = 30
    batch: int = 1024
    """Tokens per optimizer step, about."""


def batches(
    tokenizer: PreTrainedTokenizerFast, how: Pretraining, curriculum: Sequence[Mix], rng: random.Random
) -> Iterator[list[Row]]:
    """Rows of similar length in batches of about `how.batch` tokens, phase after phase."""
    start = 0.0
    for mix in curriculum:
        budget = (mix.until - start) * how.tokens
        start = mix.until
        documents = Writer(mix, rng).documents()
        while budget > 0:
            window = encode(tokenizer, [next(documents) for _ in range(1024)])
            window.sort(key=lambda r: len(r.ids))
            groups: list[list[Row]] = [[]]
            for row in window:
                if len(groups[-1]) * len(row.ids) >= how.batch:
                    groups.append([])
                groups[-1].append(row)
            rng.shuffle(groups)
            for group in groups:
                if budget <= 0:
                    break
                budget -= sum(len(r.ids) for r in group)
                yield group


@dataclass(slots=True)
class Curve:
    """What is seen of a pre-training while it runs."""

    total: int
    """Tokens of the corpus."""
    started: float = field(default_factory=time.perf_counter)
    tokens: int = 0
    steps: int = 0
    points: list[tuple[int, int, float]] = field(default_factory=list)
    """Step, tokens, and the mean loss since the point before."""
    _recent: float = 0.0

    def add(self, value: float) -> None:
        """The loss of one step."""
        self._recent += value
        if self.steps % EVERY == 0:
            self.points.append((self.steps, self.tokens, round(self._recent / EVERY, 4)))
            self._recent = 0.0
            left = (time.perf_counter() - self.started) / self.tokens * max(self.total - self.tokens, 0)
            told = f"step {self.steps}  tokens {self.tokens:,}  loss {self.points[-1][2]:.3f}  {left:.0f} s left "
            print(f"\r{told}", end="", file=sys.stderr)


def train(how: Pretraining, out: Path, curriculum: Sequence[Mix] = CURRICULUM) -> dict[str, Any]:
    """Pre-train, write the Hugging Face folder with `curve.csv` and `card.json`, and give the card."""
    import torch

    torch.set_num_threads(1)
    tokenizer = make()
    model = build(tokenizer, how.size, how.seed)
    curve = fit(model, tokenizer, how, curriculum)
    model = model.to(torch.bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    with (out / "curve.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows([("step", "tokens", "loss"), *curve.points])
    card = {
        "command": f"python -m limo.lab.pretrain --seed {how.seed} --tokens {how.tokens} --size {how.size}",
        "seed": how.seed,
        "tokens": curve.tokens,
        "steps": curve.steps,
        "size": how.size,
        "parameters": sum(p.numel() for p in model.parameters()),
        "digest": digest(out),
        "probes": first_choices(model.float(), tokenizer),
        "seconds": round(time.perf_counter() - curve.started, 1),
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def fit(model: Any, tokenizer: PreTrainedTokenizerFast, how: Pretraining, curriculum: Sequence[Mix]) -> Curve:
    """One pass over the corpus, the learning rate warmed up and then falling to a twentieth."""
    import torch

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=how.rate, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=how.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]
    curve = Curve(how.tokens)
    for rows in batches(tokenizer, how, curriculum, random.Random(how.seed)):
        curve.steps += 1
        curve.tokens += sum(len(r.ids) for r in rows)
        factor = min(curve.steps / how.warmup, 1.0) * max(0.05, 1 - 0.95 * curve.tokens / how.tokens)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = how.rate * factor
        value = loss(model, rows, tokenizer.pad_token_id)
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        curve.add(value.item())
    print(file=sys.stderr)
    return curve


def digest(folder: Path) -> str:
    """SHA-256 of the weights file."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """The command line."""
    default = Pretraining()
    parser = argparse.ArgumentParser(prog="python -m limo.lab.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, in Hugging Face format")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--tokens", type=int, default=default.tokens, help="corpus size (default %(default)s)")
    parser.add_argument("--size", choices=SIZES, default=default.size)
    given = parser.parse_args()
    card = train(Pretraining(seed=given.seed, tokens=given.tokens, size=given.size), given.out)
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
