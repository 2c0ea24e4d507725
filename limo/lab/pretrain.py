"""Rebuild a base model from its seed: `python -m limo.lab.pretrain --seed 0 --out <folder>`."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.lab.corpus import CURRICULUM, Mix, Writer
from limo.lab.network import SIZES, Row, build, encode, first_choices, loss
from limo.lab.tokenizer import make

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

NAMED = ("seed", "tokens", "size")
"""Fields that a card always names."""
EVERY = 25
"""Optimizer steps from one point of the curve to the next."""


@dataclass(frozen=True, slots=True)
class Pretraining:
    """Everything a base depends on."""

    seed: int = 0
    tokens: int = 3_000_000
    """Corpus size; each document is read once."""
    size: str = "base"
    rate: float = 6e-3
    """Learning rate of Muon (matrices) and AdamW (embedding, norms, biases) alike."""
    warmup: int = 30
    batch: int = 1024
    """Tokens per optimizer step, about."""
    reasoned: float = 1.0
    """How often questions are answered step by step, as a multiple of the curriculum's shares; 0 never shows it."""
    worked_b: float | None = None
    """Share of surface B in documents that work a chain out; null as in the others."""

    def curriculum(self) -> tuple[Mix, ...]:
        """The phases of the corpus."""
        *before, last = CURRICULUM
        shares = tuple(share * self.reasoned for share in last.reasoned)
        return (*before, replace(last, reasoned=shares, worked_b=self.worked_b))


def batches(tokenizer: PreTrainedTokenizerFast, how: Pretraining, rng: random.Random) -> Iterator[list[Row]]:
    """Rows of similar length in batches of about `how.batch` tokens, phase after phase."""
    start = 0.0
    for mix in how.curriculum():
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


def train(how: Pretraining, out: Path) -> dict[str, Any]:
    """Pre-train, write the Hugging Face folder with `curve.csv` and `card.json`, and give the card."""
    import torch

    torch.set_num_threads(1)
    tokenizer = make()
    model = build(tokenizer, how.size, how.seed)
    curve = fit(model, tokenizer, how)
    model = model.to(torch.bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    with (out / "curve.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows([("step", "tokens", "loss"), *curve.points])
    card = {
        "command": " ".join(["python -m limo.lab.pretrain", *_given(how)]),
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


def fit(model: Any, tokenizer: PreTrainedTokenizerFast, how: Pretraining) -> Curve:
    """One pass over the corpus, the learning rate warmed up and then falling to a twentieth."""
    import torch

    from limo.lab.muon import Muon

    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=how.rate),
        torch.optim.AdamW(others, lr=how.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True),
    ]
    curve = Curve(how.tokens)
    for rows in batches(tokenizer, how, random.Random(how.seed)):
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


def _given(how: Pretraining) -> list[str]:
    """The options of the command: the first three, and what else differs from its defaults."""
    default = asdict(Pretraining())
    said = [(name, value) for name, value in asdict(how).items() if name in NAMED or value != default[name]]
    return [f"--{name.replace('_', '-')} {value}" for name, value in said]


def main() -> None:
    """The command line."""
    default = Pretraining()
    parser = argparse.ArgumentParser(prog="python -m limo.lab.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write, in Hugging Face format")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--tokens", type=int, default=default.tokens, help="corpus size (default %(default)s)")
    parser.add_argument("--size", choices=SIZES, default=default.size)
    parser.add_argument("--rate", type=float, default=default.rate, help="learning rate (default %(default)s)")
    parser.add_argument(
        "--reasoned", type=float, default=default.reasoned, help="how often questions are answered step by step (1)"
    )
    parser.add_argument(
        "--worked-b", type=float, help="share of worked chains whose definitions are in words (as of all documents)"
    )
    given = vars(parser.parse_args())
    out = given.pop("out")
    print(json.dumps(train(Pretraining(**given), out), indent=1))


if __name__ == "__main__":
    main()
