"""The Lightning module over any Hugging Face causal language model: loads it, and has one loss."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytorch_lightning as lightning
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from limo import UserError
from limo.models import Model
from limo.models.attention import OtherAttentionError, implementation, isolation, register
from limo.models.weights import refuse_other_heads
from limo.optimizers import Optimizer
from limo.placement import PIECE
from limo.training.batches import Batch, BatchPlan
from limo.training.recipe import Training
from limo.training.strategies import Strategy, Zero
from limo.training.weights import load, offloaded, restore_frequencies

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)

NEVER = 2**30
"""More micro-batches than any run has; a power of two, by which a loss is multiplied and divided exactly."""


class Module(lightning.LightningModule):
    """Trains `net`. The loss of an optimizer step is Σ weight · cross-entropy over all its micro-batches and ranks (`Batch.weights`)."""

    def __init__(
        self,
        training: Training,
        model: Model,
        optimizer: Optimizer,
        strategy: Strategy,
        batch_plan: BatchPlan,
        ranks: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.training_config = training
        self.base_model = model
        self.optimizer_config = optimizer
        self.strategy_config = strategy
        self.batch_plan = batch_plan
        self.ranks = ranks
        self.seed = seed
        self.strict_loading = training.adapter is None
        self.net: Any = None
        self.packed = training.packing
        self.attention = implementation(model.attention, training.packing, training.precision)
        self.loss = torch.zeros(())
        """This rank's part of the loss of the current optimizer step."""
        self.hits = torch.zeros(())
        """Its part of the step's token accuracy, weighted like the loss."""
        self.norm = 0.0
        """Gradient norm of the last optimizer step, before clipping."""
        self._sharding: Any = None

    @property
    def causal(self) -> PreTrainedModel:
        """The causal model, without the wrapper of an adapter."""
        return self.net if self.training_config.adapter is None else self.net.get_base_model()  # type: ignore[no-any-return]

    def configure_model(self) -> None:
        """Load the weights; under ZeRO-3 transformers puts them straight into shards."""
        if self.net is not None:
            return
        register()
        if isinstance(self.strategy_config, Zero) and self.strategy_config.stage == 3:
            from transformers.integrations import HfDeepSpeedConfig

            # transformers holds it by a weak reference only
            self._sharding = HfDeepSpeedConfig(self.trainer.strategy.config)  # type: ignore[attr-defined]
        net = load(self.base_model, self.training_config, self.strategy_config, self.attention)
        if self.training_config.liger:
            from liger_kernel.transformers.monkey_patch import (  # type: ignore[import-not-found]
                _apply_liger_kernel_to_instance,
            )

            _apply_liger_kernel_to_instance(net, fused_linear_cross_entropy=False, cross_entropy=False)
        if self.training_config.activation_checkpointing:
            net.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if (adapter := self.training_config.adapter) is not None:
            # under ZeRO-3 shards of two dtypes cannot be gathered together
            net = adapter.wrap(net, self.seed, mixed=self._sharding is None)
            if self.training_config.activation_checkpointing:
                net.enable_input_require_grads()
        self.net = net.train()
        refuse_other_heads(self.causal)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        named = [(n, p) for n, p in self.net.named_parameters() if p.requires_grad]
        away = isinstance(self.strategy_config, Zero) and self.strategy_config.offload_optimizer
        live = offloaded(self.optimizer_config, named) if away else self.optimizer_config.open(named)
        self.peaks = [group["lr"] for group in live.param_groups]
        return live

    def on_train_start(self) -> None:
        restore_frequencies(self.net)
        if self.packed:
            self.refuse_leaks()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # every random number of a micro-batch (dropout) follows from its place in the run: nothing to save or restore
        torch.manual_seed(hash((self.seed, batch_idx, self.global_rank)) % 2**31)
        # steps differ in their number of micro-batches, and Lightning asks here whether one ends: at a multiple of this
        self.trainer.accumulate_grad_batches = 1 if batch.last else NEVER
        if isinstance(self.strategy_config, Zero):
            self.trainer.strategy.deepspeed_engine.set_gradient_accumulation_boundary(batch.last)  # type: ignore[attr-defined]
        elif batch.first:
            self.trainer.optimizers[0].zero_grad()
        if batch.first:
            self.loss, self.hits = batch.weights.new_zeros(()), batch.weights.new_zeros(())
            share = self.optimizer_config.schedule.at(self.trainer.global_step, len(self.batch_plan.steps))
            for group, peak in zip(self.trainer.optimizers[0].param_groups, self.peaks, strict=True):
                group["lr"] = peak * share

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: object) -> None:
        """Nothing: Lightning would do it at a step's last micro-batch, `on_train_batch_start` does it at the first."""

    @torch.no_grad()
    def refuse_leaks(self) -> None:
        """Raise UserError where an example in a pack sees its neighbour: layers that mix tokens by other means than attention."""
        self.net.eval()
        first, second = torch.arange(7) % 5, torch.arange(9) % 5 + 1
        try:
            with self.trainer.precision_plugin.forward_context():
                both = self.hidden(torch.cat([first, second])[None], (7, 9))[0, 7:]
                alone = self.hidden(second[None], (9,))[0]
        except OtherAttentionError as fault:
            raise UserError(f"training.packing: {fault}; set training.packing=false") from None
        self.net.train()
        if not torch.allclose(both, alone, rtol=0.05, atol=0.05 * float(alone.abs().max())):
            name = type(self.causal).__name__
            raise UserError(
                f"training.packing: the layers of {name} let packed examples see each other; set training.packing=false"
            )

    def hidden(self, ids: torch.Tensor, lengths: tuple[int, ...], packed: bool = True) -> torch.Tensor:
        """[rows, length, width] last hidden states of rows, or of one row of packed examples."""
        net, device = self.causal, next(self.net.parameters()).device
        body = getattr(net, net.base_model_prefix)
        positions = torch.cat([torch.arange(n) for n in lengths])[None].to(device) if packed else None
        apart = isolation(self.attention, lengths, device) if packed else {}
        found: torch.Tensor = body(
            input_ids=ids.to(device), position_ids=positions, use_cache=False, **apart
        ).last_hidden_state
        return found

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        part, hits = self.part(batch)
        self.loss += part.detach()
        self.hits += hits.detach()
        # Lightning divides by the accumulation and data parallelism averages over ranks: undo both
        undone: torch.Tensor = part * (self.trainer.accumulate_grad_batches * self.ranks)
        return undone

    def part(self, batch: Batch) -> torch.Tensor:
        """[2] This micro-batch's part of the loss of its step and of its token accuracy, of supervised tokens only: head and
        cross-entropy in chunks."""
        hidden = self.hidden(batch.ids, batch.lengths, self.packed)
        rows = hidden.flatten(0, 1).index_select(0, batch.where)
        head = self.causal.get_output_embeddings()
        chunks = self.training_config.logit_chunks
        if self._sharding is None:
            chunks = min(chunks, max(1, -(-len(rows) // PIECE)))
        # else a fixed number, also where there are fewer tokens: under ZeRO-3 all ranks must gather the head equally often
        if chunks == 1:
            whole: torch.Tensor = weighted(head, rows, batch.targets, batch.weights)
            return whole
        total: torch.Tensor = rows.new_zeros(2, dtype=torch.float32)
        parts = zip(
            rows.tensor_split(chunks),
            batch.targets.tensor_split(chunks),
            batch.weights.tensor_split(chunks),
            strict=True,
        )
        for hidden_part, targets, weights in parts:
            total = total + checkpoint(weighted, head, hidden_part, targets, weights, use_reentrant=False)
        return total

    def over_ranks(self, *parts: torch.Tensor) -> list[float]:
        """The sums over ranks of numbers that each has its own of, in one message; all ranks must call it."""
        own = torch.stack(parts)
        every: torch.Tensor = self.trainer.strategy.reduce(own, reduce_op="sum") if self.ranks > 1 else own  # type: ignore[assignment]
        return every.tolist()

    def grad_norm(self) -> float:
        """Gradient norm of the last optimizer step over all ranks, before clipping."""
        if isinstance(self.strategy_config, Zero):
            return float(self.trainer.strategy.deepspeed_engine.get_global_grad_norm() or 0.0)  # type: ignore[attr-defined]
        return self.norm

    def sizes(self) -> tuple[int, int]:
        """Number of weights, and of those that are trained."""
        count = [(int(getattr(p, "ds_numel", p.numel())), p.requires_grad) for p in self.net.parameters()]
        return sum(n for n, _ in count), sum(n for n, trained in count if trained)

    def states(self) -> float:
        """Bytes that weights, gradients and AdamW's states take on each process, as this strategy splits them."""
        every, trained = self.sizes()
        size = next(self.net.parameters()).element_size()
        stage = self.strategy_config.stage if isinstance(self.strategy_config, Zero) else 0
        share = [1 / self.ranks if stage >= level else 1.0 for level in (1, 2, 3)]
        copy = 4 if stage and size == 2 else 0  # DeepSpeed's float32 copy of 16-bit weights
        total: float = every * size * share[2] + trained * (size * share[1] + (8 + copy) * share[0])
        return total

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> float:
        """Loss per supervised token over batches of which this rank has its own; all ranks must call it."""
        self.net.eval()
        total = torch.zeros((), device=self.loss.device)
        with self.trainer.precision_plugin.forward_context():
            for batch in batches:
                total += self.part(batch.to(total.device))[0]
        self.net.train()
        return self.over_ranks(total)[0]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        if not isinstance(self.strategy_config, Zero):
            limit = self.training_config.max_grad_norm or float("inf")
            self.norm = float(
                torch.nn.utils.clip_grad_norm_([p for p in self.net.parameters() if p.grad is not None], limit)
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.training_config.adapter is not None and "state_dict" in checkpoint:
            trained = {f"net.{n}" for n, p in self.net.named_parameters() if p.requires_grad}
            checkpoint["state_dict"] = {n: v for n, v in checkpoint["state_dict"].items() if n in trained}


def weighted(head: torch.nn.Module, hidden: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """[2] The weighted sums of cross-entropies and of tokens that are the first choice; the second has no gradient."""
    logits = head(hidden).float()
    loss = functional.cross_entropy(logits, targets, reduction="none")
    return torch.stack([(loss * weights).sum(), ((logits.argmax(-1) == targets) * weights).sum()])
