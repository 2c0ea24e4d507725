"""Examples longer than training takes: refused, dropped or cut, each by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from limo import UserError
from limo.models.encode import Encoded

Overlong = Literal["error", "drop", "truncate"]


def cut_to_length(encoded: Sequence[Encoded], max_length: int, overlong: Overlong) -> tuple[list[Encoded], list[str]]:
    """The examples that will be trained on, and the ids of the over-long ones, dealt with as `overlong` says.

    `truncate` keeps the first `max_length` tokens, so the cut text never carries an end-of-turn token it did not reach; an
    example whose prompt alone fills `max_length` has nothing to learn and is dropped. Raises UserError for `error`, or when
    nothing is left.
    """
    long = [e.id for e in encoded if len(e.tokens) > max_length]
    if long and overlong == "error":
        longest = max(len(e.tokens) for e in encoded)
        raise UserError(
            f"training.max_length={max_length}: {len(long)} of {len(encoded)} examples are longer (longest {longest} tokens): "
            f"{_some(long)}; raise max_length, or choose training.overlong=drop or truncate"
        )
    if overlong == "drop":
        kept = [e for e in encoded if len(e.tokens) <= max_length]
    else:
        kept = [Encoded(e.id, e.tokens[:max_length], e.prompt) for e in encoded if e.prompt < max_length]
    if not kept:
        raise UserError(f"training.max_length={max_length}: no example fits; raise it")
    return kept, long


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
