"""The child's side of the pool: a ready line, then one line of JSON for every line of JSON it is given."""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import sys
from collections.abc import Callable

from limo.process import conversation, encode


def work(target: str, seconds: float, memory: int, warm: str = "") -> None:
    """Apply the function `target` ("module:name") to the lines of standard input; `warm` is called before, without arguments.

    seconds: processor time of one item, after which the kernel ends this process, whatever code it is in.
    """
    inbox, outbox = conversation()
    function = find(target)
    if warm:
        find(warm)()
    if memory:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    print("true", file=outbox, flush=True)
    for line in inbox:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        answer = attempt(function, json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        outbox.write(encode(answer).decode())
        outbox.flush()


def attempt(function: Callable[..., object], item: object) -> dict[str, object]:
    """The result of one item, or why there is none; nothing that an item raises ends the worker."""
    try:
        return {"result": function(item)}
    except MemoryError:
        return {"failure": "out of memory"}
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return {"failure": f"{type(error).__name__}: {error}"}


def find(target: str) -> Callable[..., object]:
    module, _, name = target.partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), name)
    return found


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        work(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
