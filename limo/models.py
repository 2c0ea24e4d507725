"""Which weights: a causal language model by hub id or folder, its prompt format, its architecture as the plan needs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import WrapValidator

from limo import UserError, templates
from limo.config import PACKAGE, component
from limo.hub import reachable
from limo.stage import Pending

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def _named(value: object, check: Callable[[object], str]) -> object:
    return value if isinstance(value, Pending) else check(str(value) if isinstance(value, Path) else value)


WEIGHTS = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


@component
class Architecture:
    """The shape of a decoder, as in its `config.json`: what memory and time are computed from."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    head_dim: int | None = None
    tie_word_embeddings: bool = False
    max_position_embeddings: int = 32768

    @property
    def head(self) -> int:
        """Width of an attention head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def queries(self) -> int:
        """Width of all queries of a token."""
        return self.num_attention_heads * self.head

    @property
    def keys(self) -> int:
        """Width of all keys of a token, and of all values."""
        return self.num_key_value_heads * self.head

    @property
    def parameters(self) -> int:
        """Number of weights of a Qwen2/Llama-shaped decoder (gated MLP, grouped queries); norms and biases included as in Qwen2."""
        attention = 2 * self.hidden_size * (self.queries + self.keys) + self.queries + 2 * self.keys
        block = attention + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size
        tables = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return tables + self.num_hidden_layers * block + self.hidden_size


@component
class Model:
    """A causal language model and the way it is asked."""

    path: Annotated[str, WrapValidator(_named)]
    """A hub id (`Qwen/Qwen2.5-32B-Instruct`), a local folder, or `lab:<name>` for a base that ships with the package."""
    revision: str | None = None
    """Commit of the hub repository; None takes its main branch, and a result made from it is kept when that moves."""
    system: str | None = None
    """System prompt of training, attempts and evaluation alike; None sends none."""
    chat_template: Path | None = None
    """A Jinja file used in place of the tokenizer's own template (for base models that have none)."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    """In which the weights are loaded for sampling; training has its own precision."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = "auto"
    """`auto` takes FlashAttention-2 on a GPU where it is installed, else PyTorch's own kernel."""
    reasons: bool = False
    """It thinks at length before it answers; the plan then counts on long answers."""
    architecture: Architecture | None = None
    """For planning without the weights; read from `config.json` where they are here."""

    @property
    def local(self) -> Path | None:
        """The folder of a local or shipped model; None for a hub id."""
        if self.path.startswith("lab:"):
            return PACKAGE / "lab" / "bases" / self.path.removeprefix("lab:")
        path = Path(self.path).expanduser()
        looks_local = (
            path.is_absolute() or self.path.startswith((".", "~")) or path.is_dir() or self.path.count("/") != 1
        )
        return path if looks_local else None

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """Weights by content where they are local, by repository and revision on a hub."""
        path: object = self.path
        if isinstance(path, Pending):
            weights = path.fingerprint(digest)
        else:
            weights = digest(self.local) if self.local else f"{self.path}@{self.revision or 'main'}"
        template = digest(self.chat_template) if self.chat_template else None
        return {"weights": weights, "system": self.system, "template": template, "dtype": self.dtype}

    def at(self, weights: Path) -> Model:
        """The same model with other weights, such as those that a training makes or is still to make."""
        return replace(self, path=weights, revision=None)  # type: ignore[arg-type]

    def missing(self) -> list[str]:
        """What keeps these weights from being loaded here, one sentence each; the hub is asked only for ids not cached."""
        if self.chat_template is not None and not self.chat_template.is_file():
            return [
                f"model.chat_template={self.chat_template}: no such file; give the path of a Jinja template, or null"
            ]
        if (folder := self.local) is None:
            return (
                []
                if _cached(self.path, self.revision) or reachable(self.path, self.revision, "model")
                else [
                    f"model.path={self.path}: not in the local Hugging Face cache and the hub cannot be reached or refuses; "
                    f"download it where there is network (hf download {self.path}) and set model.path to the folder"
                ]
            )
        if not folder.is_dir():
            return [f"model.path={self.path}: no such folder; give a folder with Hugging Face weights or a hub id"]
        if not (folder / "config.json").is_file():
            return [f"model.path={self.path}: no config.json in it; it is not a Hugging Face model folder"]
        if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
            return [
                f"model.path={self.path}: no tokenizer in it (tokenizer.json); save the tokenizer beside the weights"
            ]
        if not any(folder.glob("*.safetensors")) and not any(folder.glob("pytorch_model*.bin")):
            return [f"model.path={self.path}: no weights in it (*.safetensors)"]
        template, tokens = _template(self.chat_template, folder)
        if template is None:
            return [
                f"model.path={self.path}: its tokenizer has no chat template; give one with model.chat_template=<file.jinja>"
            ]
        return _refused(self, template, tokens)

    def folder(self) -> Path:
        """The local folder that holds config, tokenizer and weights; downloaded from the hub where needed."""
        if lacks := self.missing():
            raise UserError(lacks[0])
        if (folder := self.local) is not None:
            return folder
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(self.path, revision=self.revision, allow_patterns=list(WEIGHTS)))

    def shape(self) -> Architecture | None:
        """The architecture, from `config.json` where the weights are here, else from the config."""
        folder = self.local if self.local else _cached(self.path, self.revision)
        if folder and (folder / "config.json").is_file():
            found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            names = Architecture.__dataclass_fields__
            known = {k: v for k, v in found.items() if k in names}
            # other families name their sizes otherwise: then the config's `architecture`, if any, must do
            if all(name in known for name, field in names.items() if field.default is MISSING):
                return Architecture(**known)
        return self.architecture


def load_tokenizer(model: Model) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, with the chat template that this run uses."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.folder())
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
    """Token ids of the prompt up to where the answer begins; the same text in training, attempts and evaluation."""
    text = tokenizer.apply_chat_template(messages(model, question), tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def end_ids(tokenizer: PreTrainedTokenizerBase, folder: Path) -> list[int]:
    """Ids that end an answer: the tokenizer's end token and those of `generation_config.json`."""
    ends = {tokenizer.eos_token_id}
    path = folder / "generation_config.json"
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
        ends.update(found if isinstance(found, list) else [found])
    return sorted(i for i in ends if i is not None)


def _template(own: Path | None, folder: Path) -> tuple[str | None, dict[str, object]]:
    """The chat template of a folder, or the run's own in its place, and the special tokens that it may name."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
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
        config = json.loads(path.read_text(encoding="utf-8"))
    found = config.get("chat_template")
    if isinstance(found, list):  # several by name
        found = {one["name"]: one["template"] for one in found}.get("default")
    return found, tokens


def _refused(model: Model, template: str, tokens: dict[str, object]) -> list[str]:
    """What is wrong with a chat template, one sentence."""
    chat = messages(model, "What is 1 + 1?")
    fault = templates.fault(template, [chat, [*chat, {"role": "assistant", "content": "2"}]], tokens)
    key = f"model.path={model.path}" if model.chat_template is None else f"model.chat_template={model.chat_template}"
    return [f"{key}: its chat template {fault}; give another with model.chat_template=<file.jinja>"] if fault else []


def _cached(repository: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "config.json", revision=revision)
    return Path(found).parent if isinstance(found, str) else None
