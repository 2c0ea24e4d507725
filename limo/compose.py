"""Hydra: recipes and overrides to a live Config, and what is wrong with them in one sentence."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException
from pydantic import ValidationError

from limo import UserError, folders, resolvers, trust
from limo.config import (
    EXPECTED,
    NEEDS,
    ROOT,
    SLOTS,
    Config,
    describe,
    expectations,
    first_line,
    locate,
    misfit,
    refuse_name,
)
from limo.described import elsewhere, leaves
from limo.expected import refuse_unknown
from limo.objective import refuse_aimless, searches
from limo.serial import load
from limo.spelling import meant

MULTIRUN = {"-m", "--multirun"}
EXTRAS = {
    "hydra/launcher=submitit_slurm": "slurm",
    "hydra/launcher=submitit_local": "slurm",
    "hydra/launcher=joblib": "sweeps",
    "hydra/sweeper=optuna": "sweeps",
}
"""Members of Hydra's groups that come with an optional part, and which."""


def register_configs() -> None:
    """Tell Hydra the schema, the folders of groups and recipes, and the resolvers."""
    schema = OmegaConf.structured(Config)
    OmegaConf.set_readonly(schema, None)  # a frozen dataclass would refuse the groups and overrides that are to come
    ConfigStore.instance().store(name="schema", node=schema)
    folders.register()
    resolvers.register()


def compose(overrides: Sequence[str]) -> Config:
    """The live Config that `python -m limo <overrides>` would run, `--config-dir` among them. Raises UserError."""
    if sweep := MULTIRUN & set(overrides):
        raise UserError(f"{sweep.pop()}: this looks at one run; leave it out and give one value of each key")
    words = _with_folder(overrides)
    with _composing():
        config = hydra.compose("config", words)
        built = build(config)
        refuse_vain(config, words)
        return built


def tree(overrides: Sequence[str]) -> dict[str, Any]:
    """The composed config as plain values, each `${…}` as it stands. Raises UserError."""
    with _composing():
        return OmegaConf.to_container(hydra.compose("config", list(overrides)), resolve=False)  # type: ignore[return-value]


def rebuild(tree: Mapping[str, Any]) -> Config:
    """The live Config of a run from what stands in its `config.yaml`, but for what it expects: that is of its study. Raises UserError."""
    with in_words():
        resolvers.register()
        return build(OmegaConf.create({**tree, "expect": {}}))


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of every job that `python -m limo <overrides>` runs: of the one run, or of each run of a sweep, asked
    for by `-m` or by the recipe. Raises UserError.
    """
    words = _with_folder([word for word in overrides if word not in MULTIRUN])
    with _composing():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        asked = parser.parse_overrides(words)
        fixed = [one.input_line or "" for one in asked if not one.is_sweep_override()]
        config = hydra.compose("config", fixed, return_hydra_config=True)
        refuse(config)
        settings = config.hydra
        if settings.mode is not RunMode.MULTIRUN and not MULTIRUN & set(overrides):
            refuse_vain(config, fixed)
            return [words]
        refuse_aimless(OmegaConf.to_container(config, resolve=False))
        if searches(settings):
            return [fixed]  # its runs are not known before it has seen some
        swept = [f"{key}={value}" for key, value in (settings.sweeper.get("params") or {}).items()]
        batches = BasicSweeper.split_arguments(parser.parse_overrides([*swept, *words]), max_batch_size=None)
        return [list(job) for batch in batches for job in batch]


def refuse(config: DictConfig) -> None:
    """Raises UserError where a composed config would have Hydra call what is not its own, or write where no run belongs."""
    trust.refuse_foreign(OmegaConf.to_container(config.hydra, resolve=False))  # type: ignore[arg-type]
    with resolvers.bounded():
        refuse_name(str(config.name))


def refuse_vain(config: DictConfig, overrides: Sequence[str]) -> None:
    """Raises UserError where a composed config expects something that no run of its study could tell."""
    loader, tree = GlobalHydra.instance().config_loader(), OmegaConf.to_container(config, resolve=False)
    try:
        expect = expectations(tree.get("expect") or {})  # type: ignore[union-attr]
    except ValidationError as error:
        raise UserError(describe(error, "expect", below=EXPECTED)) from None

    @cache
    def members(group: str) -> list[str]:
        return loader.get_group_options(group, overrides=list(overrides))

    refuse_unknown(expect, tree, members)  # type: ignore[arg-type]


@contextlib.contextmanager
def _composing() -> Iterator[None]:
    """Hydra made ready for `hydra.compose`."""
    with in_words():
        register_configs()
        with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            yield


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """What Hydra cannot compose is a UserError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if isinstance(error, UserError) or not (known := sentence(error)):
            raise
        raise UserError(known) from None
    except RecursionError:
        raise UserError("a recipe or a member inherits itself, by way of its defaults; take one of those out") from None


