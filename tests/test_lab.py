"""The lab: problems with right solutions, a tokenizer that loses nothing, bases that are what their cards say."""

from __future__ import annotations

import json
import random
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from limo.config import PACKAGE
from limo.lab import Pool, Questions
from limo.lab.corpus import CURRICULUM, Writer
from limo.lab.pretrain import Pretraining
from limo.lab.problems import LEVELS, draw_chain, solve
from limo.lab.source import KINDS
from limo.lab.tokenizer import make
from limo.records import Problem
from tests.command import started

BASES = sorted(p.parent for p in (PACKAGE / "lab" / "bases").glob("*/card.json"))
STEP = re.compile(r"([a-p])=(\d+)(?:([-+*])(\d)=(\d+))?;")
PLAN = re.compile(r"(.)<(.);")
SLIP = re.compile(r"[^;]+;Wait:")


def evaluate(question: str) -> tuple[int, dict[str, int], list[str]]:
    """An evaluator of its own: answer, all values, names from leaf to the one asked, from the question's text alone."""
    text = re.sub(r"(\w) is ", r"\1=", question).replace(" plus ", "+").replace(" minus ", "-").replace(" times ", "*")
    right = dict(re.findall(r"(\w)=([^;.?]+)[;.]", text.replace("What=", "")))
    asked = re.search(r"(\w)\?$", question)
    assert asked

    def value(name: str) -> int:
        return eval(re.sub(r"[a-p]", lambda m: f"({value(m[0])})", right[name])) % 37

    path = [asked[1]]
    while found := re.search(r"[a-p]", right[path[-1]]):
        path.append(found[0])
    return value(asked[1]), {n: value(n) for n in right}, path[::-1]


def check(problem: Problem) -> None:
    """Every line of a good solution is true of the question, in the order of the chain, and ends in its answer."""
    answer, values, path = evaluate(problem.question)
    (solution,) = problem.solutions
    assert problem.answer == str(answer) and solution.endswith(f"\\boxed{{{answer}}}")
    assert PLAN.findall(solution) == [*pairwise(path)][::-1]
    steps = STEP.findall(SLIP.sub("", solution.partition("Check:")[0]))
    assert [s[0] for s in steps] == path
    for name, first, operator, constant, result in steps:
        assert values[name] == (int(result) if operator else int(first))
        if operator:
            assert eval(f"({first}{operator}{constant})") % 37 == int(result)


@pytest.mark.parametrize("level", [4, 5])
def test_every_good_solution_computes_its_answer_by_an_independent_evaluator(level: int) -> None:
    levels = tuple(float(n == level) for n in LEVELS)
    pool = Pool(size=400, levels=levels, surface_b=0.5, steps=(1.0,) * 12, copies=0.0, slips=0.2).problems()
    assert {p.meta["steps"] for p in pool} == set(range(1, 13))
    for problem in pool:
        check(problem)
        assert ("Check:" in problem.solutions[0]) == (level == 5)
    slips = [
        found[0] for p in pool for found in [re.findall(r"=(\d+);Wait:(.<.)=[^;]*=(\d+);", p.solutions[0])] if found
    ]
    assert len(slips) > 200 and all(wrong != right for wrong, _, right in slips)


def test_the_independent_evaluator_finds_a_damaged_solution() -> None:
    (problem,) = Pool(size=1, levels=(0, 0, 0, 0, 1)).problems()
    damaged = re.sub(r"=(\d+);Check", lambda m: f"={(int(m[1]) + 1) % 37};Check", problem.solutions[0])
    with pytest.raises(AssertionError):
        check(Problem(problem.id, problem.question, problem.gold, (damaged,)))


def test_lower_levels_lose_the_plan_the_steps_and_the_right_answer() -> None:
    rng = random.Random(0)
    chains = [draw_chain(rng, 6) for _ in range(300)]
    texts = {level: [solve(chain, level, rng) for chain in chains] for level in LEVELS}
    steps = {n: sum(len(STEP.findall(t.partition("Check:")[0])) for t in texts[n]) / len(chains) for n in LEVELS}
    right = {
        level: sum(t.endswith(f"{{{c.answer}}}") for t, c in zip(texts[level], chains, strict=True)) for level in LEVELS
    }
    assert steps[5] == steps[4] == 7 > steps[3] > 6 > steps[2] > 1
    assert right[5] == right[4] == right[3] == right[2] == 300 and 100 < right[1] < 200
    assert [all(PLAN.search(t) for t in texts[level]) for level in LEVELS] == [False, False, True, True, True]


