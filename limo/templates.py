"""Chat templates are programs of somebody else: each is rendered first by a child with little time and memory."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from limo.process import environment

SECONDS, MEMORY, LONGEST = 5, 1 << 29, 1 << 20
"""Processor time, bytes and characters that the rendering of a few short dialogues may take; honest templates take a thousandth."""
OVER = f"takes more than {SECONDS} s, {MEMORY >> 20} MiB or {LONGEST:,} characters to render a few short dialogues"

Dialogue = Sequence[Mapping[str, str]]
"""Turns, each with `role` and `content`; one that ends with the user's is rendered up to where the answer begins."""


def fault(template: str, dialogues: Sequence[Dialogue], tokens: Mapping[str, object]) -> str | None:
    """What is wrong with a chat template, as the end of a sentence on it; None where it renders every dialogue.

    `tokens`: the special tokens that it may name, such as `eos_token`. Any error of the template is a
    fault; what was good is not tried again on this machine.
    """
    if len(template) > LONGEST:
        return f"is {len(template):,} characters long"
    return _tried(json.dumps([template, dialogues, dict(tokens)], default=str))


@functools.cache
def _tried(asked: str) -> str | None:
    """The fault of what `main` reads; what was good is remembered on this machine."""
    digest = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    good = root / "limo" / "templates" / digest
    if good.is_file():
        return None
    child = subprocess.run(
        [sys.executable, "-m", "limo.templates"],
        input=asked,
        env=environment(CUDA_VISIBLE_DEVICES=""),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        return child.stdout.strip() or OVER
    with contextlib.suppress(OSError):  # the next process tries it again
        good.parent.mkdir(parents=True, exist_ok=True)
        good.touch()
    return None


def main() -> None:
    """Render what comes over standard input within the limits; exit code 0, or 1 with what went wrong on standard output."""
    template, dialogues, tokens = json.load(sys.stdin)
    from transformers.utils.chat_template_utils import render_jinja_template

    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, spent + SECONDS + 1))
    if (held := Path("/proc/self/statm")).is_file():
        size = int(held.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    try:
        for dialogue in dialogues:
            asks = dialogue[-1]["role"] == "user"
            texts, _ = render_jinja_template([dialogue], chat_template=template, add_generation_prompt=asks, **tokens)
            if len(texts[0]) > LONGEST:
                raise MemoryError
    except MemoryError:
        sys.exit(1)
    except Exception as error:  # whatever a template does
        print(f"cannot be rendered ({' '.join(str(error).split())[:300] or type(error).__name__})")
        sys.exit(1)


if __name__ == "__main__":
    main()
