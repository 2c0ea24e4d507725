"""The engine that fits: vLLM where it is installed and serves the model on this machine, else transformers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from limo import hardware
from limo.config import component, runtime
from limo.engine.protocol import Engine, Session
from limo.engine.transformers import Transformers
from limo.engine.vllm import Vllm, build
from limo.models import Model

log = logging.getLogger(__name__)

SMALL = 10_000_000
"""Parameters under which vLLM's start outweighs its speed."""


@component
class AutoEngine:
    """Takes an engine by the machine and the model, and says in the log which and why."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: that of the model on a GPU, float32 on a CPU."""
    adapter: Path | None = None
    """A LoRA adapter folder (PEFT), served without merging it into the weights."""
    batch_size: int = runtime(default=0)
    """Answers that grow at once; 0 chooses by the memory."""
    replicas: int = runtime(default=0)
    """Engine processes that share the work; 0 is one per group of GPUs, one on a CPU."""
    launcher: Literal["local", "ray"] = runtime(default="local")
    """What starts the replicas: this process, or Ray as actors on any node of the cluster of RAY_ADDRESS."""
    tensor_parallel: int | None = runtime(default=None)
    """GPUs that share one copy of the weights, above 1 with vLLM alone; null takes the fewest that hold them and a few long answers."""

    def __post_init__(self) -> None:
        self._vllm()

    def pick(self, model: Model, longest: int | None = None) -> Engine:
        chosen, reason = self._choose(model)
        engine = chosen.pick(model, longest)
        log.info(f"engine: {type(engine).__name__.lower()}; {reason}")
        return engine

    def missing(self, model: Model, longest: int | None = None) -> list[str]:
        return self._choose(model)[0].missing(model, longest)

    def open(self, model: Model, max_length: int, requests: int) -> Session:
        return self._choose(model)[0].open(model, max_length, requests)

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, object]:
        """Another device or a vLLM that is there now gives other numbers, so they enter the key of a result."""
        adapter = digest(self.adapter) if self.adapter else None
        return {
            "vllm": (build() or "").partition(" ")[0],
            "gpu": bool(hardware.gpus()),
            "dtype": self.dtype,
            "adapter": adapter,
        }

    def _choose(self, model: Model) -> tuple[Engine, str]:
        """An engine and why it is taken."""
        vllm = self._vllm()
        if (self.tensor_parallel or 1) > 1:
            return vllm, f"tensor_parallel={self.tensor_parallel} is its alone"
        transformers = Transformers(
            dtype=self.dtype,
            adapter=self.adapter,
            batch_size=self.batch_size,
            replicas=self.replicas,
            launcher=self.launcher,
        )
        if reasons := vllm.unfit(model) or _small(model):
            return transformers, reasons[0].removeprefix("engine=vllm: ")
        return vllm, "it is installed and serves this model here"

    def _vllm(self) -> Vllm:
        return Vllm(
            dtype=self.dtype,
            adapter=self.adapter,
            batch_size=self.batch_size,
            replicas=self.replicas,
            launcher=self.launcher,
            tensor_parallel=self.tensor_parallel,
        )


def _small(model: Model) -> list[str]:
    """A model that transformers has answered with before vLLM has started (experiments/LOG.md, measured on a CPU)."""
    shape = model.shape()
    if shape is None or shape.parameters >= SMALL:
        return []
    return [f"vLLM takes longer to start than a model of {shape.parameters:,} parameters to answer"]
