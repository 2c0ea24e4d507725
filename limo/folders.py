"""Where Hydra looks: the groups of `conf/` and the recipes of `experiments/`, shipped ones and those of the working directory."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from limo import UserError
from limo.config import ROOT

RECIPES = "experiment"
"""The group of the recipes."""
FIELD = re.compile(r"(Command|Hardware|Expected|Obtained)\s+(.*)$")
LARGEST, VALUES = 1 << 16, 10_000
"""Bytes of a YAML file, and values in it, those of its aliases counted wherever they stand."""


class Groups(ConfigSource):
    """A folder of groups. Each file is read when it is chosen; those that begin with `_` are there to inherit from, and not listed."""

    @staticmethod
    def scheme() -> str:
        return "limo-groups"

    def place(self, config_path: str) -> Path:
        """Where a group or, with `.yaml`, a config of it would be."""
        return Path(self.path, config_path)

    def available(self) -> bool:
        return Path(self.path).is_dir()

    def is_group(self, config_path: str) -> bool:
        return self.place(config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self.place(self._normalize_file_name(config_path)).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found = set[str]()
        for path in self.place(config_path).iterdir():
            kind = ObjectType.GROUP if path.is_dir() else ObjectType.CONFIG if path.suffix == ".yaml" else None
            if kind and results_filter in (None, kind) and not path.name.startswith("_"):
                found.add(path.name.removesuffix(".yaml"))
        return sorted(found)

    def load_config(self, config_path: str) -> ConfigResult:
        text, config = self.read(config_path)
        return ConfigResult(self.provider, self.full_path(), config, self._get_header_dict(text))

    def read(self, config_path: str) -> tuple[str, DictConfig]:
        """The text of a file and the config that it is. Raises UserError."""
        file = self.place(self._normalize_file_name(config_path))
        try:
            text = small(file)
            config = OmegaConf.load(io.StringIO(text))
        except UserError:
            raise
        except Exception as error:  # YAML errors have no common base with OmegaConf's
            raise UserError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from None
        if not isinstance(config, DictConfig):
            raise UserError(f"{file}: not a config; write keys with values")
        return text, config


def small(file: Path) -> str:
    """The text of a YAML file. Raises UserError where it, or what its aliases make of it, is no config that a person writes."""
    if file.stat().st_size > LARGEST:
        raise UserError(f"{file}: longer than {LARGEST >> 10} KiB; a config has a few lines")
    text = file.read_text(encoding="utf-8")
    if "&" in text and "*" in text and _values(yaml.compose(text, yaml.SafeLoader), {}) > VALUES:
        raise UserError(f"{file}: its aliases make more than {VALUES:,} values of it; write out what is meant")
    return text


def comment(text: str) -> list[str]:
    """The lines of the comment on top of a file's text, without what is for Hydra."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), text.splitlines())
    return [line.removeprefix("#").strip() for line in lines if not line.startswith("# @package")]


def fields(text: str) -> dict[str, str]:
    """The head of a recipe by its parts: `""` for what it asks, Command, Hardware, Expected, Obtained."""
    found, current = {"": ""}, ""
    for line in comment(text):
        if match := FIELD.match(line):
            current, line = match[1], match[2]
        found[current] = f"{found.get(current, '')} {line}".strip()
    return found


def _values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a node has, its aliases followed; endless where one holds itself."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = VALUES + 1  # until it is counted: what holds itself has no end
        children = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_values(child, known) for child in children)
    return known[id(node)]


class Recipes(Groups):
    """A folder of recipes: the group `experiment`, whose configs change the root."""

    @staticmethod
    def scheme() -> str:
        return "limo-recipes"

    def place(self, config_path: str) -> Path:
        group, _, rest = config_path.partition("/")
        return Path(self.path, rest) if group == RECIPES else Path(self.path, config_path, "of no recipe")

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Recipes in folders too, as `lab/size`: to the user all are one group."""
        if not config_path:
            return [] if results_filter is ObjectType.CONFIG else [RECIPES]
        whole = config_path == RECIPES and results_filter is not ObjectType.GROUP
        return sorted(recipe for recipe in _names(Path(self.path)) if whole)

    def is_group(self, config_path: str) -> bool:
        return not config_path or super().is_group(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """A recipe; what it asks stands in its head comment, unless it has a `question` of its own."""
        text, config = self.read(config_path)
        if (asked := fields(text)[""]) and "question" not in config:
            config["question"] = asked
        return ConfigResult(self.provider, self.full_path(), config, {"package": "_global_"})


class Places(SearchPathPlugin):
    """The folders in Hydra's order; the first that has a file wins, so those of the working directory stand before the shipped ones."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for element in search_path.get_path():
            if element.provider == "main":
                element.path = f"{Groups.scheme()}://{ROOT / 'conf'}"
        for folder in folders("conf")[:-1]:
            search_path.prepend("working directory", f"{Groups.scheme()}://{folder}")
        for folder in reversed(folders("experiments")):
            search_path.prepend("recipes", f"{Recipes.scheme()}://{folder}")


def register() -> None:
    """Make the folders known to Hydra."""
    for plugin in (Groups, Recipes, Places):
        Plugins.instance().register(plugin)


def folders(kind: str) -> list[Path]:
    """The folders `conf` or `experiments`: that of the working directory where it is one of ours, then the shipped one."""
    here, shipped = Path(kind).absolute(), ROOT / kind
    ours = here.is_dir() and here.resolve() != shipped.resolve() and here != foreign()
    return [here, shipped] if ours else [shipped]


def foreign() -> Path | None:
    """`./conf` where it belongs to another program: it has a `config.yaml`, the root of a config, as ours has."""
    here = Path("conf").absolute()
    return here if (here / "config.yaml").is_file() and here.resolve() != (ROOT / "conf").resolve() else None


def offered() -> dict[str, list[str]]:
    """The members of every group, recipes included; what the same YAML makes, comments apart, is listed once, as `name = other`."""
    return {group: _once(held) for group, held in members().items()}


def members() -> dict[str, dict[str, Path]]:
    """Group -> member -> its file; one of the working directory before a shipped one of the same name."""
    found: dict[str, dict[str, Path]] = {}
    for group, name, file in _files():
        found.setdefault(group, {}).setdefault(name, file)
    return dict(sorted(found.items()))


def _files() -> Iterator[tuple[str, str, Path]]:
    """Group, member and file of all that is offered; that of the working directory before the shipped one."""
    for kind in ("conf", "experiments"):
        for folder in folders(kind):
            for name, file in _names(folder).items():
                group, _, member = name.rpartition("/") if kind == "conf" else (RECIPES, "", name)
                if group:
                    yield group, member, file


def _names(folder: Path) -> dict[str, Path]:
    """Every file that is offered, by its path below the folder without `.yaml`."""
    found = sorted(file for file in folder.rglob("[!_]*.yaml") if file.is_file())
    return {file.relative_to(folder).as_posix().removesuffix(".yaml"): file for file in found}


def _once(members: dict[str, Path]) -> list[str]:
    same: dict[str, list[str]] = {}
    for name, file in sorted(members.items()):
        if file.stat().st_size > LARGEST:
            same[name] = [name]
            continue
        said = re.sub(r"^\s*(#.*)?\n", "", file.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)
        same.setdefault(said, []).append(name)
    return [" = ".join(names) for names in same.values()]
