"""DeepSpeed under Lightning, made right: gradients divided once, weights loaded straight into shards, ranks on CPU too."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")

import deepspeed
from lightning_fabric.utilities.seed import reset_seed
from pytorch_lightning.plugins.precision import DeepSpeedPrecision
from pytorch_lightning.strategies import DeepSpeedStrategy

from limo.training.strategies import Zero

if not torch.cuda.is_available():
    # the shared-memory collectives need a compiler at first use and a minute; gloo does without. `import a.b.torch as x`
    # would bind the real torch, which that module imports
    importlib.import_module("deepspeed.comm.torch")
    sys.modules["deepspeed.comm.torch"].build_shm_op = lambda: None  # type: ignore[attr-defined]


class Precision(DeepSpeedPrecision):
    """Divides the loss by the accumulation once: Lightning has done it already, so DeepSpeed must not do it again."""

    def backward(self, tensor: torch.Tensor, model: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        model.trainer.model.backward(tensor, *args, scale_wrt_gas=False, **kwargs)


class Sharded(DeepSpeedStrategy):
    """DeepSpeedStrategy that leaves ZeRO-3's sharded loading to transformers and runs without CUDA as well."""

    def setup_environment(self) -> None:
        # the parent's own method only adds the refusal of anything but CUDA
        super(DeepSpeedStrategy, self).setup_environment()

    def setup_distributed(self) -> None:
        reset_seed()
        self.set_world_ranks()
        self._init_deepspeed_distributed()

    @contextmanager
    def model_sharded_context(self) -> Iterator[None]:
        # a second deepspeed.zero.Init around that of from_pretrained breaks adapters
        self._init_config_if_needed()
        yield

    def _setup_model_and_optimizer(self, model: Any, optimizer: Any, lr_scheduler: Any = None) -> tuple[Any, Any]:
        engine, live, _, _ = deepspeed.initialize(
            config=self.config,
            model=model,
            model_parameters=[p for p in model.parameters() if p.requires_grad],
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            dist_init_required=False,
        )
        return engine, live


def open_strategy(strategy: Zero, precision: str, clip: float | None, frozen: bool) -> Sharded:
    """The live strategy. `frozen`: some weights are not trained and need not be in checkpoints."""
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": strategy.settings(),
        "gradient_clipping": clip or 0.0,
    }
    if strategy.gradients == "fp32":
        config |= {"data_types": {"grad_accum_dtype": "fp32"}, "communication_data_type": "fp32"}
    return Sharded(config=config, precision_plugin=Precision(precision), exclude_frozen_parameters=frozen)  # type: ignore[arg-type]


@contextmanager
def gathered(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    """Inside, ZeRO-3 parameters are whole on every rank."""
    with deepspeed.zero.GatheredParameters(parameters):
        yield
