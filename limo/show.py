"""`python -m limo show`: which choices there are, what each is and which keys it has; which recipes, what they ask and gave."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from limo import UserError, folders
from limo.config import ROOT, SLOTS, is_component, locate, within
from limo.described import file_of, head, keys, leaves, members
from limo.folders import RECIPES
from limo.spelling import meant
from limo.terminal import cells, fold, plain, width

HELP = """\
limo: choose data, train, evaluate and compare, as one declarative experiment

python -m limo                                   the lab: the whole road on a laptop CPU, in minutes
python -m limo +experiment=limo817               the paper's main run
python -m limo -m +experiment=limo817 selection=random,limo selection.size=100,400,800
python -m limo +experiment=limo817 model=qwen2.5-7b-instruct training=lora optimizer.lr=1e-5
python -m limo plan +experiment=limo817          what would run, what is cached, memory, GPU hours, disk; -m plans a sweep
python -m limo probe +experiment=limo817         is the base ready? its loss on the examples, its own answers, its length
python -m limo rehearse +experiment=limo817      every piece of it for real and tiny, in minutes, on this machine
python -m limo fetch +experiment=limo817         its models, data and benchmarks into the cache; --list names the commands
python -m limo show selection                    what a group offers; show selection/limo its keys, show +experiment=limo817 a recipe
python -m limo report outputs/lab                tables, curves and a web page over many runs
python -m limo answers <run> --wrong             read the answers of a run: --cut, --no-answer, --in-circles, --changed RUN
python -m limo diff <run> <run>                  what tells two runs apart: config, examples, versions, questions gained and lost
python -m limo replay <run>                      the same config again from nothing: which results are the same, byte for byte
python -m limo grade cases.jsonl                 grade answers alone
python -m limo export outputs/lab --pack lab.tar a run with its results in one file, for another machine
python -m limo export <run> --as trl|…           its examples as TRL, LLaMA-Factory, ShareGPT, Parquet; --model: its weights, with a card
python -m limo store                             what its results take and which runs use them; verify reads every byte, prune removes

The verbs are run (the default), plan, probe, rehearse, fetch, show, report, answers, diff, replay, grade, export and store;
python -m limo <verb> --help says what each takes.

Groups and their members (group=member), recipes under `experiment` (+experiment=recipe); those of your own in ./conf/<group>
and ./experiments are found as well, and come first:

{groups}

Every key with its value: python -m limo --cfg job. Any of them can be overridden as key=value."""


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there is no such group, member or recipe."""
    parser = argparse.ArgumentParser(
        prog="python -m limo show", description="What can be chosen, shipped or your own in ./conf and ./experiments."
    )
    parser.add_argument(
        "what",
        nargs="?",
        help="a group (selection), a member (selection/limo), or a recipe (+experiment=limo817); all without it",
    )
    what = parser.parse_args(arguments).what
    print(everything() if what is None else one(what.removeprefix("+").replace("=", "/", 1)))


def overview() -> str:
    """The text of `--help`. Hydra's own composes a config and takes a second and a half to list the same groups."""
    groups = "\n".join(f"{group}: {', '.join(names)}" for group, names in folders.offered().items())
    return HELP.format(groups=groups)


def everything() -> str:
    """Every group with its members, and every recipe with its question, cost and result."""
    known = members()
    groups = [(group, ", ".join(names)) for group, names in known.items() if group != RECIPES]
    parts = ["Groups: choose with group=member; python -m limo show <group> says what each member is", entries(groups)]
    parts += ["Recipes: run with +experiment=recipe; python -m limo show +experiment=<recipe> shows one whole"]
    parts += [_recipe(name, file, ("", "Hardware", "Obtained")) for name, file in known.get(RECIPES, {}).items()]
    return "\n\n".join(parts)


def one(what: str) -> str:
    """A group, or a member of one. Raises UserError."""
    known = members()
    if what in known:
        return _group(what, known)
    group, _, name = what.partition("/") if what.startswith(f"{RECIPES}/") else what.rpartition("/")
    if group not in known:
        raise UserError(f"{group or what}: no such group{meant(group or what, known)}; they are {', '.join(known)}")
    if name not in known[group] and not (file_of(group, name) and name.startswith("_")):
        raise UserError(f"{what}: no such member{meant(name, known[group])}; there are {', '.join(known[group])}")
    return _whole_recipe(name, known[group][name]) if group == RECIPES else _member(group, name)


