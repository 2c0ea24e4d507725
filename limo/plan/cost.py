"""Hours: training from its arithmetic, generation from the bytes that each token moves; every assumption has a name."""

from __future__ import annotations

from dataclasses import dataclass

from limo.hardware import Gpu
from limo.models import Architecture
from limo.plan.memory import Setup

USE = 0.3
"""Share of the peak arithmetic that a training reaches (model FLOPs, recomputation not counted); 0.2 to 0.45 are usual
at long contexts.
"""
FLOW = 0.6
"""Share of the memory bandwidth that decoding reaches."""
ROOM = 0.92
"""Share of a GPU's memory that may be filled; the rest is for the driver, messages and fragmentation (vLLM's own
default).
"""
SEQUENCES = 256
"""Answers that one engine works on at a time at most."""
LINK = 25e9
"""Bytes per second between a GPU and main memory, for offloading."""
HOST = 100e9
"""Bytes per second of main memory, shared by the GPUs of a machine."""
CORE = 20e9
"""Float operations per second of a processor core, in training."""


@dataclass(frozen=True)
class Chip:
    """What an accelerator can do, from its maker's data sheet."""

    name: str
    memory: int
    """Bytes."""
    flops: float
    """Dense bf16 operations per second."""
    bandwidth: float
    """Bytes per second."""


GIB = 2**30
CHIPS = (
    Chip("B200", 180 * GIB, 2250e12, 8.0e12),
    Chip("H200", 141 * 10**9, 989e12, 4.8e12),
    Chip("H100", 80 * GIB, 989e12, 3.35e12),
    Chip("A100", 80 * GIB, 312e12, 2.0e12),
    Chip("L40S", 48 * GIB, 362e12, 0.864e12),
    Chip("A40", 48 * GIB, 150e12, 0.696e12),
    Chip("L4", 24 * GIB, 121e12, 0.3e12),
    Chip("A10", 24 * GIB, 125e12, 0.6e12),
    Chip("4090", 24 * GIB, 165e12, 1.0e12),
)
"""Known by a part of the name that the driver gives."""


def chip(gpu: Gpu) -> Chip | None:
    """The data sheet of a GPU, with the memory that the driver reports."""
    known = next((c for c in CHIPS if c.name in gpu.name), None)
    return Chip(gpu.name, gpu.memory, known.flops, known.bandwidth) if known else None


def training_flops(shape: Architecture, tokens: float, mean_length: float, trained: bool = True) -> float:
    """6 operations per weight and token, plus causal attention (6 · layers · width · length per token); under an adapter
    4 in place of 6.

    The embedding is a look-up and counts once, as the head.
    """
    head = shape.head_dim or shape.hidden_size // shape.num_attention_heads
    matrices = shape.parameters - (0 if shape.tie_word_embeddings else shape.vocab_size * shape.hidden_size)
    attention = shape.num_hidden_layers * shape.num_attention_heads * head * mean_length
    return (6 if trained else 4) * (matrices + attention) * tokens


def offloading(setup: Setup, trained: int) -> float:
    """Seconds that an optimizer step spends on states in main memory: gradients down, weights up, the update itself."""
    if not setup.offload_optimizer:
        return 0.0
    part = trained / setup.ranks
    return part * (4 / LINK + 28 * setup.local / HOST)


def kv_bytes(shape: Architecture) -> int:
    """Bytes of keys and values per token, in bf16."""
    head = shape.head_dim or shape.hidden_size // shape.num_attention_heads
    return 2 * 2 * shape.num_hidden_layers * shape.num_key_value_heads * head


def tensor_parallel(shape: Architecture, device: Chip) -> int:
    """GPUs that one engine needs: weights in bf16 in at most two thirds of their memory."""
    split = 1
    while 2 * shape.parameters / split > device.memory * ROOM * 2 / 3 and split < 64:
        split *= 2
    return split


def tokens_per_second(shape: Architecture, device: Chip, length: float) -> float:
    """Generated tokens per second of one engine on `tensor_parallel` GPUs, busy with answers of a mean length.

    Each step reads all weights once and every answer's keys and values, half of them written on average.
    """
    split = tensor_parallel(shape, device)
    weights, entry = 2 * shape.parameters, kv_bytes(shape)
    room = split * device.memory * ROOM - weights
    answers = max(1.0, min(SEQUENCES, room / (entry * length)))
    moved = (weights + answers * entry * length / 2) / (split * device.bandwidth * FLOW)
    worked = answers * 2 * shape.parameters / (split * device.flops * USE)
    return answers / max(moved, worked)
