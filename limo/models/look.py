"""Weights, tokenizer and template of a folder looked at by a child process that has torch; what it found is kept on this machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from limo import UserError, __version__
from limo.config import quoted
from limo.process import environment
from limo.records import read_record, write_record
from limo.serial import dump
from limo.store import content_digest

if TYPE_CHECKING:
    from limo.models.model import Model

VERSION = 2
"""Raised when the same files would be judged otherwise."""
SMALL = 64 << 20
"""Bytes up to which a file is known by its content; a larger one by its size and time."""


@dataclass(frozen=True)
class Look:
    """What is wrong with a model, one clause each."""

    faults: tuple[str, ...] = ()
    untrainable: tuple[str, ...] = ()
    """What keeps it from being trained and not from being asked."""


LOOK = TypeAdapter(Look)


def look(model: Model, folder: Path, training: bool) -> list[str]:
    """What is wrong with the files of `folder`, one sentence each; the same files are looked at once on this machine."""
    there = replace(model, path=str(folder), revision=None)
    found = _looked(json.dumps(dump(there)), _identity(model, folder))
    wrong = (*found.faults, *(found.untrainable if training else ()))
    return [f"model.path={model.path}: {fault}" for fault in wrong]


@functools.cache
def _looked(model: str, identity: str) -> Look:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = root / "limo" / "looks" / f"{identity}.json"
    with contextlib.suppress(UserError):  # not there, or damaged
        return read_record(kept, Look)
    child = subprocess.run(
        [sys.executable, "-m", "limo.models"],
        input=model,
        env=environment(CUDA_VISIBLE_DEVICES="", TRANSFORMERS_VERBOSITY="critical", HF_HUB_DISABLE_PROGRESS_BARS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        return Look(faults=(f"it cannot be loaded ({quoted(last)[:300]}); download it anew, or take another model",))
    found = LOOK.validate_json(child.stdout.splitlines()[-1])
    with contextlib.suppress(OSError):  # the next process looks again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_record(kept, found)
    return found


def _identity(model: Model, folder: Path) -> str:
    """What the findings depend on."""
    parts = [f"{__version__} {VERSION}", *_versions(), str(model.system), *sorted(_digests(folder))]
    parts += [content_digest(model.chat_template)] if model.chat_template else []
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _digests(folder: Path) -> Iterator[str]:
    for file in folder.iterdir():
        if file.is_file() and not file.name.startswith("."):
            at = file.stat()
            yield f"{file.name} {content_digest(file) if at.st_size <= SMALL else (at.st_size, at.st_mtime_ns)}"


def _versions() -> Iterator[str]:
    for package in ("transformers", "torch"):
        with contextlib.suppress(PackageNotFoundError):
            yield version(package)
