"""How a model is spread over GPUs to answer: how many share its weights, how many engines there are, whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limo.hardware import Gpu
from limo.models import Architecture

SHARE = 0.9
"""Of a GPU's memory that an engine fills (vLLM's own default)."""
BESIDE = 4 * 2**30
"""Bytes on each GPU for the activations of the largest batch, CUDA graphs and the driver."""
LONGEST = 32_768
"""Tokens of the longest answer that the memory must hold, where the model's own context is not shorter."""


@dataclass(frozen=True)
class Serving:
    """A model on the GPUs of one machine."""

    tensor_parallel: int
    """GPUs that share one copy of the weights."""
    replicas: int
    """Engines side by side."""


def kv_bytes(shape: Architecture, item: int = 2) -> int:
    """Bytes of keys and values per token, in numbers of `item` bytes."""
    return 2 * item * shape.num_hidden_layers * shape.keys


def serving(
    gpus: Sequence[Gpu], shape: Architecture | None, asked: int = 0, replicas: int = 0, item: int = 2
) -> Serving:
    """Where a model is served. `asked` GPUs share its weights; 0 takes the fewest that hold them and one long answer, in
    numbers of `item` bytes, and that divide its heads, or all that do where even those are too few. `replicas` engines; 0
    takes as many as there is room for.
    """
    split = asked or next((n for n in splits(shape, len(gpus)) if needs(shape, n, item) <= room(gpus)), 0)
    split = split or max(splits(shape, len(gpus)), default=1)
    return Serving(split, replicas or len(gpus) // split or 1)


def splits(shape: Architecture | None, gpus: int) -> list[int]:
    """Numbers of GPUs that can share the weights: powers of two that divide the attention heads."""
    heads = shape.num_attention_heads if shape else 1
    return [n for n in (1, 2, 4, 8, 16) if n <= gpus and heads % n == 0]


def needs(shape: Architecture | None, split: int, item: int = 2) -> float:
    """Bytes on each of `split` GPUs: its part of the weights, of the longest answer's cache, and what lies beside."""
    if shape is None:
        return 0.0
    cache = kv_bytes(shape, item) * min(LONGEST, shape.max_position_embeddings)
    return (shape.parameters * item + cache) / split + BESIDE


def room(gpus: Sequence[Gpu]) -> float:
    """Bytes that an engine may fill on the smallest GPU."""
    return min((gpu.memory for gpu in gpus), default=0) * SHARE


def lacks(gpus: Sequence[Gpu], memory: int, shape: Architecture | None, asked: int = 0, item: int = 2) -> list[str]:
    """Why a model cannot be served on these GPUs, or in main memory (bytes; 0 where not known) where there are none, one
    sentence each. A number of GPUs that was `asked` for is refused only where it cannot be; 0 is refused also where the
    longest answer does not fit.
    """
    if asked > max(1, len(gpus)):
        return [
            f"engine.tensor_parallel={asked} needs as many GPUs and there are {len(gpus)}; set it to at most that, or to 0"
        ]
    if shape is None:
        return []
    if asked and shape.num_attention_heads % asked:
        heads = shape.num_attention_heads
        return [f"engine.tensor_parallel={asked} must divide the {heads} attention heads of the model; set it to 0"]
    weights, said = shape.parameters * item, f"{shape.parameters / 1e9:.1f} billion weights"
    if not gpus:
        if not memory or weights <= memory:
            return []
        return [
            f"engine: {said} take {weights / 2**30:.0f} GiB and this machine has no GPU and {memory / 2**30:.0f} GiB; "
            "run it where nvidia-smi shows GPUs, or choose a smaller model"
        ]
    split = serving(gpus, shape, asked, item=item).tensor_parallel
    wanted = weights / split if asked else needs(shape, split, item)
    if wanted <= room(gpus):
        return []
    return [
        f"engine: {said} take {wanted / 2**30:.1f} GiB on each of {split} GPU{'s' if split > 1 else ''} and {room(gpus) / 2**30:.1f} "
        "can be filled; take more or larger GPUs, or a smaller model"
        + ("" if asked else f", or try engine.tensor_parallel={split} with answers shorter than {LONGEST:,} tokens")
    ]
