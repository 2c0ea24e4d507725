"""From an example to token ids: what has loss, against examples written by hand, and what is refused."""

from __future__ import annotations

import pytest
import tiny

from limo import UserError
from limo.models import Model
from limo.models.encode import Encoded, encode, encode_all
from limo.records import Example
from limo.training.length import cut_to_length

EXAMPLE = Example(id="e1", problem="p1", question="1+1?", answer="2", solution="so 2")

BY_HAND = {
    "lab": (tiny.LAB, None, "Q:1+1?A:", "so 2<eos>"),
    "chatml": (
        tiny.CHATML,
        "be brief",
        "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n",
        "so 2<|im_end|>",
    ),
    "llama": (
        tiny.LLAMA,
        None,
        "<bos><|start_header_id|>user<|end_header_id|>\n\n1+1?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        "so 2<|eot_id|>",
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_answer_and_its_end_token_have_loss_and_the_prompt_has_none(name: str, tmp_path) -> None:
    template, system, prompt, answer = BY_HAND[name]
    base = tiny.model(tmp_path / "base", template)
    tokenizer = tiny.tokenizer(template)
    encoded = encode(tokenizer, Model(path=str(base), system=system), EXAMPLE)
    assert "".join(tokenizer.convert_ids_to_tokens(encoded.tokens[: encoded.prompt])) == prompt
    assert "".join(tokenizer.convert_ids_to_tokens(encoded.tokens[encoded.prompt :])) == answer
    assert encoded.supervised == len("so 2") + 1


def test_a_solution_that_contains_the_end_token_is_refused_by_name() -> None:
    bad = Example(id="e9", problem="p", question="1?", answer="1", solution="one<|im_end|>two")
    with pytest.raises(UserError, match=r"e9.*<\|im_end\|>"):
        encode(tiny.tokenizer(tiny.CHATML), Model(path="."), bad)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "without an end token"),
        (
            "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}A:{% endif %}<eos>",
            "differently",
        ),
        ("{% for m in messages %}{{ m['content'][:2] }}<eos>{% endfor %}", "changes the text"),
    ],
)
def test_a_template_that_hides_where_the_answer_begins_or_ends_is_refused(template: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        encode(tiny.tokenizer(template), Model(path="."), EXAMPLE)


def test_cached_ids_are_those_that_would_be_computed_and_another_template_has_its_own(tmp_path) -> None:
    model = Model(path=str(tiny.model(tmp_path / "base")))
    for template in (tiny.LAB, tiny.CHATML):
        tokenizer = tiny.tokenizer(template)
        first = encode_all(tokenizer, model, tiny.examples(), tmp_path / "cache")
        again = encode_all(tokenizer, model, tiny.examples(), tmp_path / "cache")
        assert first == again == [encode(tokenizer, model, e) for e in tiny.examples()]
    assert len(list((tmp_path / "cache").iterdir())) == 2


LONG = [
    Encoded("short", (1, 2, 3, 9), 2),
    Encoded("long", (1, 2, 3, 4, 5, 9), 2),
    Encoded("all prompt", (1, 2, 3, 4, 5, 9), 5),
]


def test_over_long_examples_stop_the_run_by_name_unless_told_otherwise() -> None:
    with pytest.raises(UserError, match=r"2 of 3 .*longest 6.*long, all prompt"):
        cut_to_length(LONG, 4, "error")
    assert cut_to_length(LONG, 6, "error") == (LONG, [])


def test_dropping_keeps_whole_examples_only() -> None:
    kept, long = cut_to_length(LONG, 4, "drop")
    assert [e.id for e in kept] == ["short"]
    assert long == ["long", "all prompt"]


def test_truncating_never_leaves_an_end_token_that_was_not_reached() -> None:
    kept, long = cut_to_length(LONG, 4, "truncate")
    assert [e.tokens for e in kept] == [(1, 2, 3, 9), (1, 2, 3, 4)]
    assert long == ["long", "all prompt"]


def test_nothing_left_to_train_on_is_refused() -> None:
    with pytest.raises(UserError, match="no example fits"):
        cut_to_length(LONG, 2, "drop")
