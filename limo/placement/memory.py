"""Bytes that a training needs on each GPU and in main memory: weights, gradients, optimizer, activations, logits,
buffers.
"""

from __future__ import annotations

from dataclasses import dataclass

from limo.models import Architecture

PIECE = 512
"""Tokens whose logits are made together at least: every piece costs a gradient of the whole head, which fewer are not worth."""
HOST_FACTOR = 1.5
"""Main memory that DeepSpeed's offload takes beyond the states themselves (the additional buffer factor of its own
estimates).
"""
FULL_STATE = 16
"""Bytes per trained weight with AdamW in mixed precision: weight, gradient, two moments in float32 (or bf16 pairs and a float32 copy)."""
SHARE = 0.6
"""Of a GPU's memory that weights, gradients and optimizer fill at most where the strategy is chosen; the rest is for
activations and logits."""
LIVE = 1_000_000_000
"""Weights that ZeRO-3 holds whole at a time (DeepSpeed's `stage3_max_live_parameters`)."""


@dataclass(frozen=True)
class Setup:
    """What decides the memory of a training, in plain numbers."""

    ranks: int = 1
    """Processes, one GPU each."""
    local: int = 1
    """Of them on one machine."""
    stage: int = 0
    """ZeRO stage; 0 is one process or DDP."""
    offload_optimizer: bool = False
    offload_weights: bool = False
    precision: str = "bf16-mixed"
    trained: int | None = None
    """Weights of the adapters; None trains all."""
    frozen_bits: int = 16
    """Of a frozen weight under an adapter: 16, or 4 for QLoRA."""
    moments: float = 8.0
    """Bytes of optimizer state per trained weight: 8 for AdamW in float32, 2 for 8-bit, 4 for Muon."""
    tokens: int = 16384
    """In a micro-batch of one GPU."""
    longest: int = 16384
    """Of them in one example."""
    checkpointing: bool = False
    chunks: int = 8
    bucket: int = 500_000_000
    wide: bool = False
    """Gradients in float32 under ZeRO."""
    eager: bool = False
    """Attention that writes its whole matrix down."""


@dataclass(frozen=True)
class Footprint:
    """Bytes on one GPU, and in the main memory of one machine."""

    weights: int
    gradients: int
    optimizer: int
    """Float32 copy of the weights where there is one, and the moments."""
    update: int
    """During the optimizer's step only: float32 gradients that DeepSpeed makes for it."""
    activations: int
    logits: int
    gathered: int
    """Weights that ZeRO-3 holds whole for the layer at work."""
    buffers: int
    """Messages between GPUs."""
    host: int

    @property
    def states(self) -> int:
        """What is there all the time."""
        return self.weights + self.gradients + self.optimizer

    @property
    def peak(self) -> int:
        """The fuller of the two moments: the backward pass, the optimizer's step."""
        return self.states + self.buffers + max(self.update, self.activations + self.logits + self.gathered)


def footprint(shape: Architecture, setup: Setup) -> Footprint:
    """The memory of a training. Model states as DeepSpeed's own estimates count them for AdamW: 2 + 18/N bytes a weight for
    ZeRO-2 on N processes, 18/N for ZeRO-3; there the bf16 gradients, which its estimate leaves out, are added.
    """
    every = shape.parameters
    trained = every if setup.trained is None else setup.trained
    kept, gradient, master = widths(setup)
    frozen = 0 if setup.trained is None else every * setup.frozen_bits // 8
    weights = float(kept * trained + frozen)
    optimizer = float((master + setup.moments) * trained)
    gradients = float(gradient * trained)
    update = 4.0 * trained if setup.stage and setup.precision != "32-true" else 0.0
    cast = 2 * trained if not setup.stage and setup.precision == "bf16-mixed" else 0
    host = 0.0
    n = setup.ranks
    if setup.stage >= 1:
        optimizer, update = optimizer / n, update / n
    if setup.stage >= 2:
        gradients /= n
    if setup.stage == 3:
        weights /= n
    if setup.offload_optimizer:
        host += (optimizer + update) * setup.local
        optimizer = update = 0.0
        gradients = 0.0 if setup.stage >= 2 else gradients
    if setup.offload_weights:
        host += weights * setup.local
        weights = 0.0
    buffers = 2 * 2 * min(setup.bucket, trained) if setup.stage else 0
    return Footprint(
        weights=int(weights + cast),
        gradients=int(gradients),
        optimizer=int(optimizer),
        update=int(update),
        activations=activations(shape, setup),
        logits=logits(shape, setup),
        gathered=gathered(shape, setup),
        buffers=buffers,
        host=int(host * HOST_FACTOR),
    )


