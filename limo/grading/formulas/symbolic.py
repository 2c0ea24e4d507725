"""The last resort: math-verify, gold first, on what the own reader does not know."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import re
import signal
import threading
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType

withheld = contextvars.ContextVar("withheld", default=False)
"""Whether this process does without it: most cases never need its seconds of imports."""
SECONDS = 3.0
"""Processor time for one comparison, so that a busy machine takes none of it."""
AGAIN = 0.1
"""Seconds after which it is told again to end: in a destructor, or a callback of the garbage collector, the first time is lost."""


class WithheldError(BaseException):
    """A case needs math-verify in a process that did not load it."""


class ExpiredError(BaseException):
    """A comparison ran over its time. No Exception, so that no library takes it for one of its own failures."""


def warm() -> None:
    """Import and use it once, so that no case pays for it; without a limit, since a first use may take any time."""
    _equal("\\int_0^1 x dx", "\\frac{1}{2}")


def verify(gold: str, answer: str) -> bool | None:
    """Whether math-verify finds an answer equal to the gold one; None if it cannot read the gold one.

    Takes normalised LaTeX. Its LaTeX reader only: its reader of plain expressions hands text to sympy, which evaluates it.
    Raises WithheldError where it is withheld; ExpiredError in the main thread; elsewhere it has no limit of its own (the pool has one).
    """
    if withheld.get():
        raise WithheldError
    with _limit(SECONDS):
        return _equal(gold, answer)


def _equal(gold: str, answer: str) -> bool | None:
    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from math_verify import verify as check

    right = read(gold)
    if not right:
        return None
    given = read(answer)
    return bool(given) and bool(check(right, given, timeout_seconds=None))


@lru_cache(maxsize=1024)
def read(text: str) -> list[object]:
    from math_verify import LatexExtractionConfig, parse

    text = re.sub(r"\\text\{[^{}]*\}", " ", text)
    found: list[object] = parse(
        f"${text}$", extraction_config=[LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None
    )
    return found


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(number: int, frame: FrameType | None) -> None:
        raise ExpiredError

    before = signal.signal(signal.SIGVTALRM, expire)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
