"""Whether two checkouts compose the same configs: every member of every group, every recipe and every job of its sweep.

    python tests/compare_configs.py <old> <new> [--changes file]

Compared are the resolved YAML and the live objects as `dump` writes them, classes by their name wherever they live. The file
names what was meant to change: a line `old new` a renamed part of a key, class or group, a line of one word (a pattern) keys
that differ otherwise. A key that only the new YAML has is counted apart: as the objects are equal, its value is what the class
had by default. Exit code 1 where anything else differs.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

PLACES = {
    "evaluation/benchmark": "evaluation.benchmarks.one",
    "attempts/sieve": "attempts.one",
    "paraphrases": "data.decontamination.paraphrases",
    "scores": "scores.one",
    "selection/budget": "selection.budget",
    "selection/order": "selection.order",
    "selection/step": "selection.steps.one",
    "selection/transform": "selection.transforms.one",
}
"""Where a member stands whose group has no place of its own."""
NEEDED = {
    "where": ["selection.steps.one.key=level", "selection.steps.one.values=[1]"],
    "recorded": [
        "attempts.one.column=passed",
        "attempts.one.holds=right",
        "attempts.one.tried=8",
        "data=files",
        "data.meta=[passed]",
    ],
    "between": ["selection.steps.one.of=level"],
    "column": ["selection.steps.one.of=level"],
    "combine": ["selection.steps.one.of={level: 1.0}"],
    "turns": ["selection.order.by=subject"],
    "quotas": ["selection.order.by=subject", "selection.order.shares={algebra: 1.0}"],
    "tokens": ["selection.budget.most=1000"],
    "external": ["scores.one.path=scores.csv", "scores.one.columns=[influence]"],
    "likeness": ["+data@scores.one.to=gsm8k"],
    "rds": ["+data@scores.likeness.to=gsm8k"],
}
"""What a member leaves to be set."""


def compositions(root: Path) -> dict[str, list[str]]:
    """Overrides by what they show: each member, each recipe, each job of a recipe's sweep."""
    from omegaconf import OmegaConf

    found: dict[str, list[str]] = {}
    for file in sorted((root / "conf").glob("*/**/*.yaml")):
        group, name = file.parent.relative_to(root / "conf").as_posix(), file.stem
        if not name.startswith("_"):
            place = f"+{group}@{PLACES[group]}" if group in PLACES else group
            found[f"{group}={name}"] = [f"{place}={name}", *NEEDED.get(name, ())]
    for file in sorted((root / "experiments").rglob("[!_]*.yaml")):
        recipe = f"+experiment={file.relative_to(root / 'experiments').with_suffix('')}"
        found[recipe] = [recipe]
        params = OmegaConf.select(OmegaConf.load(file), "hydra.sweeper.params") or {}
        for values in itertools.product(*(str(v).split(",") for v in params.values())):
            job = [f"{key}={value}" for key, value in zip(params, values, strict=True)]
            found[" ".join([recipe, *job])] = [recipe, *job]
    return found


def dump_all(root: Path) -> dict[str, dict[str, Any]]:
    """YAML and objects of every composition; in a process of its own, with the checkout's own `limo`."""
    import hydra
    from omegaconf import OmegaConf

    try:
        from limo.compose import build, register_configs
        from limo.serial import dump
    except ImportError:  # a checkout from before these had modules of their own
        from limo.__main__ import offer as register_configs  # type: ignore[attr-defined, no-redef]
        from limo.config import build, dump  # type: ignore[attr-defined, no-redef]

    register_configs()
    found: dict[str, dict[str, Any]] = {}
    with hydra.initialize_config_dir(str(root / "conf"), version_base="1.3"):
        for what, overrides in compositions(root).items():
            try:
                cfg = hydra.compose("config", overrides)
                found[what] = {"yaml": OmegaConf.to_container(cfg, resolve=True), "objects": dump(build(cfg))}
            except Exception as error:  # a difference like any other
                found[what] = {"yaml": {}, "objects": {"error": f"{type(error).__name__}: {error}"}}
    return found


def read(root: Path) -> dict[str, dict[str, Any]]:
    """What `dump_all` finds in a checkout."""
    command = [sys.executable, str(Path(__file__).absolute()), "--dump", str(root.absolute())]
    path = {"PYTHONPATH": str(root.absolute()), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=root, env=path, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{root}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def leaves(node: Any, renamed: dict[str, str], key: str = "") -> dict[str, Any]:
    """The values of a tree by their full key, both under their new names."""
    if isinstance(node, dict) and node:
        found = {}
        for name, child in node.items():
            found |= leaves(child, renamed, f"{key}.{renamed.get(name, name)}" if key else renamed.get(name, name))
        return found
    if key.endswith("_target_"):
        name = str(node).rpartition(".")[2]
        return {key: renamed.get(str(node), renamed.get(name, name))}
    return {key: node}


def differences(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    """By key, both values where they are not the same or only one side has the key; benchmarks are one."""
    return {
        re.sub(r"benchmarks\.\w+", "benchmarks.*", key): f"{old.get(key, 'absent')!r} -> {new.get(key, 'absent')!r}"
        for key in sorted(old.keys() | new.keys())
        if (key in old, old.get(key)) != (key in new, new.get(key))
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--changes", type=Path)
    given = parser.parse_args()
    lines = [line.split() for line in given.changes.read_text(encoding="utf-8").splitlines()] if given.changes else []
    renamed = {words[0]: words[1] for words in lines if len(words) == 2}
    meant = re.compile("|".join(words[0] for words in lines if len(words) == 1) or r"(?!)")
    old, new = read(given.old), read(given.new)
    old = {re.sub(r"^[\w/]+(?==)", lambda group: renamed.get(group[0], group[0]), what): v for what, v in old.items()}
    both = sorted(old.keys() & new.keys())
    changed: dict[str, list[str]] = collections.defaultdict(list)
    shown: collections.Counter[str] = collections.Counter()
    for what in both:
        for side in ("objects", "yaml"):
            before, after = leaves(old[what][side], renamed), leaves(new[what][side], {})
            if side == "yaml":
                shown.update({re.sub(r"benchmarks\.\w+", "benchmarks.*", key) for key in after.keys() - before.keys()})
                after = {key: value for key, value in after.items() if key in before}
            for key, values in differences(before, after).items():
                changed[f"{'meant' if meant.search(key) else 'DIFFERS'}  {side}  {key}: {values}"].append(what)
    for line, where in sorted(changed.items()):
        print(f"{line}   ({len(where)}: {', '.join(where[:3])}{' …' if len(where) > 3 else ''})")
    for title, only in (("only in the old", old.keys() - new.keys()), ("only in the new", new.keys() - old.keys())):
        print(f"{title}: {', '.join(sorted(only)) or 'none'}")
    print(f"keys that only the new YAML shows: {', '.join(f'{k} ({n})' for k, n in sorted(shown.items())) or 'none'}")
    differ = {what for line, where in changed.items() if line.startswith("DIFFERS") for what in where}
    print(f"{len(both)} compositions compared, {len(differ)} differ in what was not meant to change")
    return 1 if differ or old.keys() - new.keys() else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--dump"]:
        print(json.dumps(dump_all(Path(sys.argv[2])), default=str))
    else:
        sys.exit(main())
