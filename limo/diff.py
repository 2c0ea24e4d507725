"""`python -m limo diff A B`: what tells two runs apart: config, stored results, examples, versions, what their models answered."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from limo.loaded import WHICH, Loaded, load
from limo.records import BenchmarkResult, Example, Manifest, Results
from limo.report.parts import chance
from limo.report.settings import MEAN, chances, change, columns, identity
from limo.report.values import percent, signed
from limo.terminal import ENDLESS, GAP, fold, plain, short, table, width

FEW = 8
"""Ids that are named of many."""
ABSENT = "—"


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where either is no run, or damaged."""
    parser = argparse.ArgumentParser(
        prog="python -m limo diff",
        description="What tells run B from run A: config, results of stages, examples, versions, and their models' answers.",
    )
    parser.add_argument("first", type=Path, metavar="A", help="folder of a run")
    parser.add_argument("second", type=Path, metavar="B", help="folder of another")
    given = parser.parse_args(arguments)
    print(text(load(given.first), load(given.second)))


def text(a: Loaded, b: Loaded) -> str:
    """All differences, one part below the other."""
    named = plain("\n".join(f"{name}  {one.folder}" for name, one in (("A", a), ("B", b))))
    models = [_model(which, a, b) for which in reversed(WHICH)]
    parts = [named, _config(a, b), _stages(a, b), _examples(a, b), _versions(a.manifests, b.manifests), *models]
    return "\n\n".join(part for part in parts if part)