def test_what_a_base_reads_is_true_and_the_longer_a_question_the_rarer_are_its_steps() -> None:
    writer = Writer(CURRICULUM[-1], random.Random(0))
    reasoned: dict[bool, list[bool]] = {False: [], True: []}
    for kind, write in writer.kinds.items():
        for _ in range(400 if kind == "asked" else 60):
            text = "".join(piece for piece, _ in write())
            assert text.startswith("Q:") == (kind == "asked")
            if kind == "facts":
                facts = re.findall(r"(\d+)([-+*])(\d)=(\d+)", text)
                assert len(facts) == 10 and all(eval(f"{a}{o}{b}") % 37 == int(r) for a, o, b, r in facts)
            elif kind == "asked":
                question, _, answer = text.removeprefix("Q:").partition("A:")
                value, _, path = evaluate(question)
                assert answer.endswith(f"\\boxed{{{value}}}")
                reasoned[len(path) > 5].append("<" in answer)
                assert [s[0] for s in STEP.findall(SLIP.sub("", answer))] == (path if "<" in answer else [])
            elif kind in ("notes", "worked"):
                context, _, rest = text.partition(":")[2].partition("?")
                steps = STEP.findall(SLIP.sub("", rest))
                values = evaluate(f"{context}{steps[-1][0]}?")[1]
                assert steps and all(values[name] == int(result or first) for name, first, _, _, result in steps)
    assert 0.02 < sum(reasoned[True]) / len(reasoned[True]) < 0.15 < sum(reasoned[False]) / len(reasoned[False]) < 0.4


def test_a_corpus_without_reasoning_or_worked_words_has_none() -> None:
    def texts(how: Pretraining) -> dict[str, list[str]]:
        writer = Writer(how.curriculum()[-1], random.Random(0))
        return {k: ["".join(t for t, _ in write()) for _ in range(300)] for k, write in writer.kinds.items()}

    shown, hidden = texts(Pretraining()), texts(Pretraining(reasoned=0.0, worked_b=0.0))
    assert any("<" in t for t in shown["asked"]) and not any("<" in t for t in hidden["asked"])
    assert any(" is " in t for t in shown["worked"]) and not any(" is " in t for t in hidden["worked"])
    assert any(" is " in t for t in hidden["find"])
    assert any("Wait:" in t for t in hidden["worked"])


