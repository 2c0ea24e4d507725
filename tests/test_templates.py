"""Chat templates of other people: what costs too much time or memory, or fails, is refused before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from limo import UserError
from limo.models import Model, load_tokenizer
from limo.templates import fault
from tests import tiny

CHATS = [
    [{"role": "user", "content": "1?"}],
    [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}],
]
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (LOOPS, "takes more than"),
        ("{{ ('a' * 3000000000) | length }}", "takes more than"),
        ("{% for a in range(9999) %}{{ 'a' * 10000 }}{% endfor %}", "takes more than"),
        ("{{ raise_exception('System role not supported') }}", r"cannot be rendered \(System role not supported\)"),
        ("{{ ''.__class__.__mro__ }}", r"cannot be rendered \(access to attribute '__class__' .* is unsafe"),
        ("x" * 2_000_000, "is 2,000,000 characters long"),
    ],
)
def test_a_template_that_takes_too_much_or_fails_is_named(template: str, said: str) -> None:
    assert re.match(said, fault(template, CHATS, {}) or "")


@pytest.mark.parametrize("template", [tiny.LAB, tiny.CHATML, tiny.LLAMA])
def test_templates_in_use_render_within_the_limits(template: str) -> None:
    assert fault(template, CHATS, {"eos_token": "<eos>"}) is None


def test_the_template_of_a_model_or_of_the_run_is_refused_before_any_work(tmp_path: Path) -> None:
    folder = tiny.model(tmp_path / "evil", "{{ 'a' * 3000000000 }}")
    (sentence,) = Model(path=str(folder)).missing()
    assert sentence.startswith(f"model.path={folder}: its chat template takes more than")
    with pytest.raises(UserError, match="chat template takes more than"):
        load_tokenizer(Model(path=str(folder)))
    (own := tmp_path / "own.jinja").write_text("{{ raise_exception('no') }}")
    (sentence,) = Model(path=str(folder), chat_template=own).missing()
    assert sentence.startswith(f"model.chat_template={own}: its chat template cannot be rendered (no)")
    own.write_text(tiny.LAB)
    assert Model(path=str(folder), chat_template=own).missing() == []