def _config(a: Loaded, b: Loaded) -> str:
    rows = list(config_rows(a.config, b.config))
    said = f"{len(rows)} key{' differs' if len(rows) == 1 else 's differ'}" if rows else "the same"
    room = width(ENDLESS) - 2 * len(GAP)  # all three side by side, whatever it takes
    cut = [[short(key, room * 2 // 5), short(x, room * 3 // 10), short(y, room * 3 // 10)] for key, x, y in rows]
    return _part(f"Config: {said}", table(["key", "A", "B"], cut, words=3))


def config_rows(a: Mapping[str, Any], b: Mapping[str, Any], key: str = "") -> Iterator[list[str]]:
    """Key and both values, of each key in which two configs differ; of a component that only one has, its class alone."""
    for name in dict.fromkeys([*a, *b]):
        place = f"{key}.{name}" if key else str(name)
        first, second = a.get(name, {}), b.get(name, {})
        if name in a and name in b and isinstance(first, dict) and isinstance(second, dict):
            yield from config_rows(first, second, place)
        elif (values := [_value(one[name]) if name in one else ABSENT for one in (a, b)])[0] != values[1]:
            yield [place, *map(plain, values)]


def _value(node: object) -> str:
    if isinstance(node, dict) and "_target_" in node:
        return str(node["_target_"]).rpartition(".")[2]
    return json.dumps(node, ensure_ascii=False)


def _stages(a: Loaded, b: Loaded) -> str:
    """Which results of the store the runs share, by the keys."""
    kinds: dict[str, list[str]] = {"the same": [], "others": [], "only in A": [], "only in B": []}
    for task in dict.fromkeys([*a.manifests, *b.manifests]):
        first, second = a.manifests.get(task), b.manifests.get(task)
        same = "the same" if first and second and first.key == second.key else "others"
        kinds[same if first and second else "only in A" if first else "only in B"].append(task)
    rows = [f"{kind:<11}{', '.join(tasks)}" for kind, tasks in kinds.items() if tasks]
    return _part("Results of stages", *rows)


def _examples(a: Loaded, b: Loaded) -> str:
    if not (a.examples or b.examples):
        return ""
    first, second = ({one.id: one for one in run.examples} for run in (a, b))
    both = [id for id in first if id in second]
    changed = [id for id in both if _learnt(first[id]) != _learnt(second[id])]
    here, there = ([id for id in one if id not in other] for one, other in ((first, second), (second, first)))
    said = f"Examples: {len(first):,} in A, {len(second):,} in B; {len(both):,} in both"
    named = (("only in A", here), ("only in B", there), ("in both with another text", changed))
    return _part(said, *(f"{len(ids):,} {what}: {_few(ids)}" for what, ids in named if ids))


def _learnt(example: Example) -> tuple[str, str]:
    return example.question, example.solution


def _versions(a: Mapping[str, Manifest], b: Mapping[str, Manifest]) -> str:
    rows = version_rows(a, b)
    said = "Versions: differ" if rows else "Versions: the same packages, commits and hardware"
    return _part(said, table(["what", "A", "B", "of"], rows, words=4)) if set(a) & set(b) else ""


def version_rows(a: Mapping[str, Manifest], b: Mapping[str, Manifest]) -> list[list[str]]:
    """What differs in the making of the results that both runs have: what, both values, and in which tasks."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for task in (task for task in a if task in b):
        first, second = _made(a[task]), _made(b[task])
        for what in dict.fromkeys([*first, *second]):
            if (pair := (first.get(what, ABSENT), second.get(what, ABSENT)))[0] != pair[1]:
                found[what, *pair].append(task)
    return [[*key, ", ".join(tasks)] for key, tasks in found.items()]


def _made(manifest: Manifest) -> dict[str, str]:
    own = {"commit of limo": manifest.git or ABSENT, "version of the stage": str(manifest.version)}
    return manifest.versions | own | manifest.hub | {"hardware": manifest.hardware}


def _model(which: str, a: Loaded, b: Loaded) -> str:
    """Both runs' models on the questions of both, and the questions that one has right more often than the other."""
    first, second = (run.evaluations.get(which) for run in (a, b))
    if not first or not second:
        return ""
    if identity(first)[1] == identity(second)[1]:
        return f"{which.capitalize()} model: the same answers are right"
    names = [name for name in first.benchmarks if name in second.benchmarks]
    alone = {
        f"only in {side}": [n for n in one.benchmarks if n not in names] for side, one in (("A", first), ("B", second))
    }
    changes = {name: one for name in columns(names) if (one := change([first], [second], name))}
    if not changes:
        return f"{which.capitalize()} model: no question in common"
    corrected, rows, more = chances(changes), [], []
    for name, one in changes.items():
        gained, lost = ([], []) if name == MEAN else flips(first.benchmarks[name], second.benchmarks[name])
        counts = ["", ""] if name == MEAN else [f"{len(gained):,}", f"{len(lost):,}"]
        sides = [f"{100 * value:.1f}" for value in (one.first, one.second)]
        p = chance(corrected.get(name))
        rows.append([name, f"{sum(one.questions.values()):,}", *sides, percent(one, signed), p, *counts])
        more += [f"{name}: gained {_few(gained)}; lost {_few(lost)}"] if gained or lost else []
    head = ["benchmark", "questions", "A", "B", "difference", "p", "gained", "lost"]
    note = "accuracy in %, points with 95 % interval on the questions of both; p corrected for the benchmarks (Holm)"
    see = f"python -m limo answers {shlex.quote(str(b.folder))} --changed {shlex.quote(str(a.folder))} --which {which}"
    more = [f"{kind}: {', '.join(others)}" for kind, others in alone.items() if others] + more
    return (
        _part(f"{which.capitalize()} model", table(head, rows), note, *_asked(first, second, names), *more)
        + f"\n\n{plain(see)}"
    )


def flips(first: BenchmarkResult, second: BenchmarkResult) -> tuple[list[str], list[str]]:
    """The questions that the second has right more often than the first, and less often; by the share of samples."""

    def rate(row: Sequence[int]) -> float:
        return sum(row) / len(row)

    gaps = {q: rate(second.answers[q]) - rate(row) for q, row in first.answers.items() if q in second.answers}
    return [q for q, gap in gaps.items() if gap > 0], [q for q, gap in gaps.items() if gap < 0]


def _asked(first: Results, second: Results, names: Sequence[str]) -> Iterator[str]:
    """What differs in how they were asked and graded."""
    told: dict[str, list[str]] = defaultdict(list)
    for name in names:
        sides = [dataclasses.asdict(results.benchmarks[name].protocol) for results in (first, second)]
        for key, value in sides[0].items():
            if value != (other := sides[1][key]):
                told[f"{key} {value} in A, {other} in B"].append(name)
    yield from (f"! asked in another way: {what} ({', '.join(where)})" for what, where in told.items())


def _few(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - FEW:,} more" if len(ids) > FEW else ""
    return ", ".join(ids[:FEW]) + more if ids else "none"


def _part(title: str, *lines: str) -> str:
    """A title, and below it, indented, lines that fit the terminal; a table, of several lines, fits already."""
    room = width(ENDLESS)
    shown = [
        line for text in lines if text or len(lines) > 1 for line in ([text] if "\n" in text else fold(text, room))
    ]
    return "\n".join([*fold(title, room), *shown])