def _group(group: str, known: dict[str, dict[str, Path]]) -> str:
    if group == RECIPES:
        return "\n\n".join(_recipe(name, file, ("", "Hardware", "Obtained")) for name, file in known[group].items())
    base = file_of(group, "_base")
    inner = [name for name in known if name.startswith(f"{group}/")]
    parts = [f"{group}: {head(base)}" if base else group]
    parts = ["\n".join(fold(parts[0], width())), entries((_own(name, f), head(f)) for name, f in known[group].items())]
    more = f"python -m limo show {group}/{next(iter(known[group]))} shows the keys of one"
    return "\n\n".join([*parts, *([f"its parts: {', '.join(inner)}"] if inner else []), more])


def _member(group: str, name: str) -> str:
    file = file_of(group, name)
    assert file is not None
    said = keys(group, name)
    values = {key: held.value for key, held in said.items()}
    if group in SLOTS:
        values = {
            key: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for key, v in _composed(group, name)
        }
    kind = values.pop("_target_", "")
    prefix = f"{group}." if group in SLOTS else ""
    comments = {key: said[key].comment if key in said else "" for key in values}
    rows = [(f"{prefix}{key}: {value}", comments[key]) for key, value in values.items() if value or comments[key]]
    title = f"{group}={name}  ({_place(file)})"
    about = [text for text in (head(file), f"{kind}: {_docstring(kind)}" if kind else "") if text]
    return "\n\n".join([title, *("\n".join(fold(text, width())) for text in about), *([entries(rows)] if rows else [])])


def _composed(group: str, name: str) -> Iterator[tuple[str, Any]]:
    """The keys of a group with a member of it, as a run has them."""
    from limo.compose import tree

    chosen = tree([f"{group}={name}"]).get(group)
    return leaves(chosen) if chosen else iter(())


def _docstring(target: str) -> str:
    """What a class of ours says of itself; no module of others is imported for it."""
    if not within(target.rpartition(".")[0], ["limo"]):
        return "a class of your own"
    try:
        found = locate(target)
    except (ImportError, AttributeError):
        return "no such class"
    return " ".join((found.__doc__ or "").split()) if is_component(found) else "no component"


def _recipe(name: str, file: Path, shown: Sequence[str]) -> str:
    said = folders.fields(folders.small(file))
    lines = [f"{key}: {said[key]}" if key else said[key] for key in shown if said.get(key)]
    return "\n".join([_own(name, file), *(f"  {line}" for text in lines for line in fold(text, width() - 2))])


def _whole_recipe(name: str, file: Path) -> str:
    from limo.compose import jobs

    body = [line for line in folders.small(file).splitlines() if not line.startswith("#")]
    runs = jobs([own := f"+{RECIPES}={name}"])
    sweep = (
        [f"{len(runs)} jobs, the first: {' '.join(word for word in runs[0] if word != own)}"] if len(runs) > 1 else []
    )
    about = _recipe(name, file, ("", "Command", "Hardware", "Expected", "Obtained"))
    return "\n\n".join([f"{about}\n  ({_place(file)})", plain("\n".join(body).strip()), *sweep])


def entries(pairs: Iterable[tuple[str, str]]) -> str:
    """Names to the left, what each is beside it, folded; below it where the terminal is too narrow."""
    rows = [(plain(name), text) for name, text in pairs]
    columns = width()
    left = min(max(cells(name) for name, _ in rows), columns // 2)
    return "\n".join(line for row in rows for line in _entry(*row, left, columns))


def _entry(name: str, text: str, left: int, columns: int) -> Iterator[str]:
    first, *rest = fold(text, columns - left - 4)
    if cells(name) > left:
        yield from fold(f"  {name}", columns)
        rest = [first, *rest] if text else []
    else:
        yield f"  {name}{' ' * (left - cells(name))}  {first}".rstrip()
    yield from (f"{' ' * (left + 4)}{line}" for line in rest)


def _own(name: str, file: Path) -> str:
    return name if file.is_relative_to(ROOT) else f"{name} (yours)"


def _place(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)
