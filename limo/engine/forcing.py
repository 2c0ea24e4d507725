"""Budget forcing (s1, arXiv 2501.19393, section 3.1): an answer that ends is made to go on, one that thinks too long to conclude."""

from __future__ import annotations

from limo.config import component


@component
class Forcing:
    """How much a model is made to think."""

    waits: int = 0
    """How often an answer that ends is made to go on."""
    wait: str = "Wait"
    """What is written at its end for that."""
    end: str | None = None
    """What the model writes at the end of its thinking, such as `</think>`; what follows it is left out when it goes on. Null
    where the whole answer is its thinking."""
    thinking: int | None = None
    """Most tokens of thinking; null ends it at `max_tokens`, without a conclusion."""
    conclusion: str = "\n\nFinal Answer:"
    """What is written where the thinking is cut, after `end`."""
    answer: int = 512
    """Most tokens after that; they count in `max_tokens`."""

    def __post_init__(self) -> None:
        for name, value, least in (
            ("waits", self.waits, 0),
            ("thinking", self.thinking, 1),
            ("answer", self.answer, 1),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name}={value} must be {least} or more")
        if "" in (self.wait, self.end):
            raise ValueError("wait and end must say something; end=null where the whole answer is thinking")

    def beyond(self, max_tokens: int) -> str | None:
        """Why it does not fit into answers of so many tokens, one sentence; None where it does."""
        if self.thinking is None or self.thinking + self.answer <= max_tokens:
            return None
        return (
            f"forcing.thinking={self.thinking} and forcing.answer={self.answer} are more than max_tokens={max_tokens}; "
            "lower them, or raise that"
        )

    def limit(self, room: int) -> int:
        """Most tokens of thinking where an answer may have so many."""
        return room if self.thinking is None else max(0, min(self.thinking, room - self.answer))

    def left(self, room: int, said: int, ended: bool) -> int:
        """Most tokens of what it goes on with where it said so many of `room`; none where it is below 1.

        `ended`: whether it ended by itself, else it was cut and has its conclusion to say.
        """
        return self.limit(room) - said if ended else min(self.answer, room - said)

    @property
    def rounds(self) -> int:
        """How often it is made to go on at most, its conclusion included."""
        return self.waits + (self.thinking is not None)

    def onward(self, said: str, ended: bool, waits: int) -> str | None:
        """From what the model is to go on; None where it has had its last word.

        `ended`: whether it ended by itself, else it was cut; `waits`: how often it went on already.
        """
        thought, end, rest = said.partition(self.end) if self.end else (said, "", "")
        if ended:
            return thought + self.wait if waits < self.waits else None
        if self.thinking is None:
            return None
        return thought + end + rest if end else thought + (self.end or "") + self.conclusion
