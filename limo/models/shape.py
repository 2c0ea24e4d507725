"""The shape of a decoder, as in its `config.json`: what memory and time are computed from."""

from __future__ import annotations

from dataclasses import MISSING
from pathlib import Path

from limo.config import component
from limo.models.files import damaged, read_json


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


def read_shape(folder: Path) -> Architecture | None:
    """The shape that a folder's `config.json` says; None where it says none in these words. Raises UserError where it is damaged."""
    names = Architecture.__dataclass_fields__
    try:
        found = read_json(folder / "config.json")
        known = {k: v for k, v in found.items() if k in names}
        # other families name their sizes otherwise: then the config's `architecture`, if any, must do
        whole = all(name in known for name, field in names.items() if field.default is MISSING)
        return Architecture(**known) if whole else None
    except ValueError as error:  # pydantic's own is one
        raise damaged(folder / "config.json", error) from None
