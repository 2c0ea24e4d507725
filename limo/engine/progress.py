"""How far the answers are, on a bar that moves while they grow."""

from __future__ import annotations

import sys
import time
from types import TracebackType

BAR = "{l_bar}{bar}| [{elapsed}<{remaining}{postfix}]"


class Progress:
    """Answers, finished and growing: one that grows counts as far as its tokens go of the most that it may have."""

    def __init__(self, known: int, wanted: int, most: int) -> None:
        from tqdm import tqdm

        often = {"mininterval": 0.5 if sys.stderr.isatty() else 15, "maxinterval": 60}
        self.bar = tqdm(total=known + wanted, initial=known, desc="generating", bar_format=BAR, **often)
        self.done = known
        self.most = most
        """Tokens of the longest answer that may come."""
        self.tokens = 0
        """Generated."""
        self.growing = 0
        """Of them, in answers that are not finished."""
        self.begun = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bar.close()

    def more(self, tokens: int) -> None:
        """So many tokens were generated."""
        self.begun = self.begun or time.monotonic() - 1  # loading the weights is not counted in the speed
        self.tokens += tokens
        self._show(tokens)

    def answered(self, tokens: int) -> None:
        """An answer of so many tokens is finished."""
        self.done += 1
        self._show(-tokens)

    def _show(self, more: int) -> None:
        self.growing = max(0, self.growing + more)
        speed = self.tokens / (time.monotonic() - self.begun) if self.begun else 0.0
        self.bar.set_postfix_str(f"{self.done:,}/{self.bar.total:,} answers, {speed:.0f} tokens/s", refresh=False)
        self.bar.update(min(self.done + self.growing / self.most, self.bar.total) - self.bar.n)
