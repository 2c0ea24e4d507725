"""The page's sections on what the stages did: training, data, the runs themselves, where everything came from."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from limo.report import figures
from limo.report.cost import duration
from limo.report.html import Html, el, facts, join, table
from limo.report.names import common, describe
from limo.report.parts import Pieces, choice, folded, strokes_key
from limo.report.places import Places, linked
from limo.report.runs import Run, curve
from limo.report.settings import Setting, palette

OPEN = 6
"""Summaries of data that are shown openly."""
MANY = 12
"""Runs that are listed openly; of more only those that did not end well."""
OVER = "against optimizer steps"
FAR = 10
"""Highest loss over the lowest from which a logarithmic axis shows more."""
LOGGED = {"lr": "learning rate", "grad_norm": "gradient norm", "token_accuracy": "token accuracy"}
"""Columns of the training log that are drawn beside the loss."""
SHARES = ("finish",)
"""Fields of a summary that hold a share each."""
TITLES = {
    "data": "Problems",
    "paraphrases": "Questions near to a benchmark's, judged",
    "attempts": "Attempts",
    "grades": "Grades of the attempts",
    "solutions": "Grades of the source's own solutions",
}


def training(settings: Sequence[Setting]) -> Pieces:
    """Loss curves and what the training stage said of itself."""
    colours = palette(settings)
    words = describe(settings)
    labels = {run: setting.label for setting in settings for run in setting.runs}
    lines = _lines(labels)
    of = {column: _logged(lines, colours, column) for column in ("loss", "validation_loss", *LOGGED)}
    pieces: Pieces = []
    if of["loss"]:
        names: dict[str, list[str]] = {}
        for run, same in lines.items():
            if curve(run)[1]:
                names.setdefault(labels[run], []).extend(same)
        if len(names) > 1:
            pieces.append(strokes_key({", ".join(dict.fromkeys(same)): colours[of] for of, same in names.items()}))
        pieces.append(_losses(of["loss"], of["validation_loss"]))
        small = [(what, found) for column, what in LOGGED.items() if (found := of[column])]
        panels = [(what, figures.traces(found, what, f"{what.capitalize()} {OVER}")) for what, found in small]
        pieces.append(
            el("div", *(el("figure", el("figcaption", what), picture) for what, picture in panels), class_="panels")
        )
    told = [(run, dict(flat(asdict(run.training)))) for run in labels if run.training]
    if len(told) == 1:
        pieces.append(facts(told[0][1].items()))
    elif told:
        keys = list(dict.fromkeys(k for _, s in told for k in s))
        same = [k for k in keys if len({s.get(k) for _, s in told}) == 1]
        pieces.append(facts((k, told[0][1].get(k)) for k in same))
        differing = [k for k in keys if k not in same]
        if differing:
            body = [[words[run], *(s.get(k, "") for k in differing)] for run, s in told]
            shown = table("What differs between the trainings", ["run", *differing], body)
            pieces.append(folded(f"Each of {len(told)} trainings", shown))
    return pieces


def _lines(labels: Mapping[Run, str]) -> dict[Run, list[str]]:
    """One run of each training, and the settings that share it."""
    first: dict[object, Run] = {}
    found: dict[Run, list[str]] = {}
    for run, label in labels.items():
        made = run.manifests.get("training")
        found.setdefault(first.setdefault(made.key if made else run, run), []).append(label)
    return found


def _logged(lines: Mapping[Run, list[str]], colours: Mapping[str, int], column: str) -> list[figures.Curve]:
    found = [(*curve(run, column), colours[same[0]]) for run, same in lines.items()]
    return [line for line in found if line[1]]


def _losses(curves: Sequence[figures.Curve], checks: Sequence[figures.Curve]) -> Html:
    """The loss; where it falls far, on a logarithmic axis too."""
    title = f"Training loss {OVER}"
    above = [value for _, values, _ in (*curves, *checks) for value in values if 0 < value < math.inf]
    linear = el("figure", figures.losses(curves, checks, title))
    if not above or max(above) < FAR * min(above):
        return linear
    log = el("figure", figures.losses(curves, checks, f"{title}, logarithmic", log=True))
    return choice("Loss axis", {"linear": linear, "logarithmic": log})


def data(settings: Sequence[Setting]) -> Pieces:
    """What the data stage read and dropped; what the attempts and their grades came to. Each different summary once."""
    words = describe(settings)
    found: dict[str, list[tuple[Run, object]]] = {}
    for run in words:
        for task, said in run.summaries.items():
            there = found.setdefault(task, [])
            if task.partition("/")[0] in TITLES and said not in (known for _, known in there):
                there.append((run, said))
    blocks = []
    for task, there in found.items():
        family, _, sieve = task.partition("/")
        for run, said in there:
            title = f"{TITLES[family]}{f': {sieve}' if sieve else ''}{f' ({words[run]})' if len(there) > 1 else ''}"
            blocks.append(join([el("h3", title), facts(flat(asdict(said)))]))  # type: ignore[call-overload]
    more = blocks[OPEN:]
    return [*blocks[:OPEN], *([folded(f"{len(more)} more", *more)] if more else [])]


def listing(settings: Sequence[Setting], places: Places) -> Pieces:
    """Each run: its page, how it ended, how long it took, its folder; and the commands."""
    runs = [(run, setting) for setting in settings for run in setting.runs]
    above = os.path.commonpath([run.folder.absolute().parent for run, _ in runs])
    body = [_entry(run, setting, above, places) for run, setting in runs]
    commands = el("pre", el("code", "\n".join(dict.fromkeys(run.command for run, _ in runs))), tabindex=0)
    head = ["setting", "examples", "seed", "state", "time", "folder"]
    keep = [i for i in range(len(head)) if i not in (1, 2) or len({row[i] for row in body}) > 1 or len(body) == 1]
    head, body = [head[i] for i in keep], [[row[i] for i in keep] for row in body]
    left = [head.index(words) for words in ("state", "folder")]
    note = f"each setting: {said}" if len(runs) > 1 and (said := common(settings)) else None
    shown = table("Runs and their folders", head, body, left=left, note=note)
    if places.compared:
        shown = join([shown, el("p", linked("Compare the answers of any two", places.compared))])
    if len(runs) <= MANY:
        return [shown, el("h3", "Commands"), commands]
    failed = [row for row, (run, _) in zip(body, runs, strict=True) if run.state != "done"]
    bad = [table("Runs that did not end well", head, failed, left=left)] if failed else []
    return [*bad, folded(f"All {len(runs)} runs", shown, el("h3", "Commands"), commands)]


def _entry(run: Run, setting: Setting, above: str, places: Places) -> list[str]:
    state = el("span", run.state, class_=None if run.state == "done" else "alarm")
    if run.error:
        state = join([state, el("div", el("code", run.error.strip()), class_="wrap small")])
    size, seed = ("—" if v is None else f"{v:,}" for v in (run.size, run.seed))
    name = linked(setting.label, places.run(run))
    folder = el("div", el("code", os.path.relpath(run.folder.absolute(), above)), class_="wrap")
    return [name, size, seed, state, duration(run.seconds), folder]


def provenance(settings: Sequence[Setting]) -> Pieces:
    """Versions, commit, hardware; and the key, time and cost of every result."""
    runs = [run for setting in settings for run in setting.runs]
    unique = {(task, m.key): m for run in runs for task, m in run.manifests.items()}
    if not unique:
        return []
    found = list(unique.values())
    versions = {name: version for m in found for name, version in m.versions.items()}
    common = [
        ("commit", _all(m.git for m in found)),
        ("hardware", _all(m.hardware for m in found)),
        ("weights", _all(m.model for run in runs for m in [run.base or run.tuned] if m)),
        ("seeds", _all(run.seed for run in runs)),
        ("time of all stages", duration(sum(m.seconds for m in found))),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    body = [
        [task, el("code", m.key), m.finished.replace("T", " ")[:16], duration(m.seconds)]
        for (task, _), m in unique.items()
    ]
    results = table("Results in the store", ["stage", "key", "finished", "time"], body, words=3)
    return [facts(common), folded(f"{len(body)} result{'s' if len(body) > 1 else ''} in the store, with keys", results)]


def flat(said: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A summary as names and readable values, nested ones one line each."""
    pairs: list[tuple[str, str]] = []
    for field, value in said.items():
        label = f"{prefix}{field}".removesuffix("_gib").replace("_", " ") + (", GiB" if field.endswith("_gib") else "")
        if isinstance(value, dict) and all(not isinstance(v, dict | list | tuple) for v in value.values()):
            pairs.append(
                (
                    label,
                    ", ".join(f"{k} {_readable(k if field not in SHARES else 'share', v)}" for k, v in value.items()),
                )
            )
        elif isinstance(value, dict):
            pairs += flat(value, f"{label}, ")
        elif value is not None:
            pairs.append((label, _readable(field, value)))
    return [(k, v) for k, v in pairs if v]


def _readable(key: Any, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and "share" in str(key):
        return f"{100 * value:.1f} %"
    if isinstance(value, float) and "seconds" in str(key):
        return duration(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(str(v) for v in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _all(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(v) for v in values if v is not None))
