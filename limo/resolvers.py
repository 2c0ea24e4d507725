"""What `${…}` gives in a config beside its own keys: the folder name of a run, and the environment where it may be read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from omegaconf import Container, DictConfig, Node, OmegaConf
from omegaconf.resolvers import oc

from limo import UserError

LONGEST_NAME = 200
"""Longest folder name in bytes; file systems take 255."""
KEY = re.compile(r"(?:^|(?<=,))[\w@.+~/-]+(?==)")
FOLDERS = re.compile(r"([=,\[])[^=,\[\]]*/([^=,/\[\]]*)")
PLAIN = re.compile(r"(?:(?:^~|(?<=,)~)?[a-z0-9_.,=+@()\[\]-])*")
"""What every file system keeps apart as it stands."""
STEPS = 1000
"""How many `${…}` a config may follow: each may hold several others, so that a few lines can make any amount of work."""
PLACES = ("store", "python")
"""Keys that may read the environment, beside those of Hydra: they say where things lie on this machine."""

Reading = Literal["by key", "never", "as text"]
_reading: ContextVar[Reading] = ContextVar("reading", default="by key")
_ABSENT = object()


def register() -> None:
    """Make the resolvers known to OmegaConf."""
    OmegaConf.register_new_resolver("limo.run_dirname", run_dirname, replace=True)
    OmegaConf.register_new_resolver("oc.env", _env, replace=True)


def run_dirname(overrides: str, name: str = "") -> str:
    """The folder name of a run: its overrides, `default` without any; a recipe of the same name as the run goes without saying.

    Of a path the last part stays; of the keys in a long name too, and what is longer yet is cut. A digest ends every name
    that is not its overrides as they stand.
    """
    overrides = ",".join(part for part in overrides.split(",") if part != f"+experiment={name}")
    keyed = KEY.sub(lambda found: found[0].replace("/", "--"), overrides)
    shown = re.sub(r"[^\w.,=+~@()\[\]-]", "_", FOLDERS.sub(r"\1\2", keyed)) or "default"
    if shown == keyed and PLAIN.fullmatch(shown) and "--" not in overrides and len(shown) <= LONGEST_NAME:
        return shown
    if not overrides:
        return shown
    if len(shown) > LONGEST_NAME:
        shown = KEY.sub(lambda found: found[0].rpartition(".")[2], shown)
    head = shown.encode()[: LONGEST_NAME - 10].decode(errors="ignore")
    return f"{head}~{hashlib.sha256(overrides.encode()).hexdigest()[:8]}"


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as plain values. Raises OmegaConf's errors, with the key."""
    tree = {}
    for name in cfg:
        with _read("by key" if name in PLACES else "never"), bounded():
            value = cfg[name]
            whole = isinstance(value, Container)
            tree[str(name)] = OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if whole else value
    return tree


def saved(cfg: DictConfig) -> str:
    """A composed config as YAML, everything in it resolved but the environment."""
    with _read("as text"):
        return OmegaConf.to_yaml(cfg, resolve=True)


@contextmanager
def bounded() -> Iterator[None]:
    """OmegaConf follows a thousand interpolations and no more."""
    follow, left = Container.resolve_parse_tree, iter(range(STEPS))

    def counted(*given: Any, **named: Any) -> Any:
        if next(left, None) is None:
            raise UserError(f"follows more than {STEPS} interpolations; write out what is meant")
        return follow(*given, **named)

    Container.resolve_parse_tree = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        Container.resolve_parse_tree = follow  # type: ignore[method-assign]


@contextmanager
def _read(how: Reading) -> Iterator[None]:
    before = _reading.set(how)
    try:
        yield
    finally:
        _reading.reset(before)


def _env(name: str, default: Any = _ABSENT, *, _node_: Node) -> str | None:
    """`oc.env`, for the keys of places alone: the values of all others are written into the files of a run, or sent to a hub."""
    more = () if default is _ABSENT else (default,)
    if _reading.get() == "as text":
        return f"${{oc.env:{','.join(map(str, (name, *more)))}}}"
    key = str(_node_._get_full_key(None))
    if _reading.get() == "never" or key.partition(".")[0] not in (*PLACES, "hydra"):
        raise UserError(
            f"only store and python.* may read the environment (${{oc.env:{name}}}), for what stands elsewhere is written into "
            f"the files of the run; let the shell put it in, key=${name}"
        )
    return oc.env(name, *more)
