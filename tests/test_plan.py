from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limo import UserError, pipeline, tasks
from limo.compose import compose
from limo.config import Config
from limo.engine import Forcing
from limo.hardware import Gpu
from limo.models import Architecture
from limo.placement import Setup, footprint, kv_bytes, memory
from limo.plan import Plan, cost, plan
from limo.plan.command import main, parse, survey
from limo.plan.generation import Generation, generations
from limo.plan.text import text
from limo.records import AttemptsSummary, Manifest, SieveSummary, write_record
from limo.stage import Pending, Stage
from limo.store import Store
from tests.command import pooled, started

GIB = 2**30
H100 = (Gpu("NVIDIA H100 80GB HBM3", 80 * GIB),) * 8
TINY = Architecture(
    hidden_size=128,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=512,
    vocab_size=64,
)
PUBLISHED = {
    "qwen2.5-3b-instruct": 3_085_938_688,
    "qwen2.5-7b-instruct": 7_615_616_512,
    "qwen2.5-14b-instruct": 14_770_033_664,
    "qwen2.5-32b-instruct": 32_763_876_352,
    "qwen2.5-72b-instruct": 72_706_203_648,
    "qwen2.5-math-7b-instruct": 7_615_616_512,
    "r1-distill-qwen-32b": 32_763_876_352,
    "qwq-32b": 32_763_876_352,
    "qwen1.5-32b-chat": 32_512_218_112,
    "smollm2-135m": 134_515_008,
}
"""Weights that the models' own files count (the index of their safetensors)."""


@cache
def composed(*overrides: str) -> Config:
    return compose(["+experiment=limo817", *overrides])


def shape(model: str) -> Architecture:
    architecture = composed(f"model={model}").model.architecture
    assert isinstance(architecture, Architecture)
    return architecture


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_architectures_have_the_published_number_of_weights(model: str) -> None:
    # the formula counts Qwen's attention biases; Llama-shaped SmolLM2 has none, 0.02 % of its weights
    assert shape(model).parameters == pytest.approx(PUBLISHED[model], rel=0 if "smol" not in model else 3e-4)


def test_keys_and_values_take_the_known_bytes() -> None:
    assert kv_bytes(shape("qwen2.5-7b-instruct")) == 56 * 1024
    assert kv_bytes(shape("qwen2.5-32b-instruct")) == 256 * 1024


def test_arithmetic_agrees_with_a_published_count() -> None:
    # verl's test of its FLOPs counter for Qwen2.5-7B on sequences of 512, 1024 and 2048 tokens. It counts the embedding
    # as a matrix and attention without a causal mask; both are added here.
    model, lengths = shape("qwen2.5-7b-instruct"), (512, 1024, 2048)
    ours = sum(cost.training_flops(model, n, n) for n in lengths)
    table = 6 * model.vocab_size * model.hidden_size * sum(lengths)
    masked = 6 * model.num_hidden_layers * model.hidden_size * sum(n * n for n in lengths)
    assert ours + table + masked == pytest.approx(170388331954176, rel=1e-3)


def test_states_agree_with_the_estimates_of_deepspeed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    stage3 = pytest.importorskip("deepspeed.runtime.zero.stage3", reason="DeepSpeed is not installed here")
    stage2 = pytest.importorskip("deepspeed.runtime.zero.stage_1_and_2")
    model = shape("qwen2.5-7b-instruct")
    weights = model.parameters
    for ranks in (1, 8, 32):
        local = min(ranks, 8)
        nodes, setup = ranks // local, Setup(ranks=ranks, local=local, stage=3)
        _, theirs, _ = stage3.estimate_zero3_model_states_mem_needs(weights, 0, local, nodes, cpu_offload=False)
        ours = footprint(model, setup)
        assert theirs == pytest.approx(18 * weights / ranks, rel=1e-6)
        # theirs leaves out the bf16 gradients
        assert ours.states + ours.update - ours.gradients == pytest.approx(theirs, rel=1e-3)

        host, theirs, _ = stage3.estimate_zero3_model_states_mem_needs(
            weights, 0, local, nodes, cpu_offload=True, cpu_offload_params=False, zero_init=True
        )
        ours = footprint(model, dataclasses.replace(setup, offload_optimizer=True))
        assert ours.states == pytest.approx(theirs, rel=1e-3)
        assert ours.host == pytest.approx(host, rel=1e-3)

        _, theirs = stage2.estimate_zero2_model_states_mem_needs(weights, local, nodes, cpu_offload=False)
        ours = footprint(model, dataclasses.replace(setup, stage=2))
        assert theirs == pytest.approx((2 + 18 / ranks) * weights, rel=1e-6)
        assert ours.states + ours.update == pytest.approx(theirs, rel=1e-3)


