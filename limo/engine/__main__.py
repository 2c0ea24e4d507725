"""One engine process: takes requests as JSON lines from standard input, gives completions back as JSON lines.

First line in: {"engine", "model", "max_length", "requests", "cores"}; then {"number", "request"} each.
Out: {"window"} once the weights are loaded, {"number", "completion", "tokens"} each, {"tokens"} (generated so far) now
and then, {"mistake"} where the user can mend it.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, TextIO

from limo import Mistake
from limo.config import load
from limo.engine import Engine, Request

PR_SET_PDEATHSIG = 1
TELL_SECONDS = 1.0


def main() -> None:
    inbox, outbox = private()
    lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    work = json.loads(inbox.readline() or "null")
    threading.Thread(target=listen, args=(inbox, lines), daemon=True).start()

    def tell(**message: Any) -> None:
        outbox.write(json.dumps(message, ensure_ascii=False) + "\n")
        outbox.flush()

    if work["cores"]:  # before torch or vLLM count them
        os.sched_setaffinity(0, work["cores"])
    try:
        engine = load(work["engine"])
        assert isinstance(engine, Engine)
        session = engine.open(load(work["model"]), work["max_length"], work["requests"])
        tell(window=session.window)
        waiting, told = 0, time.monotonic()
        while True:
            while not waiting or not lines.empty():
                given = lines.get()
                fields = given["request"] | {"prompt": tuple(given["request"]["prompt"])}
                session.add(given["number"], Request(**fields))
                waiting += 1
            for number, completion in session.step():
                waiting -= 1
                tell(number=number, completion=dataclasses.asdict(completion), tokens=session.generated)
            if time.monotonic() - told > TELL_SECONDS:
                tell(tokens=session.generated)
                told = time.monotonic()
    except Mistake as mistake:
        tell(mistake=str(mistake))
        sys.exit(2)


def private() -> tuple[TextIO, TextIO]:
    """The two ends of the conversation on descriptors of their own: what libraries print goes to standard error."""
    inbox, outbox = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return inbox, outbox


def listen(inbox: TextIO, lines: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Hand over requests as they come; when the parent is gone, end this process and all that it started."""
    if sys.platform == "linux":  # the kernel would kill this process alone and leave the engine's own children behind
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)
    for line in inbox:
        lines.put(json.loads(line))
    if os.getpgrp() == os.getpid():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        os.killpg(os.getpgrp(), signal.SIGTERM)
        time.sleep(3)
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
