"""Pretrained weights as training wants them: loaded in the right dtype, rotary frequencies whole, heads that the loss knows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from limo import UserError
from limo.models import Model, load_weights
from limo.optimizers import AdamW, Optimizer
from limo.training.recipe import Training
from limo.training.strategies import PLAIN, Strategy, Zero, plain_update

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)


def load(model: Model, training: Training, strategy: Strategy, attention: str) -> PreTrainedModel:
    """The pretrained weights in the dtype that this training keeps them in."""
    extra = training.adapter.quantization() if training.adapter is not None else {}
    try:
        return load_weights(model, dtype=kept(training, strategy), attn_implementation=attention, **extra)
    except UserError:
        raise
    except (ValueError, ImportError) as error:
        if training.packing and "attn" in str(error).lower():
            raise UserError(
                f"model.path={model.path}: {str(error).splitlines()[0]}; set training.packing=false or model.attention"
            ) from None
        raise


def kept(training: Training, strategy: Strategy) -> torch.dtype:
    """Weights are float32 unless bf16-true, frozen under an adapter, or DeepSpeed keeps the float32 copy itself."""
    if training.precision == "32-true":
        return torch.float32
    if training.precision == "bf16-true" or training.adapter is not None or isinstance(strategy, Zero):
        return torch.bfloat16
    return torch.float32


def offloaded(optimizer: Optimizer, named: list[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
    """DeepSpeed's vectorised AdamW for states in main memory, where a compiler can build it; else the optimizer itself."""
    if not isinstance(optimizer, AdamW) or plain_update(optimizer) or not torch.cuda.is_available():
        return optimizer.open(named)
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    try:
        live: torch.optim.Optimizer = DeepSpeedCPUAdam(
            optimizer.groups(named), lr=optimizer.lr, betas=optimizer.betas, eps=optimizer.eps
        )
    except RuntimeError as error:
        log.warning(
            f"! {PLAIN.format(optimizer.title)}: DeepSpeed's CPU Adam cannot be built ({error.__cause__ or error})"
        )
        return optimizer.open(named)
    return live


def restore_frequencies(net: torch.nn.Module) -> None:
    """Rebuild rotary frequencies in float32: casting the model, and ZeRO-3's loading, round them to bf16 (radians off at 16k tokens)."""
    for module in net.modules():
        old = getattr(module, "inv_freq", None)
        if isinstance(old, torch.Tensor) and hasattr(module, "config"):
            with torch.device("cpu"):
                fresh = type(module)(module.config)
            device: torch.device = old.device
            for name, buffer in fresh.named_buffers(recurse=False):
                if name.endswith("inv_freq"):
                    module.register_buffer(name, buffer.float().to(device), persistent=False)
            if hasattr(fresh, "original_inv_freq"):
                module.original_inv_freq = module.inv_freq
