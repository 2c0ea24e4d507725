"""How a model is asked: its tokenizer, the chat template rendered alike everywhere, and the tokens that end an answer."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from limo import UserError, templates
from limo.models.files import read_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from limo.models.model import Model

QUESTION, ANSWER = "What is 1 + 1?", "It is two."
"""The dialogue on which a template is tried."""


def load_tokenizer(model: Model) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, with the chat template that this run uses."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.folder(), trust_remote_code=False)
    if model.chat_template is not None:
        tokenizer.chat_template = model.chat_template.read_text(encoding="utf-8")
    if isinstance(tokenizer.chat_template, str) and (
        lacks := _refused(model, tokenizer.chat_template, tokenizer.special_tokens_map)
    ):
        raise UserError(lacks[0])
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def messages(model: Model, question: str) -> list[dict[str, str]]:
    """The conversation that asks a question: system prompt if there is one, then the user's turn."""
    system = [{"role": "system", "content": model.system}] if model.system is not None else []
    return [*system, {"role": "user", "content": question}]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, model: Model, question: str) -> list[int]:
    """Token ids of the prompt up to where the answer begins; the same text in training, attempts and evaluation.

    Raises UserError where the question spells a control token.
    """
    if token := control_token(tokenizer, question):
        raise UserError(f"the question {_spells(token)}")
    text = tokenizer.apply_chat_template(messages(model, question), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def answer_ids(tokenizer: PreTrainedTokenizerBase, model: Model, question: str, answer: str) -> list[int]:
    """Token ids of an answer as training teaches it: from where the prompt ends up to the token that ends the turn.

    What a template writes after that token (a line break in ChatML) is left out: generation has stopped there. Raises
    UserError where the template does not let an answer be told from its prompt, or an answer from its end.
    """
    if token := control_token(tokenizer, answer):
        raise UserError(f"the solution {_spells(token)}")
    other = "give a template without that with model.chat_template=<file.jinja>"
    chat = messages(model, question)
    before = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    whole = _answered(tokenizer, model, question, answer)
    if not whole.startswith(before):
        raise UserError(
            f"the chat template renders an answered conversation differently from the prompt that asks it; {other}"
        )
    rest, text = whole[len(before) :], answer.strip()
    if not text:
        raise UserError("the solution is empty; drop it in the selection")
    if text not in rest:
        raise UserError(f"the chat template changes the text of the solution; {other}")
    if (end := closing(tokenizer, model)) is None:
        raise UserError(
            f"the chat template ends an answer without an end token, so generation would never stop; {other}"
        )
    stop = rest.index(end, rest.rindex(text) + len(text)) + len(end)
    return list(tokenizer(rest[:stop], add_special_tokens=False)["input_ids"])


def header_ids(tokenizer: PreTrainedTokenizerBase, model: Model) -> list[int]:
    """Token ids of what the template writes between a question and its answer: an answer's context without any question.

    Never none: of a template that writes nothing there, the last token of a prompt.
    """
    chat = messages(model, QUESTION)
    asked = str(tokenizer.apply_chat_template(chat, tokenize=False))
    begun = str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    header = begun.removeprefix(asked) if begun.startswith(asked) else ""
    return list(tokenizer(header, add_special_tokens=False)["input_ids"]) or prompt_ids(tokenizer, model, QUESTION)[-1:]


def closing(tokenizer: PreTrainedTokenizerBase, model: Model) -> str | None:
    """The control token that the chat template writes after an answer; None where it writes none."""
    _, found, after = _answered(tokenizer, model, QUESTION, ANSWER).rpartition(ANSWER)
    return _first_control(tokenizer, after) if found else None


def end_ids(tokenizer: PreTrainedTokenizerBase, model: Model) -> list[int]:
    """Ids that end an answer: what the chat template writes after one, the tokenizer's own end, those of `generation_config.json`.

    Raises UserError where there is none.
    """
    ends = {tokenizer.eos_token_id}
    if end := closing(tokenizer, model):
        ends.add(tokenizer.convert_tokens_to_ids(end))
    folder = model.folder()
    path = folder / "generation_config.json"
    path = path if path.is_file() else folder / "config.json"
    found = read_json(path).get("eos_token_id")
    ends.update(found if isinstance(found, list) else [found])
    if not (known := sorted(i for i in ends if i is not None)):
        raise UserError(
            f"model.path={model.path}: nothing ends an answer: neither its chat template, its tokenizer nor its generation_config.json "
            "has an end token; give a template that ends an answer with one with model.chat_template=<file.jinja>"
        )
    return known


def control_token(tokenizer: PreTrainedTokenizerBase, text: str) -> str | None:
    """A control token that a text spells, and which would count as one; None where it is text alone."""
    return _first_control(tokenizer, text) if any(name in text for name in control_ids(tokenizer).values()) else None


def template_faults(model: Model, folder: Path) -> list[str]:
    """What is wrong with the chat template of a folder, or with the run's own in its place, one sentence."""
    template, tokens = _template(model.chat_template, folder)
    if template is None:
        return [
            f"model.path={model.path}: its tokenizer has no chat template; give one with model.chat_template=<file.jinja>"
        ]
    return _refused(model, template, tokens)


def _answered(tokenizer: PreTrainedTokenizerBase, model: Model, question: str, answer: str) -> str:
    chat = [*messages(model, question), {"role": "assistant", "content": answer}]
    return str(tokenizer.apply_chat_template(chat, tokenize=False))


def _spells(token: str) -> str:
    return f"spells {token}, which the model would take for the real control token; drop the row or clean its text"


@functools.lru_cache(maxsize=8)
def control_ids(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Id and text of every control token."""
    added = {i: str(token.content) for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    named = zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)
    return {i: name for i, name in ({**added, **dict(named)}).items() if name}


def _first_control(tokenizer: PreTrainedTokenizerBase, text: str) -> str | None:
    known = control_ids(tokenizer)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return next((known[i] for i in ids if i in known and known[i] in text), None)


def _template(own: Path | None, folder: Path) -> tuple[str | None, dict[str, object]]:
    """The chat template of a folder, or the run's own in its place, and the special tokens that it may name."""
    path = folder / "tokenizer_config.json"
    config = read_json(path) if path.is_file() else {}
    tokens = {
        name: token["content"] if isinstance(token, dict) else token
        for name, token in config.items()
        if name.endswith("_token") and token
    }
    if own is not None:
        return own.read_text(encoding="utf-8"), tokens
    if (path := folder / "chat_template.jinja").is_file():
        return path.read_text(encoding="utf-8"), tokens
    if (path := folder / "chat_template.json").is_file():
        config = read_json(path)
    found = config.get("chat_template")
    if isinstance(found, list):  # several by name
        found = {one["name"]: one["template"] for one in found}.get("default")
    return found, tokens


def _refused(model: Model, template: str, tokens: dict[str, object]) -> list[str]:
    """What is wrong with a chat template, one sentence."""

    def fault(system: bool) -> str | None:
        chat = messages(model, QUESTION)[0 if system else -1 :]
        return templates.fault(template, [chat, [*chat, {"role": "assistant", "content": ANSWER}]], tokens)

    key = f"model.path={model.path}" if model.chat_template is None else f"model.chat_template={model.chat_template}"
    if (found := fault(system=True)) is None:
        return []
    if model.system is not None and "rendered" in found and fault(system=False) is None:
        return [f"{key}: its chat template takes no system prompt; set model.system=null"]
    return [f"{key}: its chat template {found}; give another with model.chat_template=<file.jinja>"]
