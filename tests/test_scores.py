"""Tables of scores: hand-made likelihoods against their formulas, packed as alone, in any order; vectors; files of others."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from limo import UserError, records
from limo.data import Files
from limo.models import Model
from limo.models.encode import Encoded
from limo.records import Example, Gold, Problem, Scored, ScoresSummary
from limo.scores import External, Hidden, Likelihood, Likeness, ScoresStage, Static, Tfidf
from limo.scores.likeness import turns
from limo.stage import summary

POOL = tiny.examples(8)
MODEL = Model(path="unused")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(path=str(tiny.model(tmp_path_factory.mktemp("base") / "base")), system=None)


def constant(folder: Path) -> Model:
    """A model that finds every token equally likely, whatever is before it."""
    from transformers import AutoModelForCausalLM

    tiny.model(folder, tied=False)
    net = AutoModelForCausalLM.from_pretrained(folder)
    net.lm_head.weight.data.zero_()
    net.save_pretrained(folder)
    return Model(path=str(folder), system=None)


def test_a_model_that_finds_all_tokens_alike_pays_log_v_and_ranks_all_first(tmp_path: Path) -> None:
    model = constant(tmp_path / "constant")
    shape = model.shape()
    assert shape
    every = Likelihood(sentences=1).measure(POOL, model, tmp_path).columns
    for example in POOL:
        found, price = every[example.id], math.log(shape.vocab_size)
        assert found["surprisal"] == pytest.approx(price, rel=1e-5) == pytest.approx(found["local"], rel=1e-5)
        assert found["rank"] == found["first"] == 1, "equal logits are not likelier"
        assert found["rsr"] == pytest.approx(1 / price, rel=1e-5)
        assert found["perplexity"] == pytest.approx(shape.vocab_size, rel=1e-4)
        assert found["ifd"] == pytest.approx(1) == found["ifd_perplexity"], "the answer depends on no question"


def test_tokens_whose_logits_bf16_makes_equal_cost_the_same_and_neither_is_likelier() -> None:
    import torch

    from limo.scores.forward import cost

    torch.manual_seed(0)
    head = torch.nn.Linear(16, 512, bias=False, dtype=torch.bfloat16)
    net = SimpleNamespace(get_output_embeddings=lambda: head)
    states = torch.randn(1, 16, dtype=torch.bfloat16)
    logits = head(states)[0].tolist()
    tied = [token for token, logit in enumerate(logits) if logits.count(logit) > 1]
    assert len(tied) > 50, "bf16 has few values"
    for token in tied:
        twins = [other for other in tied if logits[other] == logits[token]]
        costs = {cost(net, states, torch.tensor([other]), 512) for other in twins}  # type: ignore[arg-type]
        assert len(costs) == 1
        assert costs.pop().ranks == 1 + sum(logit > logits[token] for logit in logits)


def test_costs_are_those_of_the_formulas_on_logits_of_the_whole_model(base: Model, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from limo.models import load_tokenizer
    from limo.models.encode import encode

    net = AutoModelForCausalLM.from_pretrained(base.path).eval()
    clip = 20
    found = Likelihood(clip=clip).measure(POOL, base, tmp_path).columns
    for example in POOL:
        text = encode(load_tokenizer(base), base, example)
        with torch.inference_mode():
            logits = net(torch.tensor([text.tokens])).logits[0]
        surprisal, ranks = [], []
        for place in range(text.prompt, len(text.tokens)):
            row, token = logits[place - 1], text.tokens[place]
            surprisal.append(-float(row.log_softmax(-1)[token]))
            ranks.append(min(clip, 1 + sum(float(x) > float(row[token]) for x in row)))
        held = found[example.id]
        assert held["surprisal"] == pytest.approx(np.mean(surprisal), rel=1e-4)
        assert held["rank"] == pytest.approx(np.mean(ranks))
        assert held["rsr"] == pytest.approx(sum(ranks) / sum(surprisal), rel=1e-4)
        assert held["tokens"] == len(ranks)


def test_layers_that_packing_does_not_cover_are_measured_text_by_text_as_they_are(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from limo.models import load_tokenizer
    from limo.models.encode import encode

    model = Model(path=str(tiny.capped(tmp_path / "capped")), system=None, dtype="float32")
    found = Likelihood(alone=False).measure(POOL, model, tmp_path).columns
    net = AutoModelForCausalLM.from_pretrained(model.path, attn_implementation="eager").eval()
    for example in POOL:
        text = encode(load_tokenizer(model), model, example)
        ids = torch.tensor([text.tokens])
        with torch.inference_mode():
            price = torch.nn.functional.cross_entropy(net(ids).logits[0, text.prompt - 1 : -1], ids[0, text.prompt :])
        assert found[example.id]["surprisal"] == pytest.approx(float(price), rel=1e-4)


def test_packed_is_alone_in_any_order_and_any_pool(base: Model, tmp_path: Path, monkeypatch) -> None:
    from limo.scores import forward

    packed = Likelihood().measure(POOL, base, tmp_path / "packed").columns
    monkeypatch.setattr(forward, "PACK", {"cpu": 0})
    alone = Likelihood().measure(POOL[::-1][:5], base, tmp_path / "alone").columns
    for name, held in alone.items():
        assert packed[name] == pytest.approx(held, rel=1e-4)


def test_a_text_is_measured_once_whoever_asks_and_a_damaged_line_anew(base: Model, tmp_path: Path) -> None:
    first = Likelihood().measure(POOL[:5], base, tmp_path)
    assert first.tokens > 0
    more = Likelihood().measure(POOL, base, tmp_path)
    again = Likelihood().measure(POOL, base, tmp_path)
    assert more.tokens > 0 and again.tokens == 0 and again.columns == more.columns
    (kept,) = (tmp_path / "likelihood").glob("*.jsonl")
    lines = kept.read_text().splitlines()
    place = next(i for i, line in enumerate(lines) if line)
    kept.write_text("\n".join([*lines[:place], lines[place].replace("1", "2"), *lines[place + 1 :]]))
    mended = Likelihood().measure(POOL, base, tmp_path)
    assert 0 < mended.tokens < first.tokens
    assert all(mended.columns[e.id] == pytest.approx(more.columns[e.id]) for e in POOL)


def test_a_text_longer_than_the_context_has_no_score_and_is_counted(base: Model, tmp_path: Path) -> None:
    long = dataclasses.replace(POOL[0], id="long", solution="so on, " * 99)
    stage = stage_of(tmp_path, [*POOL, long], Likelihood(alone=False), base)
    stage.run(tmp_path)
    found = summary(tmp_path, ScoresSummary)
    assert found.unmeasured == {"longer than the context": 1}
    held = {row.id: row.columns for row in records.read(tmp_path / "scores.jsonl", Scored)}
    assert held["long"] == {} and set(held) == {e.id for e in [*POOL, long]} and held[POOL[0].id]["surprisal"] > 0


def test_hidden_vectors_are_of_length_one_and_weigh_later_positions_more(base: Model, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from limo.models import load_tokenizer
    from limo.models.encode import encode

    vectors = Hidden().measure(POOL, base, tmp_path).vectors
    net = AutoModelForCausalLM.from_pretrained(base.path).eval()
    text = encode(load_tokenizer(base), base, POOL[3])
    with torch.inference_mode():
        states = net.model(torch.tensor([text.tokens])).last_hidden_state[0]
    mean = sum((place + 1) * states[place] for place in range(len(states)))
    assert vectors[POOL[3].id] == pytest.approx((mean / mean.norm()).numpy(), abs=1e-4)


def test_tfidf_finds_the_nearest_question_and_the_same_text_in_any_order(tmp_path: Path) -> None:
    texts = [
        "how many apples has Anna",
        "how many apples has Bertha",
        "the integral of a sine",
        "HOW many apples has Anna?",
    ]
    pool = [dataclasses.replace(POOL[0], id=str(n), question=text) for n, text in enumerate(texts)]
    found = Tfidf().measure(pool, MODEL, tmp_path).vectors
    turned = Tfidf().measure(pool[::-1], MODEL, tmp_path).vectors
    assert all(np.allclose(found[name], turned[name], atol=1e-6) for name in found)
    cosine = np.stack([found[str(a)] for a in range(4)]) @ np.stack([found[str(a)] for a in range(4)]).T
    assert cosine[0, 3] == pytest.approx(1) and cosine[0, 1] > 0.5 > cosine[0, 2]


def test_static_embeddings_are_read_from_a_folder_and_whole_texts_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model2vec import StaticModel
    from tokenizers import Tokenizer, models, pre_tokenizers

    raw = Tokenizer(models.WordLevel({"[UNK]": 0, "sum": 1, "sine": 2}, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.Whitespace()
    StaticModel(np.array([[0.0, 0.01], [1.0, 0.0], [0.0, 1.0]], np.float32), raw).save_pretrained(tmp_path / "static")
    texts = {"a": "sum " * 600 + "sine " * 600, "b": "sum sum", "c": "sine"}
    pool = [dataclasses.replace(POOL[0], id=name, question=text) for name, text in texts.items()]
    found = Static(path=str(tmp_path / "static")).measure(pool, MODEL, tmp_path).vectors
    assert found["b"] @ found["c"] == pytest.approx(0, abs=0.1)
    assert found["a"] @ found["b"] == pytest.approx(found["a"] @ found["c"], abs=0.05), "nothing is cut off"
    assert Static(path=str(tmp_path / "static")).missing(MODEL) == []
    (said,) = Static(path=str(tmp_path / "nowhere")).missing(MODEL)
    assert "no model.safetensors in it" in said, "before anything that comes first is made"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (said,) = Static().missing(MODEL)
    assert (
        said.startswith("scores: path=minishlab/potion-base-8M: not in the local Hugging Face cache")
        and "hf download" in said
    )
    assert [one.address for one in Static().origins()] == ["minishlab/potion-base-8M"]
    with pytest.raises(UserError, match=r"scores: .*nowhere cannot be loaded .* give a folder that model2vec saved"):
        Static(path=str(tmp_path / "nowhere")).measure(pool, MODEL, tmp_path)


def stage_of(folder: Path, pool: list[Example], scorer: object, model: Model, **how: object) -> ScoresStage:
    records.write(folder / "candidates.jsonl", pool)
    return ScoresStage(
        candidates=folder / "candidates.jsonl", scorer=scorer, model=model, store=folder / "store", **how
    )  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
def test_queries_take_turns_and_each_takes_the_most_alike_that_is_left(queries: int, count: int, seed: int) -> None:
    like = np.random.default_rng(seed).random((queries, count))
    order = turns(like)
    assert sorted(order) == list(range(count))
    left = set(range(count))
    for turn, place in enumerate(order):
        assert place == max(left, key=lambda at: like[turn % queries, at])
        left.remove(place)


def test_a_development_set_that_is_a_benchmark_of_the_run_is_refused(base: Model, tmp_path: Path) -> None:
    rows = [{"question": e.question, "answer": e.answer, "solution": e.solution} for e in POOL[:3]]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dev = Files(path=tmp_path / "dev.jsonl", solution="solution")
    found = Likeness(to=dev).measure(POOL, base, tmp_path).columns
    assert sorted(held["place"] for held in found.values()) == list(range(1, 9))
    assert all(found[e.id]["cosine"] == pytest.approx(1, abs=1e-4) for e in POOL[:3]), "they are in the set themselves"

    class Test:
        def missing(self) -> list[str]:
            return []

        def problems(self) -> list[Problem]:
            return [Problem("t1", POOL[1].question.upper(), Gold("1"))]

    with pytest.raises(UserError, match="1 questions of the development set stand in the benchmark aime of this run"):
        stage_of(tmp_path, POOL, Likeness(to=dev), base, protect={"aime": Test()}).run(tmp_path)


def test_numbers_of_others_go_to_candidates_or_to_all_of_a_problem(tmp_path: Path) -> None:
    table = tmp_path / "influence.csv"
    table.write_text("id,influence,hard\ne1,0.5,\np2,2,1\n")
    found = External(path=table, columns=("influence", "hard")).measure(POOL, MODEL, tmp_path)
    assert found.columns == {"e1": {"influence": 0.5}, "e2": {"influence": 2.0, "hard": 1.0}}
    assert found.unmeasured == {"not in the file": 6}
    with pytest.raises(UserError, match=r"line 2: no column 'x' among id, influence, hard"):
        External(path=table, columns=("x",)).measure(POOL, MODEL, tmp_path)
    with pytest.raises(UserError, match=r"no id of .* is one of a candidate or a problem, such as e0"):
        External(path=table, id="hard", columns=("influence",)).measure(POOL, MODEL, tmp_path)
    table.write_text("id,influence\ne1,much\n")
    with pytest.raises(UserError, match=r"line 2: column 'influence' holds 'much', which is no number"):
        External(path=table, columns=("influence",)).measure(POOL, MODEL, tmp_path)


def test_the_model_of_the_run_counts_only_for_members_that_measure_by_one(base: Model, tmp_path: Path) -> None:
    other = dataclasses.replace(base, path=str(tiny.model(tmp_path / "other", seed=1)))

    def key(scorer: object, model: Model) -> object:
        return stage_of(tmp_path, POOL, scorer, model).fingerprint(lambda path: path.name)

    assert key(Tfidf(), base) == key(Tfidf(), other)
    assert key(Likelihood(), base) != key(Likelihood(), other)


def test_what_a_text_costs_depends_on_its_tokens_alone() -> None:
    from limo.scores.kept import key_of

    assert key_of(Encoded("a", (1, 2, 3), 1), 9) == key_of(Encoded("b", (1, 2, 3), 1), 9)
    assert len({key_of(Encoded("a", (1, 2, 3), prompt), clip) for prompt in (1, 2) for clip in (9, 10)}) == 4
