"""Texts through a model as training sees them: packed, each alone, the head in parts; what every token of an answer costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from limo import hardware
from limo.engine.decode import dtype
from limo.models import Model, load_weights
from limo.models.attention import OtherAttentionError, implementation, isolation, register
from limo.models.encode import Encoded
from limo.models.weights import refuse_other_heads

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROWS = 512
"""Positions whose logits exist at a time."""
PACK = {"cuda": 16384, "cpu": 2048}
"""Tokens that go through the model together; a longer text goes alone."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the tokens of one answer cost a model."""

    surprisal: float
    """Nats, summed: -log p of each token given those before it."""
    ranks: float
    """1 + how many tokens of the vocabulary are likelier, at most `clip`, summed. Equal logits are not likelier."""
    first: int
    """Tokens that were the model's first choice."""
    tokens: int


class Network:
    """A causal model to measure with."""

    def __init__(self, model: Model) -> None:
        register()
        precision = dtype("auto", model)
        self.attention = implementation(model.attention, True, "32-true" if precision == "float32" else "bf16-true")
        net = load_weights(model, dtype=getattr(torch, precision), attn_implementation=self.attention)
        refuse_other_heads(net)
        self.net: PreTrainedModel = net.to("cuda" if hardware.gpus() else "cpu").eval()
        self.context = net.config.get_text_config().max_position_embeddings
        try:
            self.pack = PACK[self.net.device.type] if self._apart() else 0
        except OtherAttentionError:  # as the model's own code has it, each text alone
            self.net.set_attn_implementation("eager")
            self.pack = 0

    @torch.inference_mode()
    def hidden(self, pack: Sequence[Encoded]) -> torch.Tensor:
        """[tokens, width] last hidden states of texts end to end, none of which sees another."""
        lengths, device = tuple(len(text.tokens) for text in pack), self.net.device
        ids = torch.tensor([[token for text in pack for token in text.tokens]], device=device)
        positions = torch.cat([torch.arange(n) for n in lengths])[None].to(device)
        apart = isolation(self.attention, lengths, device) if len(lengths) > 1 else {}
        body = getattr(self.net, self.net.base_model_prefix)
        found: torch.Tensor = body(input_ids=ids, position_ids=positions, use_cache=False, **apart).last_hidden_state[0]
        return found

    @torch.inference_mode()
    def costs(self, pack: Sequence[Encoded], clip: int) -> list[Cost]:
        """What the answers of texts cost, in order."""
        states, found, start = self.hidden(pack), [], 0
        for text in pack:
            end = start + len(text.tokens)
            targets = torch.tensor(text.tokens[text.prompt :], device=states.device)
            found.append(cost(self.net, states[start + text.prompt - 1 : end - 1], targets, clip))
            start = end
        return found

    @torch.inference_mode()
    def _apart(self) -> bool:
        """Whether packed texts are measured as they are alone; layers that mix tokens otherwise than by attention do not let them."""
        texts = [Encoded(str(n), tuple(range(3, 3 + n)), 1) for n in (5, 7)]
        both = self.hidden(texts)[5:]
        alone = self.hidden(texts[1:])
        return torch.allclose(both, alone, rtol=0.05, atol=0.05 * float(alone.abs().max()))


@torch.inference_mode()
def cost(net: PreTrainedModel, states: torch.Tensor, targets: torch.Tensor, clip: int = 1) -> Cost:
    """What tokens cost after the [tokens, width] hidden states before them; the head works on ROWS at a time."""
    head = net.get_output_embeddings()
    surprisal, ranks, first = 0.0, 0, 0
    for part, wanted in zip(torch.split(states, ROWS), torch.split(targets, ROWS), strict=True):
        logits = head(part).float()
        own = logits.gather(1, wanted[:, None])
        surprisal += float((logits.logsumexp(1) - own[:, 0]).double().sum())
        rank = 1 + (logits > own).sum(1)
        ranks += int(rank.clamp(max=clip).sum())
        first += int((rank == 1).sum())
    return Cost(surprisal, ranks, first, len(targets))


def packs(texts: Sequence[Encoded], room: int) -> Iterator[list[Encoded]]:
    """All texts, longest first, in packs of at most so many tokens or one text; room 0 gives each its own."""
    held: list[Encoded] = []
    for text in sorted(texts, key=lambda t: (-len(t.tokens), t.id)):
        if held and sum(len(t.tokens) for t in held) + len(text.tokens) > room:
            yield held
            held = []
        held.append(text)
    if held:
        yield held


def through(network: Network, texts: Mapping[str, Encoded], clip: int) -> Iterator[tuple[str, Cost]]:
    """What each text costs, by its name, as it is measured."""
    from limo.data.progress import bar

    named = [replace(text, id=name) for name, text in texts.items()]
    for pack in bar(list(packs(named, network.pack)), "scoring", "pack"):
        yield from zip((text.id for text in pack), network.costs(pack, clip), strict=True)