def test_muon_steps_as_torch_does_but_for_its_rounding() -> None:
    import torch

    from limo.lab.muon import Muon

    torch.manual_seed(0)
    start = torch.randn(64, 160)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    two: list[torch.optim.Optimizer] = [
        Muon([ours], lr=0.02),
        torch.optim.Muon([theirs], lr=0.02, momentum=0.95, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(5):
        gradient = torch.randn(64, 160)
        for weight, optimizer in zip((ours, theirs), two, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = (theirs - start).norm()
    assert moved > 1 and (ours - theirs).norm() < 0.03 * moved


def test_the_same_seed_gives_the_same_pool_and_another_seed_another() -> None:
    assert Pool(size=300).problems() == Pool(size=300).problems()
    assert not {p.question for p in Pool(size=300).problems()} & {p.question for p in Pool(size=300, seed=1).problems()}
    assert Questions(size=50).problems() == Questions(size=100).problems()[:50]


def test_pool_pretraining_and_benchmarks_share_no_problem() -> None:
    def content(question: str) -> frozenset[str]:
        plain = re.sub(r"(\w) is ", r"\1=", question.replace("What is ", "asked "))
        plain = plain.replace(" plus ", "+").replace(" minus ", "-").replace(" times ", "*")
        return frozenset(re.split(r"[;.]\s*|asked ", plain))

    pool = {content(p.question) for p in Pool(size=2000, surface_b=0.5).problems()}
    benchmarks = {
        split: [content(p.question) for kind in KINDS for p in Questions(kind=kind, size=200, split=split).problems()]
        for split in ("dev", "test")
    }
    assert len(benchmarks["test"]) == 1000 and not pool & {*benchmarks["dev"], *benchmarks["test"]}
    assert not {*benchmarks["dev"]} & {*benchmarks["test"]}
    rng = random.Random(0)
    assert all(draw_chain(rng, 5, part="train").part == "train" for _ in range(50))


@pytest.mark.parametrize("kind", KINDS)
def test_a_benchmark_holds_the_lengths_and_the_surface_that_its_name_promises(kind: str) -> None:
    fewest, most, surface = KINDS[kind]  # type: ignore[index]
    problems = Questions(kind=kind, size=100).problems()  # type: ignore[arg-type]
    assert {p.meta["steps"] for p in problems} == set(range(fewest, most + 1))
    for p in problems:
        answer, _, path = evaluate(p.question)
        assert str(answer) == p.answer and len(path) - 1 == p.meta["steps"]
        assert (" is " in p.question) == (surface == "B") == (p.meta["surface"] == "B")


def test_answers_are_spread_evenly_so_a_guess_is_right_in_one_of_37() -> None:
    answers = [p.answer for p in Pool(size=3000).problems()]
    assert all(0.015 < answers.count(str(v)) / 3000 < 0.04 for v in range(37))


def test_copies_repeat_a_question_under_another_id_and_name_it() -> None:
    pool = Pool(size=1000, copies=0.2).problems()
    by_id = {p.id: p for p in pool}
    copies = [p for p in pool if "copy_of" in p.meta]
    assert len(by_id) == 1000 and 150 < len(copies) < 250
    for p in copies:
        assert by_id[p.meta["copy_of"]].question == p.question and "copy_of" not in by_id[p.meta["copy_of"]].meta
    assert len({p.question for p in pool}) == 1000 - len(copies)


def test_what_is_planted_is_named_and_leaves_the_other_problems_as_they_are() -> None:
    plain = {p.id: p for p in Pool(size=1500).problems()}
    pool = Pool(size=1500, varied=0.1, leaks=0.05, wrong_golds=0.05, teachers=(1, 1, 1), slips=0.2).problems()
    asked = {p.id: p.question for p in Questions(size=500).problems()}
    by_id = {p.id: p for p in pool}
    varied, leaked = ([p for p in pool if key in p.meta] for key in ("varied_of", "leak_of"))
    wrong = [p for p in pool if "right" in p.meta]
    assert 100 < len(varied) < 200 and 40 < len(leaked) < 110 and 40 < len(wrong) < 130
    for p in varied:
        first = by_id[p.meta["varied_of"]]
        assert p.question != first.question and evaluate(p.question)[::2] == evaluate(first.question)[::2]
    assert all(asked[p.meta["leak_of"]] == p.question for p in leaked)
    assert all(p.meta["right"] != p.answer and p.meta["right"] == str(evaluate(p.question)[0]) for p in wrong)
    for p in pool:
        if not {"varied_of", "leak_of", "copy_of"} & {*p.meta}:
            assert p.question == plain[p.id].question
        if p.meta["level"] >= 4:
            (solution,) = p.solutions
            assert solution.endswith(f"\\boxed{{{evaluate(p.question)[0]}}}")
            assert bool(PLAN.search(solution)) == (p.meta["teacher"] == "own")
    assert {p.meta["teacher"] for p in pool} == {"own", "terse", "foreign"}


def test_every_copy_leak_and_wrong_answer_that_is_planted_is_found_and_nothing_else(tmp_path: Path) -> None:
    only = ["stages=[data,selection]", "data.size=600", "selection.size=null", "hydra.run.dir=run"]
    done = started("+experiment=lab/planted/cleaned", *only, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["data"]
    pool = Pool(**{f.name: config[f.name] for f in fields(Pool) if f.name not in ("decontamination", "keywords")})
    planted = {p.id: {"copy_of", "varied_of", "leak_of", "right"} & {*p.meta} for p in pool.problems()}
    lines = (tmp_path / "run/data/dropped.jsonl").read_text().splitlines()
    dropped = {row["id"] for row in map(json.loads, lines)}
    chosen = {
        json.loads(line)["problem"] for line in (tmp_path / "run/selection/examples.jsonl").read_text().splitlines()
    }
    assert all(planted[id] for id in dropped)
    for kind in ("copy_of", "leak_of"):
        found = {id for id, kinds in planted.items() if kind in kinds}
        assert len(found) > 20 and found <= dropped
    varied = {id for id, kinds in planted.items() if "varied_of" in kinds}
    assert len(varied & dropped) > 0.5 * len(varied) > 10
    assert chosen and not {id for id, kinds in planted.items() if "right" in kinds} & chosen


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"levels": (1, 1)},
        {"steps": (0, 0)},
        {"copies": 1.0},
        {"steps": (1,) * 15},
        {"teachers": (0, 0, 0)},
        {"leaks": 0.5, "varied": 0.5},
        {"wrong_golds": 2.0},
        {"near": 0.0},
    ],
)
def test_a_pool_that_cannot_be_made_is_refused_with_its_field(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Pool(**wrong)  # type: ignore[arg-type]


@given(
    seed=st.integers(0, 10**9), steps=st.integers(1, 12), level=st.sampled_from(LEVELS), surface=st.sampled_from("AB")
)
def test_questions_and_solutions_come_back_from_their_tokens_unchanged(
    seed: int, steps: int, level: int, surface: str
) -> None:
    rng = random.Random(seed)
    chain = draw_chain(rng, steps)
    text = f"Q:{chain.question(surface)}A:{solve(chain, level, rng)}"  # type: ignore[arg-type]
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.decode(ids) == text
    assert len(ids) < len(text) * 0.75


@given(st.text())
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    import unicodedata

    plain = unicodedata.normalize("NFC", text)
    ids = TOKENIZER(plain, split_special_tokens=True)["input_ids"]
    assert TOKENIZER.decode(ids) == plain


def test_the_template_asks_and_a_saved_tokenizer_still_fuses_names(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, Qwen2Config

    TOKENIZER.save_pretrained(tmp_path)
    Qwen2Config().save_pretrained(tmp_path)  # with it transformers insists on its own Qwen2 splitting
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    talk = [{"role": "user", "content": "b=a+4;a=3;b?"}]
    asked = loaded.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    assert asked == "Q:b=a+4;a=3;b?A:"
    assert loaded.tokenize(asked) == ["Q:", "b=", "a", "+4", ";", "a=", "3", ";", "b", "?", "A:"]
    solved = loaded.apply_chat_template([*talk, {"role": "assistant", "content": "\\boxed{7}"}], tokenize=False)
    assert solved == asked + "\\boxed{7}<eos>"


def test_bases_ship() -> None:
    assert {"base", "base-s1", "base-s2", "early", "small", "wide"} <= {p.name for p in BASES}


@pytest.mark.parametrize("folder", BASES, ids=lambda p: p.name)
def test_a_shipped_base_is_the_one_of_its_card_and_answers_directly(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from limo.lab.pretrain import digest
    from limo.models import Model, load_tokenizer, prompt_ids

    card = json.loads((folder / "card.json").read_text())
    assert digest(folder) == card["digest"]
    assert (folder / "curve.csv").read_text().splitlines()[-1].split(",")[1] >= "1"
    model = Model(path=f"lab:{folder.name}", dtype="float32")
    assert model.missing() == []
    tokenizer = load_tokenizer(model)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert sum(p.numel() for p in network.parameters()) == card["parameters"] == model.shape().parameters  # type: ignore[union-attr]
    ids = torch.tensor([prompt_ids(tokenizer, model, "b=a+4;a=3;b?")])
    first, second = (network.generate(ids, max_new_tokens=8)[0, ids.shape[1] :] for _ in range(2))
    assert torch.equal(first, second)
    if folder.name != "early":
        assert re.fullmatch(r"\\boxed\{\d+\}<eos>", tokenizer.decode(first))


def test_a_small_pretraining_learns_repeats_and_writes_a_loadable_base(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from limo.lab.pretrain import digest, train

    recipe = Pretraining(seed=3, tokens=26_000, size="small", warmup=5, batch=256)
    card = train(recipe, tmp_path / "a")
    losses = [float(row.split(",")[2]) for row in (tmp_path / "a" / "curve.csv").read_text().splitlines()[1:]]
    assert len(losses) > 2 and losses[-1] < 0.7 * losses[0]
    assert card["tokens"] >= 26_000 and card["digest"] == digest(tmp_path / "a")
    AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    assert train(recipe, tmp_path / "b")["digest"] == card["digest"]


TOKENIZER = make()
