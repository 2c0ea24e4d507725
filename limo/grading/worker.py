"""The child's side of the pool: a ready line, then one line of JSON for every line of JSON it is given."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
from typing import Any


def work(target: str, seconds: float, memory: int, warm: str = "") -> None:
    """Apply the function `target` ("module:name") to the lines of standard input; `warm` is called before, without arguments."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    function = find(target)
    if warm:
        find(warm)()
    if memory:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        # the kernel ends a worker that hangs even if its parent is gone
        signal.setitimer(signal.ITIMER_PROF, 2 * seconds + 1)
        try:
            answer = {"result": function(json.loads(line))}
        except MemoryError:
            answer = {"failure": "out of memory"}
        except Exception as error:
            answer = {"failure": f"{type(error).__name__}: {error}"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(answer), file=answers, flush=True)


def find(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        work(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
