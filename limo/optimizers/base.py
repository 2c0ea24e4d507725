"""What every optimizer has: a peak learning rate, decoupled weight decay on matrices, a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from limo.config import component, runtime
from limo.optimizers.schedule import NotNegative, Schedule

if TYPE_CHECKING:
    import torch

Named = list[tuple[str, "torch.nn.Parameter"]]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]
"""What a running average keeps at each step."""


@component
class Optimizer:
    """Settings that every optimizer has."""

    name: ClassVar[str] = ""
    """The member of `optimizer` that it is; a class of one's own needs none, and inherits none."""
    whole: ClassVar[bool] = False
    """It looks at whole matrices, so ZeRO's flat partitions would change what it computes."""
    moments: ClassVar[float] = 8.0
    """Bytes that it keeps per trained weight; two numbers in float32 here."""

    lr: Positive
    """Peak learning rate."""
    weight_decay: NotNegative = 0.0
    """Decoupled; on matrices and embeddings, not on norms and biases."""
    schedule: Schedule = Schedule()
    largest: float | None = runtime(default=None)
    """Weights of the largest model that these settings were made for; a larger one is refused. Null asks nothing."""

    @property
    def title(self) -> str:
        """As sentences call it: the word that chooses it, or its class."""
        own = vars(type(self))
        return str(own.get("name") or type(self).__name__)

    def missing(self) -> list[str]:
        """What this machine lacks for it, one sentence each."""
        return []

    def open(self, named: Named) -> torch.optim.Optimizer:
        """The live optimizer over named parameters."""
        raise NotImplementedError

    def groups(self, named: Named) -> list[dict[str, Any]]:
        """Parameters with and without weight decay."""
        with_decay = [p for _, p in named if matrix(p)]
        without = [p for _, p in named if not matrix(p)]
        pairs = ((with_decay, self.weight_decay), (without, 0.0))
        return [{"params": members, "weight_decay": decay} for members, decay in pairs if members]


def matrix(parameter: torch.nn.Parameter) -> bool:
    """Whether weight decay applies; under ZeRO-3 a partitioned parameter still knows its shape."""
    shape = getattr(parameter, "ds_shape", parameter.shape)
    return len(shape) >= 2
