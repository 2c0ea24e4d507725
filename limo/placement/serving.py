"""How a model is spread over GPUs to answer: how many share its weights, how many engines there are, whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from limo.hardware import Gpu
from limo.models import Architecture

SHARE = 0.9
"""Of a GPU's memory that an engine fills (vLLM's own default)."""
GIB = 2**30
BASE = 3 * GIB // 2
"""Bytes on each GPU for the driver, messages and CUDA graphs."""
BATCHED = 16_384
"""Prompt tokens that vLLM takes in at once at most, on cards of LARGE bytes; half of them on smaller ones."""
LARGE = 70 * GIB
ROWS = 256
"""Answers that grow at once."""
LONGEST = 32_768
"""Tokens of the longest prompt and answer that is counted on where nobody says, if the model's own context is not shorter."""
FEW = 4
"""Longest answers at once below which an engine mostly reads weights: more GPUs to an engine then answer more in all."""
SHORTEST = 1024
"""Tokens: room for fewer is no remedy."""


@dataclass(frozen=True)
class Wanted:
    """What is to be served."""

    shape: Architecture | None
    asked: int | None = None
    """GPUs that share the weights; None takes the fewest that hold them and FEW longest answers, or else as many as can be."""
    replicas: int = 0
    """Engines side by side; 0 takes as many as there is room for."""
    item: int = 2
    """Bytes of a number."""
    longest: int | None = None
    """Tokens of the longest prompt and answer; None is LONGEST."""
    share: float = SHARE
    """Of a GPU's memory that an engine fills."""


@dataclass(frozen=True)
class Serving:
    """A model on the GPUs of one machine: what the plan prints, what a refusal quotes, what the engine is started with."""

    tensor_parallel: int
    """GPUs that share one copy of the weights."""
    replicas: int
    """Engines side by side."""
    weights: float = 0.0
    """Bytes on each GPU; 0 where the shape is not known."""
    token: float = 0.0
    """Bytes of keys and values of a token on each GPU."""
    longest: int = LONGEST
    """Tokens of the longest prompt and answer."""
    beside: float = 0.0
    """Bytes on each GPU for the prompts at work, the logits and BASE."""
    room: float = 0.0
    """Bytes that may be filled on the smallest GPU."""

    @property
    def needs(self) -> float:
        """Bytes on each GPU."""
        return self.weights + self.token * self.longest + self.beside

    @property
    def fits(self) -> bool:
        return self.needs <= self.room or not self.weights

    @property
    def answers(self) -> float:
        """Longest answers that an engine has room for at once."""
        return (self.room - self.weights - self.beside) / (self.token * self.longest) if self.weights else FEW


def kv_bytes(shape: Architecture, item: int = 2) -> int:
    """Bytes of keys and values per token, in numbers of `item` bytes."""
    return 2 * item * shape.num_hidden_layers * shape.keys


def serving(gpus: Sequence[Gpu], wanted: Wanted) -> Serving:
    """Where a model is served; shared by all GPUs that can where even those are too few."""
    allowed = [wanted.asked] if wanted.asked else splits(wanted.shape, len(gpus)) or [1]
    every = [_placed(gpus, wanted, split) for split in allowed]
    fitting = [one for one in every if one.fits] or every[-1:]
    return next((one for one in fitting if one.answers >= FEW), max(fitting, key=lambda one: one.answers))


def _placed(gpus: Sequence[Gpu], wanted: Wanted, split: int) -> Serving:
    count, shape, item = wanted.replicas or len(gpus) // split or 1, wanted.shape, wanted.item
    if shape is None:
        return Serving(split, count)
    least = min((gpu.memory for gpu in gpus), default=0)
    heads = max(1.0, shape.num_key_value_heads / split)  # beyond their number each GPU has a copy
    work = item * (3 * shape.intermediate_size / split + 6 * shape.hidden_size)
    return Serving(
        split,
        count,
        weights=shape.parameters * item / split,
        token=kv_bytes(shape, item) * heads / shape.num_key_value_heads,
        longest=min(wanted.longest or LONGEST, shape.max_position_embeddings),
        beside=BASE + (BATCHED if least >= LARGE else BATCHED // 2) * work + ROWS * 6 * shape.vocab_size,
        room=least * wanted.share,
    )


def splits(shape: Architecture | None, gpus: int) -> list[int]:
    """Numbers of GPUs that can share the weights: powers of two that divide what is cut."""
    return [n for n in (1, 2, 4, 8, 16) if n <= gpus and (n == 1 or (shape is not None and not uncut(shape, n)))]


def uncut(shape: Architecture, split: int) -> str | None:
    """What of a model so many GPUs cannot share evenly, with its number; None where they can."""
    keys = shape.num_key_value_heads
    parts = {"attention heads": shape.num_attention_heads, "columns of its MLP": shape.intermediate_size}
    parts |= {"key-value heads": keys} if split <= keys or split % keys else {}
    return next((f"{number:,} {name}" for name, number in parts.items() if number % split), None)


def lacks(gpus: Sequence[Gpu], memory: int, wanted: Wanted) -> list[str]:
    """Why a model cannot be served on these GPUs, or in main memory (bytes; 0 where not known) where there are none, one
    sentence.
    """
    shape, asked, replicas, placed = wanted.shape, wanted.asked, wanted.replicas, serving(gpus, wanted)
    split = placed.tensor_parallel
    if split > max(1, len(gpus)):
        return [
            f"engine.tensor_parallel={split} needs as many GPUs and there are {len(gpus)}; set it to at most that, or to null"
        ]
    if shape and asked and (what := uncut(shape, asked)):
        return [f"engine.tensor_parallel={asked} must divide the {what} of the model; set it to null"]
    if gpus and replicas * split > len(gpus):
        return [
            f"engine.replicas={replicas} with tensor_parallel={split} needs {replicas * split} GPUs and there are {len(gpus)}; "
            f"set engine.replicas={len(gpus) // split} or 0"
        ]
    if shape is None or (gpus and placed.fits):
        return []
    said, weights = f"engine: {shape.parameters / 1e9:.1f} billion weights take", shape.parameters * wanted.item
    if gpus:
        return [f"{said} {_sum(placed)}; {_remedy(gpus, wanted, placed)}"]
    if not memory or weights <= memory:
        return []
    return [
        f"{said} {weights / GIB:.0f} GiB and this machine has no GPU and {memory / GIB:.0f} GiB; "
        "run it where nvidia-smi shows GPUs, or choose a smaller model"
    ]


def _sum(placed: Serving) -> str:
    """The arithmetic of a refusal."""
    parts = placed.weights, placed.token * placed.longest, placed.beside, placed.needs, placed.room
    weights, cache, beside, needs, room = (f"{part / GIB:.1f}" for part in parts)
    many = f"{placed.tensor_parallel} GPU{'s' if placed.tensor_parallel > 1 else ''}"
    return (
        f"{weights} GiB on each of {many}, the keys and values of {placed.longest:,} tokens {cache} and what lies beside {beside}: "
        f"{needs} GiB, and {room} can be filled"
    )


def _remedy(gpus: Sequence[Gpu], wanted: Wanted, placed: Serving) -> str:
    if (auto := serving(gpus, replace(wanted, asked=None, replicas=0))).fits:
        return f"{auto.tensor_parallel} GPUs hold it together: engine.tensor_parallel=null, with engine=vllm"
    left = int((placed.room - placed.weights - placed.beside) / placed.token)
    shorter = f", or ask for shorter answers: {left:,} tokens with the prompt fit" if left >= SHORTEST else ""
    return f"take more or larger GPUs, or a smaller model{shorter}"
