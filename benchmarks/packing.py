"""How much of the processes' time is for examples: `python benchmarks/packing.py`, in seconds, no GPU.

817 lengths as long solutions have them (lognormal, cut at 16,384 tokens) through limo's own plan of batches. Each process waits
for the slowest at every micro-batch. `one by one` is one example a micro-batch in the order they come, as trainers without
packing do; `padded` is `training.packing=false`; `the longest` is the bound where each process has one example.
"""

from __future__ import annotations

import math
import random

from limo.training.batches import Layout, plan_batches

EXAMPLES, LONGEST, SPREAD = 817, 16_384, 0.6
MEANS = (6_900, 9_300, 11_200)
SETTINGS = ((8, 32), (16, 32), (32, 32), (32, 64))
"""Processes and examples in a step."""


def lengths(mean: int) -> list[int]:
    """Lengths with this mean after the cut."""
    draw = random.Random(0)
    spread = [draw.gauss(0, SPREAD) for _ in range(EXAMPLES)]
    low, high = 5.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2
        short = sum(min(LONGEST, math.exp(middle + one)) for one in spread) / EXAMPLES < mean
        low, high = (middle, high) if short else (low, middle)
    return [int(min(LONGEST, math.exp(low + one))) for one in spread]


def one_by_one(sizes: list[int], ranks: int, batch: int) -> float:
    """Without packing: a process takes the next example at every micro-batch."""
    order = random.Random(0).sample(sizes, len(sizes))
    steps = [order[start : start + batch] for start in range(0, len(order), batch)]
    rounds = [step[start : start + ranks] for step in steps for start in range(0, len(step), ranks)]
    return sum(sizes) / (ranks * sum(map(max, rounds)))


def main() -> None:
    print(f"{'mean':>6} {'ranks':>5} {'batch':>5} {'packed':>7} {'padded':>7} {'one by one':>11} {'the longest':>12}")
    for mean in MEANS:
        sizes = lengths(mean)
        for ranks, batch in SETTINGS:
            packed, padded = (
                plan_batches(sizes, Layout(batch, ranks, None, LONGEST, how), 0, 15, None).efficiency
                for how in (True, False)
            )
            bound = f"{sum(sizes) / len(sizes) / max(sizes):12.2f}" if ranks == batch else ""
            alone = one_by_one(sizes, ranks, batch)
            print(f"{mean:6} {ranks:5} {batch:5} {packed:7.2f} {padded:7.2f} {alone:11.2f} {bound}".rstrip())


if __name__ == "__main__":
    main()
