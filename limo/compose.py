"""Hydra: recipes and overrides to a live Config, and what is wrong with them in one sentence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from limo import UserError
from limo.config import ROOT, Config, build, first_line

LONGEST_NAME = 200
"""Longest folder name in bytes; file systems take 255."""

HELP = """\
limo: choose data, train, evaluate and compare, as one declarative experiment

python -m limo                                   the lab: the whole road on a laptop CPU, in minutes
python -m limo +experiment=limo817               the paper's main run
python -m limo -m +experiment=limo817 selection=random,limo selection.size=100,400,800
python -m limo +experiment=limo817 model=qwen2.5-7b-instruct training=lora optimizer.lr=1e-5
python -m limo plan +experiment=limo817          what would run, what is cached, memory, GPU hours, disk
python -m limo probe +experiment=limo817         is the base ready? its loss on the examples, its own answers, its length
python -m limo report outputs/lab               tables, curves and a web page over many runs
python -m limo grade cases.jsonl                grade answers alone

The verbs are run (the default), plan, probe, report and grade; python -m limo <verb> --help says what each takes.

Groups and their members (group=member), recipes under `experiment` (+experiment=recipe):

{groups}

Every key with its value: python -m limo --cfg job. Any of them can be overridden as key=value."""


def register_configs() -> None:
    """Tell Hydra the schema, the recipes and the resolver; recipes of the working directory come last and win."""
    store = ConfigStore.instance()
    schema = OmegaConf.structured(Config)
    OmegaConf.set_readonly(schema, None)  # a frozen dataclass would refuse the groups and overrides that are to come
    store.store(name="schema", node=schema)
    for file, name in recipes():
        try:
            node = OmegaConf.load(file)
        except Exception as error:  # YAML errors have no common base with OmegaConf's
            raise UserError(f"{file}: not valid YAML ({' '.join(str(error).split())})") from None
        group = Path("experiment", name.parent).as_posix()
        store.store(group=group, name=name.name, node=node, package="_global_", provider="limo")
    OmegaConf.register_new_resolver("limo.run_dirname", run_dirname, replace=True)


def recipes() -> Iterator[tuple[Path, Path]]:
    """File and name of every recipe, those of the working directory last."""
    for folder in dict.fromkeys([ROOT / "experiments", Path("experiments").absolute()]):
        for file in sorted(folder.rglob("*.yaml")):
            yield file, file.relative_to(folder).with_suffix("")


def overview() -> str:
    """The text of `--help`. Hydra's own composes a config and takes a second and a half to list the same groups."""
    members: dict[str, set[str]] = {}
    for file in (ROOT / "conf").glob("*/**/*.yaml"):
        members.setdefault(file.parent.relative_to(ROOT / "conf").as_posix(), set()).add(file.stem)
    members["experiment"] = {name.as_posix() for _, name in recipes()}
    groups = "\n".join(f"{group}: {', '.join(sorted(names))}" for group, names in sorted(members.items()))
    return HELP.format(groups=groups)


def run_dirname(overrides: str) -> str:
    """The folder name of a run: its overrides, `default` without any.

    Of a path the last part stays, and long names are cut; a digest tells both apart.
    """

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    short = re.sub(r"=([^=,]*/)([^=,/]*)", lambda m: f"={m[2]}~{digest(m[1] + m[2])[:6]}", overrides)
    name = re.sub(r"[^\w.,=+~@()\[\]-]", "_", short) or "default"
    if len(name.encode()) > LONGEST_NAME:
        head = name.encode()[: LONGEST_NAME - 40].decode(errors="ignore")
        name = f"{head}…{digest(overrides)[:12]}"
    return name


def compose(overrides: Sequence[str]) -> Config:
    """The live Config that `python -m limo <overrides>` would run. Raises UserError."""
    if sweep := {"-m", "--multirun"} & set(overrides):
        raise UserError(f"{sweep.pop()}: this looks at one run; leave it out and give one value of each key")
    register_configs()
    try:
        with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return build(hydra.compose("config", list(overrides)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(sentence(error)) from None


def sentence(error: Exception) -> str:
    """What is wrong with a composition, in one sentence that names the key and the remedy."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        if group == "hydra/launcher" and name in ("submitit_slurm", "submitit_local"):
            return f"{group}={name} needs an optional part; pip install 'limo[slurm]'"
        options = f"; choose one of: {', '.join(error.options)}" if error.options else ""
        return f"{group}={name} does not exist{options}" if group else f"{name} does not exist{options}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not a valid override ({first_line(error)}); write key=value, and quote values with special characters"
    text = f"{error}\n{error.__cause__ or ''}"
    if "is not in struct" in text or "could not delete" in text.lower():
        key = re.search(r"'([^']+)'", text)
        return f"{key.group(1) if key else error}: there is no such key; `python -m limo --cfg job` prints every key with its value"
    if found := re.match(r"Error merging override (\S+)", text):
        return f"{found.group(1)}: {first_line(error.__cause__ or error)}"
    return " ".join(line.strip() for line in text.splitlines() if line.strip() and "object_type" not in line)
