"""Weights into memory: one loader for sampling, training and probing, which refuses what would be filled with random numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from limo import UserError
from limo.models.files import listed
from limo.models.model import Model

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_weights(model: Model, **options: Any) -> PreTrainedModel:
    """The weights as transformers loads them with these options. Raises UserError where a tensor is missing, unknown or misshapen."""
    from transformers import AutoModelForCausalLM

    net, info = AutoModelForCausalLM.from_pretrained(
        model.folder(), output_loading_info=True, trust_remote_code=False, **options
    )
    if getattr(net.config, "quantization_config", None) is None and (fault := misfit(info)):
        raise UserError(f"model.path={model.path}: {fault}")
    return net  # type: ignore[no-any-return]


def misfit(info: Mapping[str, Collection[Any]]) -> str | None:
    """What transformers found amiss when it loaded weights, in one clause."""
    wrong = [
        f"{words} {listed(sorted(info[kind]))}"
        for kind, words in (("missing_keys", "lack"), ("unexpected_keys", "have beyond its architecture"))
        if info[kind]
    ]
    if info["mismatched_keys"]:
        name, found, wanted = sorted(info["mismatched_keys"])[0]
        wrong.append(f"have {name} as {tuple(found)}, not {tuple(wanted)}")
    return f"its weights {' and '.join(wrong)}; take a checkpoint that is whole" if wrong else None


def refuse_other_heads(net: PreTrainedModel) -> None:
    """Some models scale or cap their logits after the head; the chunked loss would leave that out."""
    names = ("final_logit_softcapping", "logits_scaling", "logit_scale", "lm_head_multiplier")
    found = [n for n in names if getattr(net.config, n, None) not in (None, 1, 1.0)]
    if found:
        raise UserError(
            f"model.path: {type(net).__name__} changes its logits after the head ({', '.join(found)}), which this loss does not know"
        )
