"""How likely a model finds a solution: surprisal, ranks and what follows from them, from one forward pass of each text.

Over the tokens k of an answer, its end included: s_k = -log p(token k | what is before it), r_k = 1 + how many tokens of the
vocabulary are likelier. The question is asked with the trainer's template, and texts are packed as in training.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limo import UserError
from limo.config import component
from limo.models import Model, load_tokenizer
from limo.models.chat import header_ids
from limo.models.encode import Encoded, encode
from limo.records import Example
from limo.scores.table import Table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from limo.scores.forward import Cost

log = logging.getLogger(__name__)

SENTENCES = re.compile(r"(?<=[.!?。！？\n])(?=\s*\S)")
GIVEN, ALONE, LOCAL = "given", "alone", "local"


@component
class Likelihood:
    """Columns of each candidate, all of one model:

    `surprisal` mean s_k (GRAPE, arXiv 2502.04194, keeps the lowest of a problem); `perplexity` exp of it; `rank` mean of
    min(r_k, clip); `rsr` Σ min(r_k, clip) / Σ s_k (arXiv 2601.14249, keeps the lowest); `first` share of tokens that were the
    model's first choice; `ifd` mean s_k over what it is without the question (arXiv 2308.12032, keeps the highest below 1);
    `ifd_perplexity` the ratio of perplexities (Superfiltering, arXiv 2402.00530); `local` mean s_k with no more before it than
    some sentences (arXiv 2510.03988, keeps the lowest); `tokens`.

    A text longer than the model's context has none of them: its first page would be another text.
    """

    model: Model | None = None
    """Whose likelihood; null takes the model of the run, the student."""
    clip: int = 100
    """Largest rank that counts, as in RSR."""
    alone: bool = True
    """Measure each answer without its question too, for `ifd`; a second pass."""
    sentences: int | None = None
    """Measure each sentence after so many before it alone, for `local`; as many more passes. Null does not."""

    @property
    def passes(self) -> float:
        """Tokens read for each token of a candidate, at most."""
        return 1 + self.alone + (0 if self.sentences is None else 1 + self.sentences)

    def __post_init__(self) -> None:
        if self.clip < 1 or (self.sentences is not None and self.sentences < 0):
            raise ValueError(f"clip={self.clip} must be 1 or more, sentences={self.sentences} 0 or more, or null")

    def missing(self, model: Model) -> list[str]:
        return model.missing()

    def measure(self, pool: Sequence[Example], model: Model, store: Path) -> Table:
        from limo.scores import kept
        from limo.scores.forward import Network, through
        from limo.store import Store, key_of

        tokenizer = load_tokenizer(model)
        shape = model.shape()
        room = shape.max_position_embeddings if shape else math.inf
        texts, lost = self._texts(pool, tokenizer, model, room)
        wanted: dict[str, Encoded] = {}
        keys: dict[str, dict[str, list[str]]] = {name: {} for name in texts}
        for name, kinds in texts.items():
            for kind, part in kinds.items():
                keys[name][kind] = [kept.key_of(text, self.clip) for text in part]
                wanted.update(zip(keys[name][kind], part, strict=True))
        about = model.fingerprint(Store(store).digest)["weights"]
        path = store / "likelihood" / f"{key_of([about])}.jsonl"
        known = kept.find(path)
        if new := {key: text for key, text in wanted.items() if key not in known}:
            tokens = sum(len(text.tokens) for text in new.values())
            log.info(f"{len(new):,} texts of {tokens:,} tokens to read, {len(wanted) - len(new):,} known; {model.path}")
            with kept.writing(path) as write:
                for key, cost in through(Network(model), new, self.clip):
                    write(key, cost)
                    known[key] = cost
        columns = {
            name: self._columns({kind: [known[key] for key in part] for kind, part in kinds.items()})
            for name, kinds in keys.items()
        }
        return Table(columns, tokens=sum(len(text.tokens) for text in new.values()), unmeasured=lost)

    def _texts(
        self, pool: Sequence[Example], tokenizer: PreTrainedTokenizerBase, model: Model, room: float
    ) -> tuple[dict[str, dict[str, list[Encoded]]], dict[str, int]]:
        """What is measured of each candidate, by kind; and why some are not, with their number."""
        header = header_ids(tokenizer, model)
        found: dict[str, dict[str, list[Encoded]]] = {}
        lost: dict[str, int] = {}
        for example in pool:
            try:
                whole = encode(tokenizer, model, example)
            except UserError:  # it is empty, or spells a control token: training will not take it either
                lost["not to be told from the template"] = lost.get("not to be told from the template", 0) + 1
                continue
            if len(whole.tokens) > room:
                lost["longer than the context"] = lost.get("longer than the context", 0) + 1
                continue
            answer = whole.tokens[whole.prompt :]
            found[example.id] = {GIVEN: [whole]}
            if self.alone:
                found[example.id][ALONE] = [Encoded(example.id, (*header, *answer), len(header))]
            if self.sentences is not None:
                found[example.id][LOCAL] = list(self._windows(tokenizer, example, header))
        return found, lost

    def _windows(
        self, tokenizer: PreTrainedTokenizerBase, example: Example, header: Sequence[int]
    ) -> Iterable[Encoded]:
        """Each sentence of a solution after the few before it."""
        parts = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in SENTENCES.split(example.solution)]
        for place, part in enumerate(parts):
            before = [*header, *itertools.chain(*parts[max(0, place - (self.sentences or 0)) : place])]
            if part:
                yield Encoded(f"{example.id}/{place}", (*before, *part), len(before))

    def _columns(self, costs: dict[str, list[Cost]]) -> dict[str, float]:
        given = costs[GIVEN][0]
        mean = given.surprisal / given.tokens
        found = {
            "surprisal": mean,
            "perplexity": _exp(mean),
            "rank": given.ranks / given.tokens,
            "first": given.first / given.tokens,
            "tokens": float(given.tokens),
        }
        if given.surprisal > 0:
            found["rsr"] = given.ranks / given.surprisal
        if (alone := costs.get(ALONE)) and alone[0].surprisal > 0:
            other = alone[0].surprisal / alone[0].tokens
            found |= {"ifd": mean / other, "ifd_perplexity": _exp(mean - other)}
        if local := costs.get(LOCAL):
            found["local"] = sum(c.surprisal for c in local) / sum(c.tokens for c in local)
        return found


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
