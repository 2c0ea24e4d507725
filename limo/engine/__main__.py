"""One engine process: takes requests as JSON lines from standard input, gives completions back as JSON lines (`limo.engine.wire`)."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import TextIO

from limo import UserError
from limo.engine.protocol import Engine, Session
from limo.engine.wire import ASKED, WORK, Asked, Said, line
from limo.process import conversation
from limo.serial import load

PR_SET_PDEATHSIG = 1
TELL_SECONDS = 1.0
GRACE = 20.0
"""Seconds that an engine's own process gets to end."""

ending = threading.Event()


def main() -> None:
    if sys.platform == "linux":  # at the parent's death the kernel would kill this one alone, not the engine's children
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 0)
    inbox, outbox = conversation()
    signal.signal(signal.SIGTERM, lambda *_: None)  # this process ends last of its group, by `end`
    asked: queue.SimpleQueue[Asked] = queue.SimpleQueue()
    first = inbox.readline()
    if not first:
        sys.exit("limo.engine is started by the stages that sample; its first line of input says what to serve")
    work = WORK.validate_json(first)
    ear = threading.Thread(target=listen, args=(inbox, asked), daemon=True)
    ear.start()
    if work.cores:  # before torch or vLLM count them
        os.sched_setaffinity(0, work.cores)

    def tell(said: Said) -> None:
        outbox.write(line(said).decode())
        outbox.flush()

    try:
        engine: Engine = load(work.engine)
        session = engine.open(load(work.model), work.max_length, work.requests)
        threading.Thread(target=watch, daemon=True).start()
        tell(Said(window=session.window))
        serve(session, asked, tell)
    except UserError as mistake:
        tell(Said(mistake=str(mistake)))
        sys.exit(2)
    except BaseException:
        if ending.is_set():  # vLLM reports its own end as an error
            ear.join()
        raise


def serve(session: Session, asked: queue.SimpleQueue[Asked], tell: Callable[[Said], None]) -> None:
    """Answer requests for ever; they are taken in whenever the session has advanced."""
    waiting, told = 0, time.monotonic()
    while True:
        while not waiting or not asked.empty():
            one = asked.get()
            session.add(one.number, one.request)
            waiting += 1
        for number, completion in session.advance():
            waiting -= 1
            tell(Said(number=number, completion=completion, tokens=session.generated))
        if time.monotonic() - told > TELL_SECONDS:
            tell(Said(tokens=session.generated))
            told = time.monotonic()


def listen(inbox: TextIO, asked: queue.SimpleQueue[Asked]) -> None:
    """Hand over requests as they come, until the parent closes the line or is gone."""
    for text in inbox:
        asked.put(ASKED.validate_json(text))
    end()


def watch() -> None:
    """End this process when one that the engine started dies: vLLM would wait for its answer for ever."""
    children = multiprocessing.active_children()
    if not children:
        return
    ended = wait([child.sentinel for child in children])
    if not ending.is_set():
        dead = next(child for child in children if child.sentinel in ended)
        dead.join(GRACE)  # its line closes a moment before its exit code is there
        # vLLM waits for it too, and who comes first takes its exit code
        how = "" if dead.exitcode is None else f" with exit code {dead.exitcode}"
        print(f"RuntimeError: {dead.name}, a process of the engine, ended{how}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)


def end() -> None:
    """End the engine's own processes, which then give back their shared memory, and this one; by force if need be."""
    ending.set()
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    deadline = time.monotonic() + GRACE
    for child in children:
        child.join(max(0.1, deadline - time.monotonic()))
    # where they ended well, Python's resource tracker is left to remove their shared memory; it ends by itself
    if os.getpgrp() == os.getpid() and any(child.is_alive() for child in children):
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main()
