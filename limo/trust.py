"""What the part of a config that is Hydra's own may make Hydra do: it chooses sweeps, launchers and folders, and calls nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from limo import UserError
from limo.config import locate, within

HOMES = ("hydra", "hydra_plugins", "limo.sweep")
"""Whose classes Hydra may make."""
KINDS = {
    r"hydra\.callbacks\.[^.]+": "hydra.experimental.callback.Callback",
    r"hydra\.launcher": "hydra.plugins.launcher.Launcher",
    r"hydra\.sweeper": "hydra.plugins.sweeper.Sweeper",
}
"""Key -> what stands there."""
SAMPLER = re.compile(r"optuna\.samplers\.\w+")
LOGGERS = ("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "colorlog.ColoredFormatter")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
LOG = "${hydra.runtime.output_dir}/${hydra.job.name}.log"
PLAIN = re.compile(r"\.?\w[\w.-]*")


def refuse_foreign(settings: dict[str, Any]) -> None:
    """Raises UserError with the key of the first thing in Hydra's part of a config, unresolved, that nobody needs but an attack."""
    for key, value in _leaves(settings, "hydra"):
        part, _, name = key.rpartition(".")
        if name == "_target_" and not _of_hydra(part, str(value)):
            raise UserError(f"{key}: {value} is no class of Hydra or of its plugins; leave it out")
        if key.startswith(("hydra.job_logging.", "hydra.hydra_logging.")) and not _harmless(name, value):
            raise UserError(f"{key}: {value} is nothing that a log needs; leave it out")
        if key.startswith("hydra.job.env_set."):
            raise UserError(f"{key}: set {name} in the shell instead, before the command")
        if key in ("hydra.job.name", "hydra.output_subdir") and value and not PLAIN.fullmatch(str(value)):
            raise UserError(f"{key}: {value} must be a plain name")


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, dict | list):
        yield key, node
        return
    for name, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield from _leaves(child, f"{key}.{name}")


def _of_hydra(key: str, target: str) -> bool:
    """Whether the class is of the kind that stands at that key, and defined by Hydra, a plugin of it, or by our callback."""
    kind = next((kind for place, kind in KINDS.items() if re.fullmatch(place, key)), None)
    if kind is None:
        return bool(SAMPLER.fullmatch(target))
    if not within(target.rpartition(".")[0], HOMES):
        return False
    try:
        found: object = locate(target)
    except (ImportError, AttributeError, ValueError):
        return False
    return isinstance(found, type) and issubclass(found, locate(kind)) and within(found.__module__, HOMES)


def _harmless(name: str, value: object) -> bool:
    """Whether a value of a logging configuration makes nothing but a usual handler, and opens no file but the run's log."""
    if name in ("class", "()"):
        return value in LOGGERS
    if name == "filename":
        return value == LOG
    return not str(value).startswith(("ext://", "cfg://")) or value in STREAMS
