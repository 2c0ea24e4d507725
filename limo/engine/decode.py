"""What the engines share: the number format of the weights, and how generated ids become an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limo import cluster, hardware
from limo.engine.protocol import Completion, Engine
from limo.models import Model
from limo.placement import SHARE, Wanted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def dtype(asked: str, model: Model) -> str:
    """The number format for an engine's `dtype`; `auto` is float32 on a CPU, where bfloat16 is slow and less exact."""
    if asked != "auto":
        return asked
    return model.dtype if hardware.gpus() else "float32"


def item_bytes(asked: str, model: Model, gpus: bool | None = None) -> int:
    """Bytes of a weight in that format, on this machine or on one with or without GPUs."""
    if asked == "auto" and gpus is not None:
        asked = model.dtype if gpus else "float32"
    return 4 if dtype(asked, model) == "float32" else 2


def wanted(engine: Engine, model: Model, longest: int | None = None, gpus: bool | None = None) -> Wanted:
    """What an engine is asked to serve, on this machine or on one with or without GPUs."""
    share = getattr(engine, "gpu_memory_utilization", SHARE)
    item = item_bytes(engine.dtype, model, gpus)
    replicas = 0 if on_ray(engine) else engine.replicas  # which may be more than one machine has room for
    return Wanted(model.shape(), engine.tensor_parallel, replicas, item, longest, share)


def on_ray(engine: Engine) -> bool:
    """Whether its replicas are Ray's actors."""
    return getattr(engine, "launcher", "local") == "ray"


def unlaunchable(engine: Engine) -> list[str]:
    """That what starts its replicas is not installed, one sentence."""
    return cluster.missing("engine.launcher=ray") if on_ray(engine) else []


def completion(tokenizer: PreTrainedTokenizerBase, ids: list[int], ended: bool) -> Completion:
    """Generated ids as a completion, decoded alike for every engine; `ended` says that the last one is an end token."""
    kept = ids[:-1] if ended else ids
    text = tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Completion(text=text, finish="stop" if ended else "length", tokens=len(ids))
