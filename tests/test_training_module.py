"""The loss and its gradient: the same however examples are packed, split and spread; examples in a pack do not see each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch.nn import functional

from limo import UserError
from limo.models import Model, attention
from limo.models.attention import NAME
from limo.models.encode import Encoded, encode
from limo.models.weights import refuse_other_heads
from limo.optimizers import AdamW
from limo.training import Training, TrainingStage
from limo.training.batches import Batch, BatchPlan, Layout, Step, plan_batches
from limo.training.module import Module
from limo.training.strategies import Single
from limo.training.weights import restore_frequencies


@cache
def base() -> str:
    import tempfile

    return str(tiny.model(Path(tempfile.mkdtemp()) / "base"))


@cache
def encoded() -> tuple[Encoded, ...]:
    return tuple(encode(tiny.tokenizer(), Model(path=base()), e) for e in tiny.examples(16))


@cache
def module(packing: bool, chunks: int) -> Module:
    """With weights, without a Trainer around it."""
    training = Training(
        steps=1, global_batch=8, max_length=200, precision="32-true", packing=packing, logit_chunks=chunks
    )
    made = Module(training, Model(path=base()), AdamW(lr=1.0), Single(), BatchPlan((), 1, 1.0), 1, 0)
    made.configure_model()
    return made


def gradient(made: Module) -> torch.Tensor:
    flat = torch.cat(
        [p.grad.flatten() if p.grad is not None else torch.zeros(p.numel()) for p in made.net.parameters()]
    )
    made.net.zero_grad()
    return flat


def by_hand(members: Sequence[Encoded], reduction: str) -> tuple[float, float, torch.Tensor]:
    """The reference: each example alone through the whole model, its logits all at once."""
    made = module(False, 1)
    total, hits = torch.zeros(()), 0.0
    for member in members:
        ids = torch.tensor([member.tokens])
        labels = ids.clone()
        labels[0, : member.prompt] = -100
        logits = made.net(input_ids=ids).logits
        loss = functional.cross_entropy(logits[0, :-1], labels[0, 1:], ignore_index=-100, reduction="sum")
        share = sum(m.supervised for m in members) if reduction == "token" else len(members) * member.supervised
        total = total + loss / share
        hits += float((logits[0, :-1].argmax(-1) == labels[0, 1:]).sum()) / share
    total.backward()
    return float(total.detach()), hits, gradient(made)


LAYOUTS = some.builds(
    Layout,
    global_batch=some.integers(1, 9),
    ranks=some.integers(1, 3),
    micro_batch=some.none(),
    max_tokens=some.integers(90, 300),
    packed=some.booleans(),
)


@settings(max_examples=25, deadline=None)
@given(
    LAYOUTS,
    some.sampled_from([1, 3, 8]),
    some.sampled_from([1, 60, 512]),
    some.sampled_from(["token", "sample"]),
    some.integers(0, 3),
)
def test_loss_and_gradient_of_a_step_are_those_of_its_examples_alone(
    layout: Layout, chunks: int, piece: int, reduction, seed: int
) -> None:
    step = plan_batches([len(e.tokens) for e in encoded()], layout, seed, epochs=1, steps=None).steps[0]
    made = module(layout.packed, chunks)
    loss = accuracy = 0.0
    for packs in step.packs:
        for pack in packs:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("limo.training.module.PIECE", piece)
                part, hits = made.part(Batch(pack, encoded(), step, layout.packed, reduction, 0))
            part.backward()
            loss += float(part.detach())
            accuracy += float(hits.detach())
    got = gradient(made)
    want, right, reference = by_hand([encoded()[place] for place in step.members], reduction)
    assert loss == pytest.approx(want, abs=1e-5) and accuracy == pytest.approx(right, abs=1e-5)
    assert float((got - reference).abs().max()) < 1e-5


def test_an_empty_micro_batch_has_no_loss_and_touches_every_weight() -> None:
    made = module(True, 3)
    step = Step(0, (((0,), ()),))
    part, hits = made.part(Batch((), encoded(), step, True, "token", 0))
    part.backward()
    assert float(part.detach()) == float(hits.detach()) == 0
    assert all(p.grad is not None and not p.grad.any() for p in made.net.parameters())
    made.net.zero_grad()


def logits(made: Module, members: Sequence[Encoded]) -> list[torch.Tensor]:
    ids = torch.tensor([t for m in members for t in m.tokens])[None]
    lengths = tuple(len(m.tokens) for m in members)
    with torch.no_grad():
        rows = made.causal.get_output_embeddings()(made.hidden(ids, lengths))[0]
    return list(rows.split(list(lengths)))


def test_examples_in_a_pack_have_the_logits_they_have_alone() -> None:
    members = encoded()[:5]
    for together, member in zip(logits(module(True, 1), members), members, strict=True):
        (alone,) = logits(module(True, 1), [member])
        assert torch.allclose(together, alone, atol=1e-5)


def test_the_check_before_training_notices_an_attention_that_leaks() -> None:
    made = module(True, 1)
    made._trainer = FakeTrainer()
    made.refuse_leaks()
    made.causal.set_attn_implementation("sdpa")
    made.attention = "sdpa"
    body, made.causal.model.forward = made.causal.model.forward, leaking(made.causal.model.forward)
    try:
        with pytest.raises(UserError, match=r"training\.packing=false"):
            made.refuse_leaks()
    finally:
        made.causal.model.forward = body
        made.causal.set_attn_implementation(NAME)
        made.attention = NAME


class FakeTrainer:
    class precision_plugin:  # noqa: N801
        @staticmethod
        def forward_context():
            from contextlib import nullcontext

            return nullcontext()


def leaking(forward):
    """What transformers does when it is left to guess: a full mask makes it forget where examples begin."""

    def run(input_ids, position_ids, use_cache, **_):
        return forward(
            input_ids=input_ids,
            position_ids=position_ids,
            attention_mask=torch.ones_like(input_ids),
            use_cache=use_cache,
        )

    return run


def test_layers_that_mix_tokens_without_attention_cannot_be_packed(tmp_path) -> None:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    net = MambaForCausalLM(MambaConfig(vocab_size=108, hidden_size=16, num_hidden_layers=1, state_size=4))
    made = module(True, 1)
    other = Module(made.training_config, made.base_model, made.optimizer_config, Single(), BatchPlan((), 1, 1.0), 1, 0)
    other.net, other._trainer = net, FakeTrainer()
    with pytest.raises(UserError, match=r"MambaForCausalLM.*training\.packing=false"):
        other.refuse_leaks()


def one_kernel(q, k, v, starts, _, longest, __, *, scale, window_size, enable_gqa):
    """What `torch.nn.attention.varlen.varlen_attn` is to compute: [tokens, heads, dim], segments from `starts`, on any device."""
    places = torch.arange(len(q))
    segment = torch.bucketize(places, starts[1:], right=True)
    back = places[:, None] - places[None, :]
    seen = (segment[:, None] == segment[None, :]) & (back >= 0)
    if window_size[0] >= 0:
        seen &= back <= window_size[0]
    assert longest == int(starts.diff().max()) and window_size[1] == 0 and starts.dtype == torch.int32
    rows = (tensor.transpose(0, 1)[None] for tensor in (q, k, v))
    found = torch.nn.functional.scaled_dot_product_attention(*rows, attn_mask=seen, scale=scale, enable_gqa=enable_gqa)
    return found[0].transpose(0, 1)


@pytest.mark.parametrize("window", [4, None])
@pytest.mark.parametrize("kernel", [False, True])
def test_packed_examples_attend_as_if_alone(kernel: bool, window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM, MistralConfig

    attention.register()
    monkeypatch.setattr(attention, "one_kernel", lambda *_: kernel)
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", one_kernel)
    torch.manual_seed(0)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    net = AutoModelForCausalLM.from_config(
        MistralConfig(vocab_size=108, sliding_window=window, **shape), attn_implementation=NAME
    ).eval()
    one, two = torch.randint(0, 108, (9,)), torch.randint(0, 108, (3,))
    positions = torch.cat([torch.arange(9), torch.arange(3)])[None]
    with torch.no_grad():
        packed = net(
            input_ids=torch.cat([one, two])[None], position_ids=positions, use_cache=False, segments=(9, 3)
        ).logits[0]
        net.set_attn_implementation("eager")
        alone = [net(input_ids=part[None], use_cache=False).logits[0] for part in (one, two)]
    assert torch.allclose(packed, torch.cat(alone), atol=1e-5)


def test_logits_that_a_model_changes_after_its_head_are_refused() -> None:
    from transformers import Cohere2Config, Gemma2Config

    class Net:
        config = Gemma2Config()

    with pytest.raises(UserError, match="final_logit_softcapping"):
        refuse_other_heads(Net())  # type: ignore[arg-type]
    Net.config = Cohere2Config()  # type: ignore[assignment]
    with pytest.raises(UserError, match="logit_scale"):
        refuse_other_heads(Net())  # type: ignore[arg-type]


def test_rotary_frequencies_come_back_in_full_precision() -> None:
    made = module(False, 1)
    want = made.causal.model.rotary_emb.inv_freq.clone()
    made.causal.model.rotary_emb.to(torch.bfloat16)
    assert not torch.equal(made.causal.model.rotary_emb.inv_freq.float(), want)
    restore_frequencies(made.net)
    assert torch.equal(made.causal.model.rotary_emb.inv_freq, want)
    assert made.causal.model.rotary_emb.inv_freq.dtype == torch.float32


def test_flash_attention_is_left_to_trainings_in_sixteen_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "flash", lambda: True)
    chosen = {how: attention.implementation("auto", *how) for how in product((True, False), ("bf16-mixed", "32-true"))}
    assert chosen == {
        (True, "bf16-mixed"): "flash_attention_2",
        (True, "32-true"): attention.NAME,
        (False, "bf16-mixed"): "flash_attention_2",
        (False, "32-true"): "sdpa",
    }
    model = Model(path="lab:base", attention="flash_attention_2")
    made = TrainingStage(training=Training(steps=1, global_batch=1, max_length=8, precision="32-true"), model=model,
                         optimizer=AdamW(lr=1.0), examples=Path("none.jsonl"), seed=0)  # fmt: skip
    assert "flash_attention_2 has no float32" in " ".join(made.missing())


def test_a_training_that_says_both_epochs_and_steps_is_refused() -> None:
    good = module(True, 1).training_config
    with pytest.raises(ValueError, match="epochs=2, steps=1"):
        replace(good, epochs=2)
