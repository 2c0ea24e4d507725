"""Which weights: a causal language model by hub id or folder, its shape, its prompt format, and what is wrong with it before any work."""

from limo.models.chat import answer_ids, end_ids, load_tokenizer, messages, prompt_ids
from limo.models.model import Model
from limo.models.shape import Architecture
from limo.models.weights import load_weights

__all__ = [
    "Architecture",
    "Model",
    "answer_ids",
    "control_token",
    "end_ids",
    "load_tokenizer",
    "load_weights",
    "messages",
    "prompt_ids",
]