def _with_folder(overrides: Sequence[str]) -> list[str]:
    """The folder of `--config-dir` as an override, as Hydra's own command has it."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--config-dir", "-cd", type=Path)
    try:
        given, rest = parser.parse_known_args(overrides)
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from None
    if given.config_dir is None:
        return rest
    if not given.config_dir.is_dir():
        raise UserError(f"--config-dir {given.config_dir}: no such folder; give one with folders of groups in it")
    return [*rest, f"hydra.searchpath=['{folders.Groups.scheme()}://{given.config_dir.absolute()}']"]


def build(cfg: DictConfig) -> Config:
    """The live Config of a composed one: every node with a `_target_` becomes that component.

    Raises UserError with the full key of the first value that does not fit. Imports neither torch nor vllm.
    """
    try:
        tree = resolvers.resolved(cfg)
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: has no value; give it one, {error.full_key}=…") from None
    except OmegaConfBaseException as error:
        raise UserError(_unresolved(error)) from None
    parts = load(tree, allowed=("limo", *(tree.get("plugins") or ())))
    if dataclasses.is_dataclass(parts.get("attempts")):
        raise UserError("attempts: these are sieves by name; put this one below a name of its own, attempts.<name>")
    try:
        config = Config(**parts)
    except ValidationError as error:
        known = [field.name for field in dataclasses.fields(Config)] + list(folders.members())
        raise UserError(describe(error, known=known, below=EXPECTED)) from None
    for part in sorted({part for stage in config.stages for part in NEEDS[stage]}):
        if not dataclasses.is_dataclass(getattr(config, part)):  # such as what is left of a group taken out
            raise UserError(
                f"{part}: nothing is chosen, and stages={list(config.stages)} need it; choose a member, {part}=…"
            )
    for name, target in SLOTS.items():
        value = parts.get(name)
        several = {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
        for place, one in several.items():
            if one is not None and (fault := misfit(one, locate(target))):
                raise UserError(f"{place}: {fault}")
    return config


def sentence(error: Exception) -> str | None:
    """What is wrong with a composition, in one sentence that names the key and the remedy; None for other errors."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_member(str(error.missing_cfg_file), error.options or ())
    if isinstance(error, OverrideParseException):
        return _no_override(error)
    text = f"{error}\n{error.__cause__ or ''}"
    if "Config group override must be" in text:
        return "null is no member of a group; `python -m limo --help` lists them, and ~group leaves one out"
    if isinstance(error.__cause__, OSError) and error.__cause__.filename:  # of the log in the run's folder
        return f"{error.__cause__.filename}: {error.__cause__.strerror}; choose a writable folder with hydra.run.dir=…"
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    if "is not in struct" in text or re.search(r"Key '[^']*' not in '\w+'", text) or "could not delete" in text.lower():
        return _no_key(error, text)
    if isinstance(error, InterpolationResolutionError):
        return _unresolved(error)
    if found := re.match(r"Error merging override (\S+)", text):
        return f"{found.group(1)}: {first_line(error.__cause__ or error)}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip() and "object_type" not in line)


def _no_member(file: str, options: Sequence[str]) -> str:
    group, _, name = file.rpartition("/")
    if group.partition("/")[0] == folders.RECIPES:  # recipes in folders are one group to the user
        name = file.removeprefix(f"{folders.RECIPES}/")
        group, options = f"+{folders.RECIPES}", folders.offered()[folders.RECIPES]
    if extra := EXTRAS.get(f"{group}={name}"):
        return f"{group}={name} needs an optional part; pip install 'limo[{extra}]'"
    choices = f"{meant(name, options)}; choose one of: {', '.join(options)}" if options else ""
    if foreign := folders.foreign():
        choices += f" ({foreign} is not searched: its config.yaml makes it another program's)"
    return f"{group}={name} does not exist{choices}" if group else f"{name} does not exist{choices}"


def _no_override(error: OverrideParseException) -> str:
    word = str(error.override)
    if re.fullmatch(r"[a-z]+", word):
        return f"{word}: neither a verb nor key=value; `python -m limo --help` names the verbs"
    return (
        f"{word}: not a valid override ({first_line(error)}); write key=value, and quote values with special characters"
    )


def _unresolved(error: OmegaConfBaseException) -> str:
    said = re.sub(r"^\w+ raised while resolving interpolation: ", "", first_line(error))
    return f"{error.full_key or 'config'}: {said}"


def _no_key(error: Exception, text: str) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    known, wrong = getattr(cause, "parent_node", None), str(getattr(cause, "key", ""))
    asked = re.search(r"'([^']+)' does not exist|full_key: (\S+)", text)
    key = str(getattr(cause, "full_key", None) or wrong) or (asked[1] or asked[2] if asked else str(error))
    near = ""
    if isinstance(known, DictConfig):
        near = meant(wrong, map(str, known), f"{key.removesuffix(wrong)}{{}}")
        places = leaves(OmegaConf.to_container(known._get_root(), resolve=False))
        near = near or elsewhere(wrong, (place for place, _ in places))
    return f"{key}: there is no such key{near}; `python -m limo --cfg job` prints every key with its value"
