"""A causal language model by hub id or folder and the way it is asked: the member of the group `model`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import WrapValidator

from limo import UserError
from limo.config import PACKAGE, component
from limo.hub import Remote, Snapshot
from limo.models.chat import template_faults
from limo.models.files import read_json, weight_faults, weight_files
from limo.models.look import look
from limo.models.shape import Architecture, read_shape
from limo.stage import Pending


def _named(value: object, check: Callable[[object], str]) -> object:
    return value if isinstance(value, Pending) else check(str(value) if isinstance(value, Path) else value)


WEIGHTS = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


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

    @property
    def here(self) -> Path | None:
        """The folder on this machine, of a hub id the cached one; None where something is still to be downloaded."""
        if (folder := self.local) is not None:
            return folder if (folder / "config.json").is_file() else None
        if (cached := self._cached) is None or not _tokenizer(cached):
            return None
        try:
            whole = all(file.is_file() for file in weight_files(cached))
        except UserError:
            return None
        return cached if whole else None

    def origins(self) -> list[Remote]:
        """Its repository on the hub."""
        if isinstance(self.path, Pending) or self.local is not None:
            return []
        return [self._snapshot]

    @property
    def _snapshot(self) -> Snapshot:
        shape = self.architecture  # published in bfloat16
        return Snapshot(self.path, self.revision, "model", WEIGHTS, expected=2 * shape.parameters if shape else None)

    @property
    def _cached(self) -> Path | None:
        """The folder of a hub id in the cache, whole or not."""
        folder = self._snapshot.folder()
        return folder if folder and (folder / "config.json").is_file() else None

    def missing(self, training: bool = False) -> list[str]:
        """What keeps these weights from being loaded and asked here, or from being trained, one sentence each; asked before
        any work. The hub is asked only for ids not cached.
        """
        try:
            return self._absent() or self.faults(training)
        except UserError as fault:
            return [str(fault)]

    def faults(self, training: bool = False) -> list[str]:
        """What is wrong with the files that are here, one sentence each: adapters, weights, chat template, end tokens, tokenizer."""
        if self.local is not None and (lacks := self._absent()):
            return lacks
        if (folder := self.here) is None:
            return []
        try:
            read_shape(folder)
            if lacks := _adapter(folder) or weight_faults(folder):
                return [f"model.path={self.path}: {lack}" for lack in lacks]
            return template_faults(self, folder) or look(self, folder, training)
        except UserError as fault:
            return [str(fault)]
        except OSError as error:
            return [f"{error.filename}: {error.strerror}; let this user read it"]

    def folder(self) -> Path:
        """The local folder that holds config, tokenizer and weights; downloaded from the hub where needed."""
        if lacks := self._absent():
            raise UserError(lacks[0])
        if (here := self.local or self.here) is not None:  # without a word to the hub
            return here
        folder = self._snapshot.fetch()
        if lacks := self.faults():
            raise UserError(lacks[0])
        return folder

    def shape(self) -> Architecture | None:
        """The architecture, from `config.json` where the weights are here, else from the config."""
        folder = self.local or self._cached
        known = read_shape(folder) if folder and (folder / "config.json").is_file() else None
        return known or self.architecture

    @property
    def context(self) -> int | None:
        """Tokens of prompt and answer together that it has room for, where that is known."""
        return shape.max_position_embeddings if (shape := self.shape()) else None

    def outgrows(self, group: str, largest: float | None, instead: str) -> list[str]:
        """That settings were made for smaller models than this, one sentence; nothing where its size is not known."""
        shape = self.shape()
        if largest is None or shape is None or shape.parameters <= largest:
            return []
        return [
            f"{group}: its settings were made for models of up to {largest / 1e6:,.0f} million weights and {self.path} has "
            f"{shape.parameters / 1e6:,.0f} million; take {instead}, or set {group}.largest=null to keep them"
        ]

    def _absent(self) -> list[str]:
        """What is not here, one sentence."""
        key = f"model.path={self.path}"
        if self.chat_template is not None and not self.chat_template.is_file():
            return [
                f"model.chat_template={self.chat_template}: no such file; give the path of a Jinja template, or null"
            ]
        if (folder := self.local) is None:
            if self.here or not (refusal := self._snapshot.refusal()):
                return []
            return [
                f"{key}: {refusal}; `python -m limo fetch` with the same words fetches it where there is network, "
                f"{self._snapshot.by_hand} it alone"
            ]
        if not folder.is_dir():
            return [f"{key}: no such folder; give a folder with Hugging Face weights or a hub id"]
        if not (folder / "config.json").is_file():
            return [f"{key}: {lack}" for lack in _adapter(folder)] or [
                f"{key}: no config.json in it; it is not a Hugging Face model folder"
            ]
        if not _tokenizer(folder):
            return [f"{key}: no tokenizer in it (tokenizer.json); save the tokenizer beside the weights"]
        return []


def _adapter(folder: Path) -> list[str]:
    """Why a folder with an adapter in it is no model: transformers would apply it, or load another base, without a word."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return []
    if (folder / "config.json").is_file():
        return [
            f"an adapter lies beside its weights ({path.name}); move its files into a folder of their own, and set "
            "engine.adapter=<that folder> where it is wanted"
        ]
    base = read_json(path).get("base_model_name_or_path")
    return [f"it is an adapter, not a model; set model.path={base or '<its base>'} engine.adapter={folder}"]


def _tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json"))
