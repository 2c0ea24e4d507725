"""Trained weights as a Hugging Face folder that any engine loads, compared with the weights in training before it counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from limo.models import Model, end_ids, load_tokenizer, load_weights
from limo.training.adapter import Lora
from limo.training.checkpoints import remove
from limo.training.compare import ExportError, alone, compare
from limo.training.module import Module
from limo.training.recipe import Training
from limo.training.strategies import Zero

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOLERANCE = {"32-true/float32": 1e-3, "other": 0.05, "quantized": 0.5}
"""Largest root-mean-square difference of logits, relative to their spread: rounding to 16 bits moves them by about a hundredth."""


def export(module: Module, folder: Path, name: str, tried: list[int]) -> None:
    """Write `<folder>/<name>/` (weights, tokenizer, chat template, generation config) and compare it; all ranks must call it.

    With an adapter the merged weights go there, and the adapter itself into `<folder>/adapter/`. `tried`: token ids of the one
    forward that is compared.
    """
    reference = logits(module, tried)
    state = gather(module)
    if module.global_rank == 0:
        partial = folder / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _unshard(module)
        adapter = module.training_config.adapter
        net = _full(module, state) if adapter is None else _merged(module, adapter, state, folder)
        save_weights(net, partial)
        save_tokenizer(module.base_model, partial)
        same_tensors(partial, net)
        compared = alone if module.training_config.liger else compare  # liger patches the library that would check it
        compared(partial, reference, tried, tolerance(module.training_config))
        remove(folder / name)
        partial.rename(folder / name)
    module.trainer.strategy.barrier()


@torch.no_grad()
def logits(module: Module, tried: list[int]) -> torch.Tensor:
    """[length, vocabulary] float32 logits of the weights in training, in the precision they train in."""
    module.net.eval()
    ids = torch.tensor([tried]).to(next(module.parameters()).device)
    with module.trainer.precision_plugin.forward_context():
        found: torch.Tensor = module.causal(input_ids=ids, use_cache=False).logits[0].float().cpu()
    module.net.train()
    return found


def gather(module: Module) -> dict[str, torch.Tensor]:
    """Trained weights by name, whole, on rank 0 in main memory; empty elsewhere. Names are those of the model without wrapper."""
    target = getattr(torch, module.training_config.export)
    full = module.training_config.adapter is None
    root = module.causal if full else module.net
    state = {}
    for name, parameter in root.named_parameters():
        if not (full or parameter.requires_grad):
            continue
        with _whole(module, parameter):
            if module.global_rank == 0:
                state[name] = parameter.detach().to("cpu", target if full else torch.float32, copy=True)
    if full and module.global_rank == 0:
        kept = set(root.state_dict())
        state |= {name: buffer.detach().cpu() for name, buffer in root.named_buffers() if name in kept}
    return state


@contextmanager
def _whole(module: Module, parameter: torch.nn.Parameter) -> Iterator[None]:
    if isinstance(module.strategy_config, Zero) and module.strategy_config.stage == 3:
        from limo.training.zero import gathered

        with gathered([parameter]):
            yield
    else:
        yield


def _unshard(module: Module) -> None:
    """After ZeRO-3, let transformers load whole weights again."""
    if isinstance(module.strategy_config, Zero) and module.strategy_config.stage == 3:
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        unset_hf_deepspeed_config()


def _full(module: Module, state: dict[str, torch.Tensor]) -> PreTrainedModel:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(module.base_model.folder(), trust_remote_code=False)
    config.dtype = getattr(torch, module.training_config.export)
    with torch.device("meta"):
        net = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    expected = {name: tensor.shape for name, tensor in net.named_parameters()}
    wrong = [
        f"{n} {tuple(state[n].shape) if n in state else 'absent'}"
        for n, shape in expected.items()
        if n not in state or state[n].shape != shape
    ]
    if wrong:
        raise ExportError(f"gathered weights do not have the model's shapes: {', '.join(wrong[:5])}")
    net.load_state_dict(state, strict=False, assign=True)
    net.tie_weights()
    return net  # type: ignore[no-any-return]


def _merged(module: Module, adapter: Lora, state: dict[str, torch.Tensor], folder: Path) -> PreTrainedModel:
    base = load_weights(module.base_model, dtype=torch.float32, attn_implementation="sdpa")
    wrapped = adapter.wrap(base, 0, mixed=True)
    unexpected = wrapped.load_state_dict(state, strict=False).unexpected_keys
    if unexpected or not state:
        raise ExportError(f"the adapter's weights do not fit the base: {unexpected[:5]}")
    wrapped.save_pretrained(folder / "adapter")
    return wrapped.merge_and_unload().to(getattr(torch, module.training_config.export))  # type: ignore[no-any-return]


def save_weights(net: PreTrainedModel, folder: Path) -> None:
    """Config and safetensors, as save_pretrained writes them; that one imports DeepSpeed even for a single process."""
    from huggingface_hub import save_torch_state_dict

    net.config.dtype = net.dtype
    net.config.save_pretrained(folder)
    kept = set(net.state_dict())
    once = dict(net.named_parameters()) | {name: buffer for name, buffer in net.named_buffers() if name in kept}
    save_torch_state_dict({name: tensor.detach().contiguous() for name, tensor in once.items()}, folder)


def same_tensors(folder: Path, written: PreTrainedModel) -> None:
    """Raises ExportError where a tensor on the disk is not the one in memory."""
    from safetensors import safe_open

    want = dict(written.named_parameters())
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:  # type: ignore[no-untyped-call]
            for name in tensors.keys():  # noqa: SIM118
                if name in want and not torch.equal(tensors.get_tensor(name), want[name]):
                    raise ExportError(f"{folder}: {name} is not what was written")


def save_tokenizer(model: Model, folder: Path) -> None:
    """The tokenizer with the template of this training, and a generation config that stops at the token the training taught."""
    tokenizer = load_tokenizer(model)
    tokenizer.save_pretrained(folder)
    path = model.folder() / "generation_config.json"
    settings: dict[str, object] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    settings["eos_token_id"] = end_ids(tokenizer, model)
    settings.setdefault("pad_token_id", tokenizer.pad_token_id)
    (folder / "generation_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")


def tolerance(training: Training) -> float:
    if training.adapter is not None and training.adapter.quantize:
        return TOLERANCE["quantized"]
    return TOLERANCE.get(f"{training.precision}/{training.export}", TOLERANCE["other"])