@pytest.mark.parametrize(("precision", "trained"), [("32-true", None), ("bf16-mixed", None), ("bf16-true", None)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_what_torch_keeps_for_the_backward_pass(
    precision: str, trained: int | None, checkpointing: bool
) -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokens = 256
    sizes = []
    for layers in (2, 4):
        settings = {k: v for k, v in dataclasses.asdict(TINY).items() if v is not None} | {"num_hidden_layers": layers}
        model = Qwen2ForCausalLM(Qwen2Config(**settings)).train()
        model = model.to(torch.bfloat16 if precision == "bf16-true" else torch.float32)
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        kept: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor, own: set[int] = own, kept: dict[int, torch.Tensor] = kept) -> torch.Tensor:
            place = tensor.untyped_storage().data_ptr()
            # copies of weights that autocast makes are counted with the weights
            if place not in own and tokens in tensor.shape:
                kept[place] = tensor
            return tensor

        ids = torch.arange(tokens)[None] % TINY.vocab_size
        mixed = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed")
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), mixed:
            model.model(input_ids=ids, use_cache=False)
        sizes.append(sum(t.untyped_storage().nbytes() for t in kept.values()))
    measured = (sizes[1] - sizes[0]) / 2 / tokens
    setup = Setup(precision=precision, tokens=tokens, longest=tokens, checkpointing=checkpointing)
    deeper = memory.activations(dataclasses.replace(TINY, num_hidden_layers=5), setup)
    assert (deeper - memory.activations(TINY, setup)) / tokens == pytest.approx(measured, rel=0.01)


def test_states_of_one_process_are_what_torch_holds_after_a_step() -> None:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    settings = {k: v for k, v in dataclasses.asdict(TINY).items() if v is not None}
    for precision, dtype in (("32-true", torch.float32), ("bf16-mixed", torch.float32), ("bf16-true", torch.bfloat16)):
        model = Qwen2ForCausalLM(Qwen2Config(**settings)).to(dtype)
        optimizer = torch.optim.AdamW(model.parameters())
        model(input_ids=torch.arange(8)[None]).logits.float().sum().backward()
        optimizer.step()
        state = [t for s in optimizer.state.values() for t in s.values() if t.numel() > 1]
        held = sum(t.nbytes for p in model.parameters() for t in (p, p.grad)) + sum(t.nbytes for t in state)
        needs = footprint(TINY, Setup(precision=precision, moments=4.0 if precision == "bf16-true" else 8.0))
        cast = 2 * TINY.parameters if precision == "bf16-mixed" else 0  # of autocast, during the passes
        assert needs.states - cast == pytest.approx(held, rel=1e-3)


