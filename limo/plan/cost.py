"""Hours: training from its arithmetic, generation from the bytes that each token moves; every assumption has a name."""

from __future__ import annotations

from limo.models import Architecture
from limo.placement import ROOM, Chip, Machine, Setup, kv_bytes

USE = 0.3
"""Share of the peak arithmetic that a training reaches while it works on examples (model FLOPs, recomputation not counted); 0.2
to 0.45 are usual at long contexts.
"""
FLOW = 0.6
"""Share of the memory bandwidth that decoding reaches."""
SEQUENCES = 256
"""Answers that one engine works on at a time at most."""
LINK = 25e9
"""Bytes per second between a GPU and main memory, for offloading."""
HOST = 100e9
"""Bytes per second of main memory, shared by the GPUs of a machine."""
WRITE = 1e9
"""Bytes per second that the disk of the store takes, digests included."""
READ = 1e9
"""Bytes per second at which an engine that starts reads its weights."""
CORE = 20e9
"""Float operations per second of a processor core, in training."""


def processor(machine: Machine) -> Chip:
    """A machine's processor, for its hours."""
    return Chip("CPU", machine.memory, CORE * machine.cores / USE, HOST / 4)


def training_flops(shape: Architecture, tokens: float, mean_length: float, trained: bool = True) -> float:
    """6 operations per weight and token, plus causal attention (6 · layers · width · length per token); under an adapter
    4 in place of 6.

    The embedding is a look-up and counts once, as the head.
    """
    matrices = shape.parameters - (0 if shape.tie_word_embeddings else shape.vocab_size * shape.hidden_size)
    attention = shape.num_hidden_layers * shape.queries * mean_length
    return (6 if trained else 4) * (matrices + attention) * tokens


def reading(shape: Architecture, sheet: Chip, tokens: float, mean_length: float) -> float:
    """Seconds of one GPU to read so many tokens: a forward pass, a third of training's operations."""
    return training_flops(shape, tokens, mean_length) / 3 / (sheet.flops * USE)


def offloading(setup: Setup, trained: int) -> float:
    """Seconds that an optimizer step spends on states in main memory: gradients down, weights up, the update itself."""
    if not setup.offload_optimizer:
        return 0.0
    part = trained / setup.ranks
    return part * (4 / LINK + 28 * setup.local / HOST)


def tokens_per_second(shape: Architecture, sheet: Chip, split: int, length: float) -> float:
    """Generated tokens per second of one engine on `split` GPUs, busy with answers of a mean length.

    Each step reads all weights once and every answer's keys and values, half of them written on average.
    """
    weights, entry = 2 * shape.parameters, kv_bytes(shape)
    room = split * sheet.memory * ROOM - weights
    answers = max(1.0, min(SEQUENCES, room / (entry * length)))
    moved = (weights + answers * entry * length / 2) / (split * sheet.bandwidth * FLOW)
    worked = answers * 2 * shape.parameters / (split * sheet.flops * USE)
    return answers / max(moved, worked)
