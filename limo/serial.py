"""Live objects as JSON and as keys: `dump` and `load` carry them to stage processes, `fingerprint` is what they stand for."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limo import UserError
from limo.config import describe, is_component, locate, within

PLUGINS = "LIMO_PLUGINS"
"""Environment variable of a stage process: the modules beside `limo` whose components it may load."""


def dump(value: Any, key: str = "") -> Any:
    """A live object as plain JSON values; `load` gives it back. Stage processes receive their work this way.

    Raises UserError naming the key of a value that JSON cannot carry.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: dump(getattr(value, f.name), join(key, f.name)) for f in dataclasses.fields(value) if f.init}
        return {"_target_": f"{type(value).__module__}.{type(value).__qualname__}", **fields}
    if isinstance(value, Mapping):
        return {str(k): dump(v, join(key, k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [dump(v, f"{key}[{i}]") for i, v in enumerate(value)]
    return str(value) if isinstance(value, Path) else plain(value, key)


def load(node: Any, key: str = "", allowed: Iterable[str] | None = None) -> Any:
    """The live object that `dump` wrote or a config says: every node with a `_target_` becomes that component.

    `allowed`: modules and packages that may define it; None for limo's and those that the process which started this one
    had at work. Raises UserError with the full key, innermost first.
    """
    if allowed is None:
        allowed = ("limo", *os.environ.get(PLUGINS, "").split(","))
    if isinstance(node, list):
        return [load(v, f"{key}[{i}]", allowed) for i, v in enumerate(node)]
    if not isinstance(node, dict):
        return node
    target = node.get("_target_")
    kind = None if target is None else _component(str(target), join(key, "_target_"), allowed)
    values = {k: load(v, join(key, k), allowed) for k, v in node.items() if k != "_target_"}
    if kind is None:
        return values
    try:
        return kind(**values)
    except ValidationError as error:
        raise UserError(describe(error, key, [f.name for f in dataclasses.fields(kind)])) from None  # type: ignore[arg-type]


def plugins(node: Any) -> dict[str, str]:
    """The environment in which another process may load what `dump` wrote."""
    modules = {target.rpartition(".")[0] for target in _targets(node)}
    found = sorted(module for module in modules if not within(module, ["limo"]))
    return {PLUGINS: ",".join(found)} if found else {}


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["_target_"]] if "_target_" in node else []
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from _targets(child)


def fingerprint(value: Any, digest: Callable[[Path], str], key: str = "") -> Any:
    """What the key of a result is made of: like `dump`, but paths by their content and `runtime` fields left out.

    A component that knows better what it stands for (weights on a hub) has a method `fingerprint(digest)`. Raises UserError
    naming the field of a value that has no fingerprint.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if callable(own := getattr(value, "fingerprint", None)):
            return own(digest)
        fields = [f for f in dataclasses.fields(value) if f.init and f.metadata.get("key", True)]
        return {
            "_target_": origin(type(value), digest),
            **{f.name: fingerprint(getattr(value, f.name), digest, join(key, f.name)) for f in fields},
        }
    if isinstance(value, Mapping):
        return {str(k): fingerprint(v, digest, join(key, k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fingerprint(v, digest, f"{key}[{i}]") for i, v in enumerate(value)]
    return digest(value) if isinstance(value, Path) else plain(value, key)


def plain(value: object, key: str) -> object:
    """A text, a finite number, true, false or null. Raises UserError for anything else."""
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    what = (
        f"{value!r} is no finite number"
        if isinstance(value, float)
        else f"a {type(value).__qualname__} has no fingerprint"
    )
    raise UserError(f"{key}: {what}; use texts, finite numbers, lists, dicts, and classes decorated with @component")


def join(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def origin(kind: type, digest: Callable[[Path], str]) -> str:
    """A class as it enters a key: ours by name, for its stage has a version; a user's with its source file."""
    if kind.__module__.startswith("limo."):
        return kind.__qualname__
    source = getattr(sys.modules[kind.__module__], "__file__", None)
    return f"{kind.__module__}.{kind.__qualname__}" + (f"@{digest(Path(source))}" if source else "")


def _component(target: str, key: str, allowed: Iterable[str]) -> Callable[..., Any]:
    """The component that a `_target_` names: nothing else is ever called, whatever a config or a stage's request says."""
    outside = f"is outside {', '.join(filter(None, allowed))}; list its module in `plugins` to allow it"
    if not within(target.rpartition(".")[0], allowed):
        raise UserError(f"{key}: {target} {outside}")
    try:
        found = locate(target)
    except (ImportError, AttributeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{key}: {target} cannot be imported ({why}); give the dotted name of a class") from None
    if not is_component(found):
        raise UserError(f"{key}: {target} is no component; decorate its class with @component from limo.config")
    if not within(found.__module__, allowed):
        raise UserError(f"{key}: {target} is {found.__module__}.{found.__qualname__}, which {outside}")
    return found