@given(
    stage=st.integers(1, 3),
    ranks=st.sampled_from([1, 2, 4, 8]),
    tokens=st.sampled_from([2048, 16384]),
    offload=st.booleans(),
    trained=st.sampled_from([None, 10_000_000]),
)
def test_memory_falls_with_more_processes_and_stages_and_recomputation(
    stage: int, ranks: int, tokens: int, offload: bool, trained: int | None
) -> None:
    model = Architecture(
        hidden_size=3584,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        intermediate_size=18944,
        vocab_size=152064,
    )
    setup = Setup(stage=stage, ranks=ranks, local=ranks, tokens=tokens, offload_optimizer=offload, trained=trained)
    now = footprint(model, setup)
    assert footprint(model, dataclasses.replace(setup, ranks=2 * ranks, local=2 * ranks)).peak <= now.peak
    recomputed = footprint(model, dataclasses.replace(setup, checkpointing=True))
    assert recomputed.activations < now.activations and recomputed.peak <= now.peak
    assert footprint(model, dataclasses.replace(setup, tokens=2 * tokens)).peak >= now.peak
    if stage < 3 and ranks > 1:
        assert footprint(model, dataclasses.replace(setup, stage=stage + 1)).states <= now.states


def test_the_paper_s_run_is_planned_with_its_own_numbers() -> None:
    config = composed()
    made = plan(config, survey(config), H100)
    assert made.amounts.examples == 817
    assert made.training is not None and made.training.steps == 390
    assert [one.answers for one in made.generations] == [3733, 3733]
    assert made.training.setup.ranks == 8 and made.training.setup.stage == 3
    out = text(made)
    for word in ("32.8 billion weights", "390 optimizer steps", "GPU hours", "DOES NOT FIT", "Assumed"):
        assert word in out


@pytest.mark.parametrize(
    ("gpus", "model"),
    [
        ("1x4090", "qwen2.5-7b-instruct"),
        ("2xA100", "qwen2.5-7b-instruct"),
        ("1xH100", "qwen2.5-32b-instruct"),
        ("8xH100", "qwen2.5-32b-instruct"),
        ("4x8xH100", "qwen2.5-32b-instruct"),
    ],
)
def test_what_the_plan_proposes_composes_and_fits(gpus: str, model: str) -> None:
    here, nodes = parse(gpus)
    asked = [f"model={model}", "training.activation_checkpointing=false"]
    asked += [f"training.strategy.nodes={nodes}"] if nodes > 1 else []
    made = plan(composed(*asked), {}, here)
    assert made.training is not None and not made.training.fits and made.training.instead
    changes = made.training.instead.partition(" (")[0].split()
    kept = [o for o in asked if o.partition("=")[0] not in {c.partition("=")[0] for c in changes}]
    better = plan(composed(*kept, *changes), {}, here)
    assert better.training is not None and better.training.fits


def test_where_nothing_helps_the_plan_says_so() -> None:
    made = plan(composed("model=qwen2.5-72b-instruct"), {}, parse("1x4090")[0])
    assert made.training is not None and made.training.instead is None
    assert "nothing the plan knows makes it fit" in text(made)


def test_offloaded_states_must_fit_main_memory_too() -> None:
    config = composed("training=zero3_offload", "training.activation_checkpointing=true")
    large, small = (plan(config, {}, H100, host=gib * GIB).training for gib in (2000, 256))
    assert large is not None and large.fits
    assert small is not None and not small.fits


def test_data_that_are_here_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    rows = [{"question": "q" * 60, "answer": "1", "solution": "s" * 2940} for _ in range(50)]
    file.write_text("".join(json.dumps(row | {"question": f"{i:060d}"}) + "\n" for i, row in enumerate(rows)))
    config = composed(f"data.path={file}", "data.rows=null", "selection.size=20")
    made = plan(config, {}, H100)
    assert (made.amounts.problems, made.amounts.examples) == (50, 20)
    system = len(config.model.system or "")
    assert made.amounts.length == pytest.approx((3000 + system) / 3.0, rel=0.02)
    assert made.training is not None and made.training.tokens == pytest.approx(20 * 15 * made.amounts.length)
    assert "counted in" in made.amounts.source


