"""A progress bar with the time left, for loops that may take a while."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def bar(items: Iterable[T], title: str, unit: str, total: int | None = None) -> Iterable[T]:
    """The items, with a bar once they have taken two seconds."""
    from tqdm import tqdm

    shown: Iterable[T] = tqdm(items, desc=title, unit=unit, total=total, file=sys.stderr, delay=2, mininterval=0.5)
    return shown
