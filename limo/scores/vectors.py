"""Vectors of candidates: TF-IDF, which needs nothing; the hidden states of a causal model; static embeddings of model2vec."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from limo import UserError
from limo.config import component
from limo.data.text import tokens
from limo.hub import Remote, Snapshot
from limo.models import Model, load_tokenizer
from limo.models.encode import encode
from limo.records import Example
from limo.scores.table import Table

if TYPE_CHECKING:
    from limo.scores.forward import Network

Of = Literal["question", "solution", "both"]
HUB = re.compile(r"[\w-][\w.-]*/[\w.-]+")
"""An id on the hub."""
SIGNS = 4
"""Places of a vector that one word or pair of words goes to, each with a sign."""


@component
class Tfidf:
    """TF-IDF of words and pairs of words, (1 + log count) · idf, laid into vectors of fixed width by signed hashing: cosines are
    those of the full vectors up to about 1/√width. idf depends on the pool.
    """

    of: Of = "question"
    width: int = 512

    def __post_init__(self) -> None:
        if self.width < 2 * SIGNS:
            raise ValueError(f"width={self.width} must be {2 * SIGNS} or more")

    def missing(self, model: Model) -> list[str]:
        return []

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        from scipy import sparse  # type: ignore[import-untyped]

        texts = {text: None for e in pool for text in [_text(e, self.of)]}
        counts = [Counter(_grams(tokens(text))) for text in texts]
        frequency = Counter(gram for count in counts for gram in count)
        number = {gram: place for place, gram in enumerate(frequency)}
        idf = np.log((1 + len(counts)) / (1 + np.fromiter(frequency.values(), float, len(frequency)))) + 1
        places = np.fromiter((number[g] for count in counts for g in count), np.int64)
        weights = (1 + np.log(np.fromiter((n for count in counts for n in count.values()), float))) * idf[places]
        starts = np.cumsum([0, *map(len, counts)])
        table = sparse.csr_matrix((weights, places, starts), shape=(len(counts), len(number)))
        vectors = unit(np.asarray((table @ _signs(number, self.width)).todense(), np.float32))
        by_text = dict(zip(texts, vectors, strict=True))
        return Table(vectors={e.id: by_text[_text(e, self.of)] for e in pool}, relative=True)


@component
class Hidden:
    """The mean of a causal model's last hidden states over question and solution, later positions weighing more, as RDS+ takes it
    (arXiv 2503.01807): no padding enters. A text longer than the context has no vector, and is refused."""

    model: Model | None = None
    """Null takes the model of the run."""
    passes: ClassVar[int] = 1

    def missing(self, model: Model) -> list[str]:
        return model.missing()

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        from limo.scores.forward import Network

        vectors, read = hidden(Network(model), model, pool)
        return Table(vectors=vectors, tokens=read)


@component
class Static:
    """Static embeddings by the library model2vec: fast on a CPU, from a folder or the hub."""

    path: str = "minishlab/potion-base-8M"
    of: Of = "question"

    def missing(self, model: Model) -> list[str]:
        if importlib.util.find_spec("model2vec") is None:
            return ["scores: model2vec is not installed; run pip install 'limo[vectors]', or choose tfidf"]
        if hub := self.origins():
            refusal = None if hub[0].cached() else hub[0].refusal()
            return [f"scores: path={self.path}: {refusal}; {hub[0].by_hand} fetches it"] if refusal else []
        if not (Path(self.path) / "model.safetensors").is_file():
            return [
                f"scores: path={self.path}: no model.safetensors in it; give a folder that model2vec saved, or a hub id"
            ]
        return []

    def origins(self) -> list[Remote]:
        """Its repository on the hub; none of a folder."""
        local = Path(self.path).is_dir() or not HUB.fullmatch(self.path)
        return [] if local else [Snapshot(self.path, None, "model", ("*.json", "*.safetensors"))]

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        from model2vec import StaticModel  # type: ignore[import-not-found]

        try:
            net = StaticModel.from_pretrained(self.path)
        except Exception as error:  # whatever the hub or the folder lacks
            what = f"{self.path} cannot be loaded ({str(error).splitlines()[0]})"
            raise UserError(f"scores: {what}; give a folder that model2vec saved") from None
        vectors = unit(np.asarray(net.encode([_text(e, self.of) for e in pool], max_length=None), np.float32))
        return Table(vectors={e.id: vector for e, vector in zip(pool, vectors, strict=True)})


def hidden(network: Network, model: Model, pool: Sequence[Example]) -> tuple[dict[str, np.ndarray], int]:
    """A vector of each candidate, and how many tokens were read. Raises UserError for one that does not fit the context."""
    import torch

    from limo.data.progress import bar
    from limo.scores.forward import packs

    tokenizer = load_tokenizer(model)
    texts = [encode(tokenizer, model, e) for e in pool]
    if long := [t.id for t in texts if len(t.tokens) > network.context]:
        raise UserError(
            f"scores: {len(long)} candidates are longer than the {network.context:,} tokens of {model.path} ({long[0]} …); drop them "
            "with selection.steps, or take a model of a longer context"
        )
    found: dict[str, np.ndarray] = {}
    for pack in bar(list(packs(texts, network.pack)), "vectors", "pack"):
        for text, states in zip(
            pack, torch.split(network.hidden(pack).float(), [len(t.tokens) for t in pack]), strict=True
        ):
            weights = torch.arange(1, len(states) + 1, device=states.device, dtype=torch.float32)
            found[text.id] = unit((weights @ states / weights.sum()).cpu().numpy()[None])[0]
    return found, sum(len(t.tokens) for t in texts)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; one of nothing but zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: np.ndarray = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    return found


def _text(example: Example, of: Of) -> str:
    return f"{example.question}\n{example.solution}" if of == "both" else str(getattr(example, of))


def _grams(words: Sequence[str]) -> Iterable[str]:
    yield from words
    yield from (f"{a} {b}" for a, b in itertools.pairwise(words))


def _signs(number: Mapping[str, int], width: int) -> object:
    """[grams, width] sparse: each gram's SIGNS places and signs, from a hash of it alone."""
    from scipy import sparse

    raw = b"".join(hashlib.blake2b(gram.encode(errors="replace"), digest_size=4 * SIGNS).digest() for gram in number)
    drawn = np.frombuffer(raw, "<u4").reshape(-1, SIGNS)
    rows = np.repeat(np.arange(len(drawn)), SIGNS)
    signs = np.where(drawn & 1, 1.0, -1.0) / np.sqrt(SIGNS)
    return sparse.csr_matrix((signs.ravel(), (rows, ((drawn >> 1) % width).ravel())), shape=(len(drawn), width))