def test_a_step_whose_result_is_in_the_store_costs_nothing_more(tmp_path: Path) -> None:
    config = composed()
    steps: dict[str, Path | None] = dict.fromkeys(
        ("data", "selection", "training", "evaluation/base", "evaluation/tuned")
    )
    folder = tmp_path / "selection" / "0123"
    folder.mkdir(parents=True)
    example = {"id": "e", "problem": "p", "question": "?", "answer": "1", "solution": "s" * 300}
    (folder / "examples.jsonl").write_text("".join(json.dumps(example) + "\n" for _ in range(64)))
    made = plan(config, steps | {"selection": folder, "evaluation/base": tmp_path}, H100)
    assert made.amounts.examples == 64
    assert [one.task for one in made.generations] == ["evaluation/tuned"]
    assert dict(made.tasks) == {name: name in ("selection", "evaluation/base") for name in steps}
    assert text(made).count("in the store") == 2


def test_every_sieve_is_priced_by_the_problems_that_those_before_it_leave(tmp_path: Path) -> None:
    config = composed("attempts=limo", "evaluation=none", "stages=[data,attempts]")
    made = plan(config, survey(config), H100)
    # of 817 problems half are assumed to stay at each rule, and a problem that goes is spared half its tries
    assert [(one.task, one.answers) for one in made.generations] == [
        ("attempts/coarse", round(817 * 4 * 0.75)),
        ("attempts/fine", round(817 / 2 * 32 * 0.75)),
        ("attempts/qwq", 817),
    ]
    assumed = "5,300 tokens an answer; 50 % of the problems it tries are assumed to stay; about 408 problems"
    assert f"attempts/fine: {assumed}" in text(made)
    config = composed("attempts=limo", "attempts.fine.stop=false", "evaluation=none", "stages=[data,attempts]")
    whole = plan(config, survey(config), H100)
    assert whole.generations[1].answers == round(817 / 2 * 32)
    (tmp_path / "attempts").mkdir()
    write_record(tmp_path / "summary.json", SieveSummary(817, 100, {"too easy": 717}, 1, 1, 0, 0, 817, None, 0))
    write_record(tmp_path / "attempts" / "summary.json", AttemptsSummary(817, 900, {"stop": 1.0}, 9))
    known = {"attempts/coarse": tmp_path / "attempts", "grades/coarse": tmp_path}
    assert [one.answers for one in plan(config, survey(config) | known, H100).generations] == [3200, 200]