def gathered(shape: Architecture, setup: Setup) -> int:
    """What ZeRO-3 holds whole: weights of the layers at work, and the gradient of the head."""
    if setup.stage < 3:
        return 0
    (kept, gradient, _), table = widths(setup), shape.vocab_size * shape.hidden_size
    return kept * min(shape.parameters, max(LIVE, table)) + (gradient * table if setup.trained is None else 0)


def simplest(trained: int, frozen: int, processes: int, memory: int) -> tuple[int, bool]:
    """The simplest way to split so many trained weights beside so many bytes of frozen ones whose states fill no more than
    SHARE of a GPU's memory (bytes; 0 where there is none): the ZeRO stage (0 splits nothing), and whether the optimizer
    must go to main memory as well.
    """
    room = memory * SHARE
    if not room or frozen + FULL_STATE * trained <= room:
        return 0, False
    if frozen + 2 * trained + (FULL_STATE - 2) * trained / processes <= room:
        return 2, False
    return 3, (frozen + FULL_STATE * trained) / processes > room


def widths(setup: Setup) -> tuple[int, int, int]:
    """Bytes per trained weight: as kept, its gradient, its float32 copy in the optimizer (0 where there is none)."""
    if setup.precision == "32-true":
        return 4, 4, 4 if setup.stage else 0
    if setup.stage:  # DeepSpeed's bf16 keeps bf16 weights and gradients and a float32 copy, under either name
        return 2, 4 if setup.wide else 2, 4
    if setup.precision == "bf16-true":
        return 2, 2, 0
    return 4, 4, 0


def block(shape: Architecture, setup: Setup) -> int:
    """Bytes per token that one block keeps for its backward pass, as transformers' Qwen2 and Llama keep them
    (FlashAttention, SDPA).
    """
    wide = 2 if setup.precision == "32-true" else 1
    hidden = {"32-true": 24, "bf16-mixed": 26, "bf16-true": 16}[flow(setup)] * shape.hidden_size
    rest = wide * (4 * shape.queries + 4 * shape.keys + 8 * shape.intermediate_size) + 8 + 4 * shape.num_attention_heads
    matrix = 6 * shape.num_attention_heads * setup.longest if setup.eager else 0
    return hidden + rest + matrix


def flow(setup: Setup) -> str:
    """In which precision activations run: bf16-mixed keeps the stream between blocks in float32 only without DeepSpeed
    and adapters.
    """
    mixed = setup.precision == "bf16-mixed" and not setup.stage and setup.trained is None
    return "bf16-mixed" if mixed else "32-true" if setup.precision == "32-true" else "bf16-true"


def activations(shape: Architecture, setup: Setup) -> int:
    """With checkpointing the input of each block and one block at work, else all blocks; and the gradients in flight."""
    wide = 2 if setup.precision == "32-true" else 1
    stream = (2 if flow(setup) == "bf16-true" else 4) * shape.hidden_size
    flight = wide * 2 * (3 * shape.intermediate_size + 2 * shape.hidden_size)
    layers = shape.num_hidden_layers
    kept = layers * stream + block(shape, setup) if setup.checkpointing else layers * block(shape, setup)
    return setup.tokens * (kept + flight)


def logits(shape: Architecture, setup: Setup) -> int:
    """One chunk of the head's logits with their gradient (12 bytes an entry: bf16, float32, softmax), and the rows'
    hidden states.
    """
    rows = -(-setup.tokens // setup.chunks)
    if setup.stage < 3:  # training makes no smaller pieces there
        rows = max(rows, min(setup.tokens, PIECE))
    return 12 * rows * shape.vocab_size + 2 * 2 * setup.tokens * shape.hidden_size
