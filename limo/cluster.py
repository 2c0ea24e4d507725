"""Ray, where it is asked for: joined while there is work for it, and left again."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from limo import EndedError, UserError, hardware

STORE = 1 << 30
"""Bytes of main memory for what Ray hands around on this machine; what is more goes to disk."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}
"""Nothing is sent home, and nothing said on the terminal that the log of Ray has too."""
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
"""For a cluster of this machine, beside its token."""


def missing(key: str) -> list[str]:
    """That Ray is not installed, one sentence for the key that asks for it."""
    return [] if find_spec("ray") else [f"{key} needs Ray; pip install 'limo[ray]', or leave the key at local"]


@contextmanager
def joined(key: str) -> Iterator[Any]:
    """The module `ray`, connected as it is, or to the cluster that RAY_ADDRESS names, else to one of this machine that ends with this.

    The latter listens on the loopback address, to who knows its token. Raises UserError for the key that asks for Ray,
    where it is not installed or its cluster is not there.
    """
    if lacks := missing(key):
        raise UserError(lacks[0])
    address = os.environ.get("RAY_ADDRESS")
    alone = {} if address else ALONE | {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.update(QUIET | alone)  # before the import: Ray reads them once
    import ray

    if ray.is_initialized():
        yield ray
        return
    before = signal.getsignal(signal.SIGTERM)
    with _folder() as folder:

        def end(*_: object) -> None:
            """Leave at once: Ray's processes were told to end too, so there is nobody to say goodbye to."""
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(EndedError.code)

        try:
            _connect(ray, key, address, folder)
        except SystemExit:  # of the handler that Ray sets
            end()
        _on_term(before if callable(before) else end)
        try:
            yield ray
        finally:
            ray.shutdown()
            _on_term(before)


def _connect(ray: Any, key: str, address: str | None, folder: str) -> None:
    """To the cluster at an address, else to a new one of this machine. Raises UserError for the key that asks for Ray."""
    own = {
        "object_store_memory": STORE,
        "include_dashboard": False,
        "_temp_dir": folder,
        "num_cpus": hardware.cores(),
    }
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        ray.init(address or "local", **quiet, **({} if address else own))
    except (ConnectionError, RuntimeError) as error:
        remedy = f"mend RAY_ADDRESS={address}, or unset it" if address else "see whether `ray start --head` starts"
        raise UserError(f"{key}: {str(error).splitlines()[0]}; {remedy}") from None


@contextmanager
def _folder() -> Iterator[str]:
    """A folder for Ray's sockets, log and spilled objects; what ended runs left of theirs goes.

    The lock beside it says whose run still lives; Ray's processes, which die after their run, make their folders anew.
    """
    home = Path(os.environ.get("RAY_TMPDIR", "/tmp"))  # a short one: names of sockets have 107 bytes
    for lock in home.glob("limo-ray-*.lock"):
        with suppress(OSError), lock.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
    with tempfile.NamedTemporaryFile(prefix="limo-ray-", suffix=".lock", dir=home) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = held.name.removesuffix(".lock")
        Path(folder).mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _on_term(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)
