"""An engine for the tests of sampling: quick to start, answers from the prompt and the seed, can be held up, noisy or deadly."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from waiting import LAST

from limo import UserError
from limo.config import component, runtime
from limo.engine import Completion, Request
from limo.models import Model, load_tokenizer


@component
class Echo:
    dtype: str = "float32"
    mark: str = ""
    """Enters every answer."""
    finish: str = "stop"
    replicas: int = runtime(default=1)
    launcher: str = runtime(default="local")
    tensor_parallel: int = runtime(default=1)
    gate: Path | None = runtime(default=None)
    """After six answers a process waits for this file."""
    noise: bool = runtime(default=False)
    helper: bool = runtime(default=False)
    """Start a process of its own, as vLLM does; when it dies, the engine waits for ever, as vLLM does."""
    fatal: int = runtime(default=-1)
    """A process dies at a request whose prompt has this token …"""
    grave: Path = runtime(default=Path("/dev/null"))
    """… unless this file exists, which it makes first; by default always."""
    meeting: Path | None = runtime(default=None)
    """A folder where the replicas wait, each with a request in hand, until all are there."""
    refusal: str = runtime(default="")
    crash: str = runtime(default="")
    """It cannot start, saying this; with a `grave` only once."""

    def missing(self, model: Model, longest: int | None = None) -> list[str]:
        return []

    def pick(self, model: Model, longest: int | None = None) -> Echo:
        return self

    def open(self, model: Model, max_length: int, requests: int) -> Answers:
        if self.refusal:
            raise UserError(self.refusal)
        if self.crash and not self.grave.is_file():
            if self.grave != Path("/dev/null"):
                self.grave.touch()
            raise RuntimeError(self.crash)
        if self.helper:
            multiprocessing.get_context("spawn").Process(target=time.sleep, args=(LAST,)).start()
        return Answers(self)


@component
class Scripted(Echo):
    """Says what its script has for the first words that stand in a prompt, whoever speaks them."""

    script: dict[str, str]
    otherwise: str = "DIFFERENT"

    def open(self, model: Model, max_length: int, requests: int) -> Answers:
        return Replies(self, load_tokenizer(model))


class Answers:
    window = 2

    def __init__(self, engine: Echo) -> None:
        self.engine = engine
        self.queue: deque[tuple[int, Request]] = deque()
        self.generated = self.answered = 0

    def add(self, number: int, request: Request) -> None:
        self.queue.append((number, request))
        if self.engine.meeting:
            self.engine.meeting.mkdir(exist_ok=True)
            (self.engine.meeting / str(os.getpid())).touch()

    def advance(self) -> Iterator[tuple[int, Completion]]:
        while self.engine.meeting and len(list(self.engine.meeting.iterdir())) < self.engine.replicas:
            time.sleep(0.05)
        number, request = self.queue.popleft()
        if self.engine.noise:
            print("a library greets the world")
            os.write(1, b'{"number": 0, "completion": "not this"}\n')
            print("and grumbles", file=sys.stderr)
        if self.engine.fatal in request.prompt and not self.engine.grave.is_file():
            if self.engine.grave != Path("/dev/null"):
                self.engine.grave.touch()
            if self.engine.helper:
                multiprocessing.active_children()[0].kill()
                time.sleep(LAST)
            print("ValueError: the kernel has had enough", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        while self.answered == 6 and self.engine.gate and not self.engine.gate.exists():
            time.sleep(0.01)
        self.answered += 1
        self.generated += len(request.prompt)
        text = f"{self.engine.mark}{request.prompt[-3]} {request.seed}"
        yield number, Completion(text=text, finish=self.engine.finish, tokens=len(request.prompt))


class Replies(Answers):
    """What a script says."""

    def __init__(self, engine: Scripted, tokenizer: object) -> None:
        super().__init__(engine)
        self.tokenizer = tokenizer

    def advance(self) -> Iterator[tuple[int, Completion]]:
        number, request = self.queue.popleft()
        prompt = self.tokenizer.decode(request.prompt)
        found = [reply for words, reply in self.engine.script.items() if words in prompt]
        yield number, Completion(text=(found or [self.engine.otherwise])[0], finish="stop", tokens=3)