def test_what_the_store_has_is_found(tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    file.write_text(json.dumps({"question": "1+1?", "answer": "2", "solution": "2"}) + "\n")
    config = composed(f"data.path={file}", "data.rows=null", f"store={tmp_path / 'store'}", "data.decontamination=null")
    assert set(survey(config).values()) == {None}
    stages: list[Stage] = []

    def note(name: str, stage: Stage) -> Path:
        stages.append(stage)
        return Pending.at(name)

    tasks.walk(config, note)
    store = Store(tmp_path / "store")
    with store.building("data", pipeline.key(stages[0], store)) as (folder, _):
        (folder / "problems.jsonl").write_text("")
        result = store.finish(folder, Manifest("data", "key", 1.0, "", {}))
    found = survey(config)
    assert found["data"] == result and set(found.values()) == {None, result}


def test_engines_are_as_large_as_the_weights_need() -> None:
    made = plan(composed(), dict.fromkeys(("evaluation/base", "evaluation/tuned")), parse("4xH100")[0])
    assert "engines of 2 GPUs, 2 at once" in text(made)
    made = plan(composed(), dict.fromkeys(("evaluation/base", "evaluation/tuned")), parse("1x4090")[0])
    assert any("billion weights take" in sentence for sentence in made.refused)
    assert all(one.hours is None for one in made.generations)


def test_the_plan_counts_the_time_that_processes_wait_and_the_machines_that_stand_idle() -> None:
    tasks = dict.fromkeys(("training", "evaluation/base", "evaluation/tuned"))
    config = composed("training.strategy.nodes=4")
    made = plan(config, tasks, H100)
    alone = plan(composed(), tasks, H100)
    assert made.training is not None and alone.training is not None
    assert made.training.efficiency is not None and alone.training.efficiency is not None
    assert made.training.efficiency < 0.65 < 0.85 < alone.training.efficiency
    ratio = alone.training.efficiency / made.training.efficiency
    assert made.training.hours == pytest.approx(alone.training.hours * ratio)
    lines = [" ".join(line.split()) for line in text(made).splitlines()]
    (trained,) = [line for line in lines if line.startswith("training ") and "GPUs" in line]
    answered = [line for line in lines if line.startswith("evaluation/") and "GPUs of 32" in line]
    assert trained.endswith("h on 32 GPUs") and len(answered) == 2
    assert all(line.endswith("h on 8 GPUs of 32, engines run on one machine") for line in answered)


def test_a_small_model_is_planned_for_the_processor_where_there_is_no_gpu() -> None:
    made = plan(composed("model=smollm2-135m"), {}, (), host=8 * GIB)
    assert not made.machine.gpus and "processor" in text(made)
    made = plan(composed(), {}, (), host=8 * GIB)
    assert made.machine.gpus and not made.seen and "no GPU is seen here" in text(made)


def test_a_gpu_without_a_data_sheet_has_memory_and_no_hours() -> None:
    steps = dict.fromkeys(("evaluation/base", "evaluation/tuned"))
    made = plan(composed("model=qwen2.5-7b-instruct"), steps, (Gpu("NVIDIA L400", 80 * GIB),) * 8)
    assert made.training is not None and made.training.hours is None and made.training.needs.peak > 0
    assert all(one.hours is None for one in made.generations)
    assert "NVIDIA L400: no data sheet is known under this name, so there are no hours and no mfu" in text(made)


def test_gpus_are_named_in_words() -> None:
    assert parse("8xH100") == ((Gpu("NVIDIA H100 80GB HBM3", 80 * GIB),) * 8, 1)
    assert parse("4x8xA100-40") == ((Gpu("NVIDIA A100-SXM4-80GB", 40 * GIB),) * 8, 4)
    for wrong in ("H100", "8xH900", "8 x H100", ""):
        with pytest.raises(UserError, match="--gpus"):
            parse(wrong)


def test_planning_loads_no_torch_and_a_mistake_is_one_sentence() -> None:
    script = "import sys; sys.argv = ['plan', *{!r}]; from limo.plan.command import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script.format(["+experiment=limo817"])], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip().endswith("False")
    run = subprocess.run(
        [sys.executable, "-m", "limo", "plan", "model=gpt5"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert run.stderr.startswith("limo: model=gpt5 does not exist") and "Traceback" not in run.stderr


def test_what_runs_of_a_sweep_share_is_made_and_counted_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*pooled(tmp_path), "stages=[data,selection]", f"store={tmp_path / 'store'}"]
    words += ["-m", "selection=random,longest", "selection.size=1,2", "seed=0,1"]
    main(words)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("8 runs, on ")
    rows = [line.split() for line in lines if line.startswith("selection=")]
    made = sum(int(row[3]) for row in rows)
    assert len(rows) == 8 and made < sum(int(row[3]) + int(row[4]) for row in rows)
    done = started(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "store").glob("*/*/manifest.json"))) == made
    main(words)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("selection=")]
    assert [row[3:5] for row in rows] == [["0", "0"]] * 8


def test_a_recipe_that_is_a_sweep_is_planned_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["+experiment=rq5_sample_count", "--gpus", "8xH100"])
    out = capsys.readouterr().out
    assert "12 runs, on 8 × NVIDIA H100 80GB HBM3; GPU hours" in out and "every run: training needs about" in out


