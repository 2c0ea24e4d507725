"""What can be configured: the root schema, `component` for every member of a group, and the way from a composed config to live objects."""

from __future__ import annotations

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as validated

from limo import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

T = TypeVar("T")

PACKAGE = Path(__file__).parent
ROOT = PACKAGE if (PACKAGE / "conf").is_dir() else PACKAGE.parent
"""Where `conf/` and `experiments/` lie: inside an installed package, beside it in a checkout."""

NEEDS = {
    "data": ("data",),
    "attempts": ("data", "model", "engine"),
    "selection": ("data", "selection"),
    "training": ("data", "selection", "model", "optimizer", "training", "logger"),
    "evaluation": ("model", "evaluation", "engine"),
}
"""Groups that each stage takes; `attempts` may be none."""
STAGES = tuple(NEEDS)


def runtime(*, default: Any) -> Any:
    """A field that changes how a stage runs and not what it makes: left out of the key of its result."""
    return field(default=default, metadata={"key": False})


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, Field, runtime))
def component(cls: type[T]) -> type[T]:
    """Make a class a member of a config group: a frozen dataclass whose fields are its config, types checked when built.

    Its `__post_init__` raises ValueError with the value and the remedy. It is cheap to build: no file, network, GPU, torch.
    """
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    return validated(frozen=True, kw_only=True, config=config)(cls)  # type: ignore[return-value]


@component
class Config:
    """The root of a run; `conf/config.yaml` and the recipes of `experiments/` fill it."""

    name: str = "lab"
    """First part of the run's address, `outputs/<name>/<overrides>/`."""
    seed: int = 0
    """Every random choice of a run derives from it."""
    stages: tuple[str, ...] = STAGES
    """Which stages run; one whose input exists already can be left out."""
    store: str = "outputs/.store"
    """Where stage results are kept and found again."""
    plugins: tuple[str, ...] = ()
    """Module prefixes, beside `limo.`, whose classes a config may name as `_target_`."""
    python: dict[str, str | None] = field(default_factory=dict)
    """Another interpreter for a stage, for environments whose pins part; null takes this one."""
    data: Any = None
    keywords: Any = None
    """The words by which `selection` knows the traits of a solution; each member of `data` brings that of its language."""
    attempts: Any = None
    selection: Any = None
    model: Any = None
    optimizer: Any = None
    training: Any = None
    evaluation: Any = None
    engine: Any = None
    logger: Any = None

    def __post_init__(self) -> None:
        for key, names in (("stages", self.stages), ("python", self.python)):
            if unknown := [name for name in names if name not in STAGES]:
                raise ValueError(f"{key}: there is no stage {', '.join(unknown)}; the stages are {', '.join(STAGES)}")
        if not self.stages:
            raise ValueError(f"stages=[] leaves nothing to do; the stages are {', '.join(STAGES)}")
        if not self.name.strip("/."):
            raise ValueError(f"name={self.name!r} names no folder; give the run a name")


def build(cfg: DictConfig) -> Config:
    """The live Config of a composed one: every node with a `_target_` becomes that object.

    Raises UserError with the full key of the first value that does not fit. Imports neither torch nor vllm.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        tree: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {first_line(error)}") from None
    allowed = ("limo.", *(tree.get("plugins") or ()))
    _refuse_foreign_targets(tree, allowed, "")
    try:
        parts = {k: instantiate(v, _convert_="object") if isinstance(v, dict) else v for k, v in tree.items()}
    except InstantiationException as error:
        # each component is instantiated on its own below, so that the message can carry the full key
        raise _locate(tree, error) from None
    try:
        config = Config(**parts)
    except ValidationError as error:
        raise UserError(describe(error)) from None
    for part in sorted({part for stage in config.stages for part in NEEDS[stage]}):
        if not dataclasses.is_dataclass(getattr(config, part)):  # such as what is left of a group taken out
            raise UserError(
                f"{part}: nothing is chosen, and stages={list(config.stages)} need it; choose a member, {part}=…"
            )
    return config


def describe(error: ValidationError, prefix: str = "") -> str:
    """A validation error as one sentence: the key, what is wrong, the value."""
    problems = []
    for item in error.errors():
        key = ".".join([prefix, *map(str, item["loc"])] if prefix else map(str, item["loc"]))
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] == "unexpected_keyword_argument":
            message = "there is no such key"
        given = (
            ""
            if item["type"] in ("missing", "value_error", "unexpected_keyword_argument")
            else f", not {item['input']!r}"
        )
        problems.append(f"{key}: {message}{given}" if key else message)
    return "; ".join(problems)


def first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _refuse_foreign_targets(node: Any, allowed: tuple[str, ...], key: str) -> None:
    if isinstance(node, dict):
        target = node.get("_target_")
        if target is not None and not str(target).startswith(allowed):
            raise UserError(
                f"{key}._target_: {target} is outside {', '.join(allowed)}; list its module prefix in `plugins` to allow it"
            )
        for name, child in node.items():
            _refuse_foreign_targets(child, allowed, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            _refuse_foreign_targets(child, allowed, f"{key}[{index}]")


def _locate(tree: Any, fallback: Exception, key: str = "") -> UserError:
    """The first component, innermost first, that cannot be built, as a UserError with its full key."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    if not isinstance(tree, dict):
        return UserError(first_line(fallback))
    for name, child in tree.items():
        if isinstance(child, dict):
            path = f"{key}.{name}" if key else str(name)
            try:
                instantiate(child, _convert_="object")
            except InstantiationException as error:
                return _locate(child, error, path)
    cause = fallback.__cause__
    if isinstance(cause, ValidationError):
        return UserError(describe(cause, key))
    if "Error locating target" in str(fallback):
        reason = " ".join(str(cause or fallback).split())
        return UserError(f"{key}._target_: {tree['_target_']} cannot be imported: {reason}")
    return UserError(f"{key}: {first_line(cause or fallback)}")
