"""Whether the network answers, asked once a process; nobody waits for a silent host twice."""

from __future__ import annotations

import functools
import os
import threading
import urllib.error
import urllib.request

PATIENCE = 5.0
"""Seconds that a host has to say anything at all."""


def forbidden() -> bool:
    """Whether the environment says that the hub is not to be asked."""
    from huggingface_hub.constants import is_offline_mode

    return is_offline_mode() or os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")


@functools.cache
def answers(url: str) -> bool:
    """Whether a host says anything, be it an error."""
    said = threading.Event()

    def ask() -> None:
        try:
            head(url)
        except urllib.error.HTTPError:
            pass
        except (OSError, ValueError):
            return
        said.set()

    asking = threading.Thread(target=ask, daemon=True)  # a name has many addresses, each with a wait of its own
    asking.start()
    asking.join(PATIENCE)
    return said.is_set()


def head(url: str) -> None:
    """Ask for a page without its content. Raises OSError where there is none."""
    urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE).close()