def test_a_table_of_scores_is_priced_by_its_passes_and_not_where_the_store_has_it(tmp_path: Path) -> None:
    words = ("selection=rsr", "selection.size=800")
    made = plan(composed(*words), {"scores/likelihood": None}, H100)
    (one,) = made.scorings
    assert one.tokens == 817 * 2 * made.amounts.length and (one.hours or 0) > 0
    assert "scores/likelihood" in text(made)
    (less,) = plan(composed(*words, "scores.likelihood.alone=false"), {"scores/likelihood": None}, H100).scorings
    assert less.tokens == one.tokens / 2
    assert plan(composed(*words), {"scores/likelihood": tmp_path}, H100).scorings == ()
    assert plan(composed("selection=k_center"), {"scores/tfidf": None}, H100).scorings == (), "no model reads for it"


ANSWERS: dict[str, Path | None] = dict.fromkeys(("evaluation/base", "evaluation/tuned"))


def forcing(how: Forcing | None) -> Config:
    config = composed()
    return dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, forcing=how))


@cache
def unforced() -> Plan:
    return plan(forcing(None), ANSWERS, H100)


def forced(how: Forcing | None) -> list[Generation]:
    """The answers of the paper's run before and after training."""
    return list(generations(forcing(how), unforced().machine, unforced().amounts, ANSWERS))


def test_forcing_that_forces_nothing_costs_nothing() -> None:
    assert forced(Forcing()) == forced(None)


@settings(max_examples=30)
@given(
    waits=st.integers(0, 12),
    thinking=st.none() | st.integers(1, 32_768 - 600),
    answer=st.integers(1, 600),
)
def test_a_model_made_to_go_on_costs_more_with_every_wait_and_never_more_tokens_than_its_budget(
    waits: int, thinking: int | None, answer: int
) -> None:
    how = Forcing(waits=waits, thinking=thinking, answer=answer)
    for now, more, plain in zip(
        forced(how), forced(dataclasses.replace(how, waits=waits + 1)), forced(None), strict=True
    ):
        assert now.answers == more.answers == plain.answers
        assert now.answers and now.tokens and more.tokens and plain.tokens
        assert now.hours and more.hours and plain.hours
        assert more.tokens >= now.tokens and more.hours > now.hours, "each wait is a start of the engine at least"
        assert now.tokens <= now.answers * (32_768 if thinking is None else thinking + answer)
        if thinking is None:
            assert now.tokens >= plain.tokens and now.hours >= plain.hours


def test_answers_that_go_on_read_again_what_stands_of_them() -> None:
    (_, plain), (_, once), (_, twice) = (forced(Forcing(waits=waits)) for waits in (0, 1, 2))
    assert plain.tokens and once.tokens and twice.tokens
    assert twice.tokens - once.tokens == once.tokens - plain.tokens > 0
    assert twice.hours and once.hours and plain.hours and twice.hours - once.hours > once.hours - plain.hours
    out = text(plan(forcing(Forcing(waits=2)), ANSWERS, H100))
    assert "evaluation/tuned: 5,300 tokens an answer, 7,950 with budget forcing, " in out
    assert "2 more starts of the engine" in out and "read again" in out and "Wait" not in text(unforced())


def test_thinking_that_is_cut_short_is_cheaper_and_concludes_in_one_more_start() -> None:
    (_, plain), (_, cut) = forced(None), forced(Forcing(thinking=1000, answer=200))
    assert cut.answers and cut.tokens == cut.answers * 1200
    assert cut.hours and plain.hours and cut.hours < plain.hours
    assert "1 more start of the engine" in cut.note


def test_a_sieve_that_is_made_to_go_on_is_priced_too() -> None:
    words = ("attempts=limo", "evaluation=none", "stages=[data,attempts]")
    way = "evaluation/forcing@attempts.qwq.sampling.forcing"
    plain, longer = (
        plan(config, survey(config), H100).generations
        for config in (composed(*words), composed(*words, f"+{way}=think", "attempts.qwq.sampling.forcing.waits=2"))
    )
    assert [one.task for one, more in zip(plain, longer, strict=True) if one != more] == ["attempts/qwq"]
    assert (longer[-1].tokens or 0) > (plain[-1].tokens or 0)
