"""Budget forcing: what a model is made to go on from, how many tokens that may take, and that nothing else changes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny
from engines import Echo
from test_engine import answers_in, ask, findable, run_all  # noqa: F401

from limo import UserError
from limo.compose import compose
from limo.engine import Forcing, Request, Sampling
from limo.engine.transformers import Transformers
from limo.models import Model, load_tokenizer, prompt_ids

GREEDY = Sampling(max_tokens=24)
DRAWN = Sampling(samples=2, temperature=1.0, max_tokens=120)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model(path=str(tiny.model(tmp_path_factory.mktemp("model"))), dtype="float32", system=None)


def test_forcing_that_forces_nothing_asks_nothing_else(model: Model, tmp_path: Path) -> None:
    plain = ask(tmp_path, model, sampling=DRAWN)
    before = answers_in(tmp_path)
    assert ask(tmp_path, model, sampling=replace(DRAWN, forcing=Forcing())) == plain
    assert answers_in(tmp_path) == before


def test_an_answer_that_ends_goes_on_so_often_and_each_time_from_all_that_was_said(
    model: Model, tmp_path: Path
) -> None:
    plain = ask(tmp_path, model, sampling=DRAWN)
    tokenizer = load_tokenizer(model)
    for waits in (1, 2, 3):
        forced = ask(tmp_path, model, sampling=replace(DRAWN, forcing=Forcing(waits=waits, wait=" 7+")))
        for one, first in zip(forced, plain, strict=True):
            said = one.text.split(" 7+")
            assert len(said) == waits + 1 and said[0] == first.text
            assert (one.prompt_tokens, one.seed, one.finish) == (first.prompt_tokens, first.seed, "stop")
            begun = len(tokenizer(one.text.removesuffix(said[-1]), add_special_tokens=False)["input_ids"])
            assert one.tokens == begun + first.prompt_tokens + begun, "the engine of the test counts its prompt"
    assert len(answers_in(tmp_path)) == 4 * len(plain), "each round asks for what is new alone"


def test_thinking_that_is_cut_is_asked_for_its_result_once(model: Model, tmp_path: Path) -> None:
    how = Forcing(waits=2, thinking=20, conclusion=" = ", answer=4)
    cut = ask(tmp_path, model, Echo(finish="length"), replace(DRAWN, forcing=how))
    plain = ask(tmp_path / "plain", model, Echo(finish="length"), replace(DRAWN, max_tokens=20))
    for one, first in zip(cut, plain, strict=True):
        assert one.text.startswith(f"{first.text} = ") and one.text.count(" = ") == 1
        assert one.finish == "length"


def test_what_follows_the_end_of_thinking_is_said_anew(model: Model, tmp_path: Path) -> None:
    marked = Echo(mark="1 + 1/")
    (one, *_) = ask(tmp_path, model, marked, replace(GREEDY, forcing=Forcing(waits=1, wait="7", end="/")))
    thought, _, rest = one.text.partition("/")
    assert thought == "1 + 171 + 1" and rest, "the result of the first round is not there"
    how = Forcing(end="/", thinking=12, conclusion="=", answer=4)
    (one, *_) = ask(tmp_path, model, replace(marked, finish="length"), replace(GREEDY, forcing=how))
    assert one.text.count("/") == 2 and "=" not in one.text, "it was in its result already"


def test_a_real_model_says_what_it_says_when_it_is_asked_to_go_on_by_hand(model: Model, tmp_path: Path) -> None:
    engine, tokenizer = Transformers(), load_tokenizer(model)
    (one,) = ask(
        tmp_path, model, engine, replace(GREEDY, forcing=Forcing(thinking=9, conclusion="=", answer=6)), count=1
    )
    prompt = tuple(prompt_ids(tokenizer, model, "0+0?"))
    (first,) = run_all(engine, model, [Request(prompt, 0, 0.0, 1.0, 0, 9)])
    begun = tuple(tokenizer(f"{first.text}=", add_special_tokens=False)["input_ids"])
    (then,) = run_all(engine, model, [Request((*prompt, *begun), 0, 0.0, 1.0, 0, 6)])
    assert first.finish == "length" and one.text == f"{first.text}={then.text}"
    assert one.tokens == len(begun) + then.tokens <= GREEDY.max_tokens


def test_words_that_a_model_cannot_read_are_refused_before_it_is_loaded(model: Model, tmp_path: Path) -> None:
    for key, how in {
        "wait": Forcing(waits=1, wait="Ω!"),
        "conclusion": Forcing(thinking=4, answer=4, conclusion="Ω"),
    }.items():
        with pytest.raises(UserError, match=f"^forcing.{key}='Ω.*': the tokenizer of .*/model\\d cannot write it; .*"):
            ask(tmp_path, model, Echo(crash="it was loaded"), replace(GREEDY, forcing=how))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"waits": -1}, "waits=-1 must be 0 or more"),
        ({"thinking": 0}, "thinking=0 must be 1 or more"),
        ({"wait": ""}, "wait and end must say something"),
        (
            {"thinking": 20, "answer": 8},
            "forcing.thinking=20 and forcing.answer=8 are more than max_tokens=24; lower them",
        ),
    ],
)
def test_forcing_that_cannot_be_is_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        replace(GREEDY, forcing=Forcing(**settings))  # type: ignore[arg-type]


def test_a_suite_whose_answers_are_too_short_for_it_is_refused_when_it_is_built() -> None:
    words = ["evaluation/forcing=answer", "evaluation.forcing.thinking=100", "evaluation.max_tokens=140"]
    with pytest.raises(
        UserError,
        match=r"benchmark lab_main: forcing\.thinking=100 and forcing\.answer=512 are more than max_tokens=140",
    ):
        compose(words)
    assert compose([*words, "evaluation.forcing.answer=40"]).evaluation.placed()["lab_main"].forcing
