"""The process that looks at a model before any work: weights against architecture, tokenizer against embeddings, one dialogue."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from limo import UserError
from limo.config import quoted
from limo.models.chat import ANSWER, QUESTION, answer_ids, control_ids, end_ids, load_tokenizer, messages, prompt_ids
from limo.models.files import Tensor, listed, not_finite, read_json, read_tensors
from limo.models.look import Look
from limo.models.model import Model
from limo.models.weights import misfit
from limo.serial import load

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


READ = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "chat_template.json"),
)
"""Files that libraries read, and of whose damage they speak without a name."""


def main() -> None:
    """A model in over standard input, a `Look` out."""
    model: Model = load(json.load(sys.stdin))
    found = Look(faults=tuple(faults(model)))
    if not found.faults:
        found = Look(untrainable=tuple(untrainable(model)))
    print(json.dumps(dataclasses.asdict(found)))


def faults(model: Model) -> Iterator[str]:
    """What is wrong with it, one clause each."""
    folder = model.folder()
    try:
        for file in (folder / name for name in READ if (folder / name).is_file()):
            read_json(file)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        tensors = read_tensors(folder)
        if tensors and getattr(config, "quantization_config", None) is None:
            yield from _against_architecture(config, tensors)
    except Exception as error:  # a model from anywhere breaks a library in any way
        yield _said("it", model, error)
        return
    if broken := list(not_finite(tensors)):
        yield f"numbers in its weights are NaN or infinite: {listed(broken)}; take another checkpoint"
    try:
        tokenizer = load_tokenizer(model)
        used = [*end_ids(tokenizer, model), tokenizer.pad_token_id, *prompt_ids(tokenizer, model, QUESTION)]
        yield from _against_table(tokenizer, config.get_text_config().vocab_size, used)
        yield from _dialogue(tokenizer, model)
    except Exception as error:
        yield _said("its tokenizer", model, error)


def _said(part: str, model: Model, error: Exception) -> str:
    """What keeps a part from being built, in one clause that invites to nothing."""
    if isinstance(error, UserError):
        return str(error).removeprefix(f"model.path={model.path}: ")
    words = " ".join(str(error).split()) or type(error).__name__
    if "custom code" in words:
        return f"{part} needs code of its own, which limo never runs; take a model that transformers has itself"
    return f"transformers cannot build {part} ({quoted(words)[:300]}); download it anew, or take another model"


def untrainable(model: Model) -> Iterator[str]:
    """What keeps it from being trained on its template."""
    try:
        answer_ids(load_tokenizer(model), model, QUESTION, ANSWER)
    except UserError as fault:
        yield str(fault)


def _against_architecture(config: PreTrainedConfig, tensors: dict[str, Tensor]) -> Iterator[str]:
    """The tensors of the files loaded into the architecture, both without numbers."""
    with torch.device("meta"):
        kind = type(AutoModelForCausalLM.from_config(config, trust_remote_code=False))
        state = {name: torch.empty(tensor.shape) for name, tensor in tensors.items()}
    _, info = kind.from_pretrained(
        None,
        config=config,
        state_dict=state,
        device_map="meta",
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    if fault := misfit(info):
        yield fault


def _against_table(tokenizer: PreTrainedTokenizerBase, rows: int, used: Iterable[int | None]) -> Iterator[str]:
    """Ids without a row in the embeddings; `used`: control tokens and prompt of a dialogue."""
    controls = control_ids(tokenizer)  # transformers may add some that no text of this model holds
    largest = max(i for i in tokenizer.get_vocab().values() if i not in controls)
    if largest >= rows:
        yield f"its tokenizer has ids up to {largest} and its embeddings have {rows} rows; take the tokenizer that belongs to it"
    elif outside := [i for i in used if i is not None and not 0 <= i < rows]:
        name = tokenizer.convert_ids_to_tokens(outside[0]) or "an end token"
        yield (
            f"{name} has id {outside[0]} and its embeddings have {rows} rows; take the tokenizer and generation_config.json that "
            "belong to it"
        )


def _dialogue(tokenizer: PreTrainedTokenizerBase, model: Model) -> Iterator[str]:
    text = tokenizer.apply_chat_template(messages(model, QUESTION), tokenize=False, add_generation_prompt=True)
    if QUESTION not in text:
        yield "its chat template leaves the question out; give another with model.chat_template=<file.jinja>"
    elif (model.system or "").strip() not in text:
        yield "its chat template leaves the system prompt out without a word; set model.system=null"


if __name__ == "__main__":
    main()
