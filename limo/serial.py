"""Live objects as JSON and as keys: `dump` and `load` carry them to stage processes, `fingerprint` is what they stand for."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from limo import UserError


def dump(value: Any) -> Any:
    """A live object as plain JSON values; `load` gives it back. Stage processes receive their work this way."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: dump(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"_target_": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, Mapping):
        return {str(k): dump(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [dump(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def load(node: Any) -> Any:
    """The live object that `dump` wrote."""
    if isinstance(node, list):
        return [load(v) for v in node]
    if not isinstance(node, dict):
        return node
    values = {k: load(v) for k, v in node.items() if k != "_target_"}
    return _class(node["_target_"])(**values) if "_target_" in node else values


def fingerprint(value: Any, digest: Callable[[Path], str]) -> Any:
    """What the key of a result is made of: like `dump`, but paths by their content and `aside` fields left out.

    A component that knows better what it stands for (weights on a hub) has a method `fingerprint(digest)`.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if callable(own := getattr(value, "fingerprint", None)):
            return own(digest)
        fields = [f for f in dataclasses.fields(value) if f.init and f.metadata.get("key", True)]
        return {
            "_target_": _origin(type(value), digest),
            **{f.name: fingerprint(getattr(value, f.name), digest) for f in fields},
        }
    if isinstance(value, Mapping):
        return {str(k): fingerprint(v, digest) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fingerprint(v, digest) for v in value]
    return digest(value) if isinstance(value, Path) else value


def _origin(kind: type, digest: Callable[[Path], str]) -> str:
    """A class as it enters a key: ours by name, for its stage has a version; a user's with its source file."""
    if kind.__module__.startswith("limo."):
        return kind.__qualname__
    source = getattr(sys.modules[kind.__module__], "__file__", None)
    return f"{kind.__module__}.{kind.__qualname__}" + (f"@{digest(Path(source))}" if source else "")


def _class(target: str) -> Any:
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"_target_: {target} does not exist") from None
