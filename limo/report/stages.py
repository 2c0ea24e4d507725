"""The page's sections on what the stages did: training, selection, data, the runs themselves, where everything came
from.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from limo.records import Dropped, Example, Record, SelectionSummary, read
from limo.report import figures
from limo.report.html import el, facts, join, table
from limo.report.parts import Pieces, folded, key, settings_key
from limo.report.runs import Run, curve
from limo.report.settings import Setting, describe, palette

MANY = 12
"""Runs that are listed openly; of more only those that did not end well."""
PANELS = 4
"""Selections whose score distributions are drawn; a larger sweep shows its counts only."""
COUNTS = re.compile(r"(right|tried|solve_rate)\..")
"""Scores of single sieves, which `solve_rate` stands for."""
TITLES = {
    "data": "Problems",
    "attempts": "Attempts",
    "grades": "Grades of the attempts",
    "solutions": "Grades of the source's own solutions",
}


def training(settings: Sequence[Setting]) -> Pieces:
    """Loss curves and what the training stage said of itself."""
    colours = palette(settings)
    pairs = [(run, setting.label) for setting in settings for run in setting.runs]
    found = [(label, *curve(run), colours[label], curve(run, "validation_loss")) for run, label in pairs]
    found = [line for line in found if line[1]]
    drawn = {label: colours[label] for label, *_ in found}
    pieces: Pieces = []
    if found:
        if len(drawn) > 1:
            pieces.append(settings_key(drawn, "━"))
        lines, checks = [line[:4] for line in found], [line[4] for line in found]
        pieces.append(el("figure", figures.losses(lines, checks, "Training loss against optimizer steps")))
    told = [(run, dict(flat(asdict(run.training)))) for run, _ in pairs if run.training]
    if len(told) == 1:
        pieces.append(facts(told[0][1].items()))
    elif told:
        keys = list(dict.fromkeys(k for _, s in told for k in s))
        same = [k for k in keys if len({s.get(k) for _, s in told}) == 1]
        pieces.append(facts((k, told[0][1].get(k)) for k in same))
        body = [[r.folder.name, *(s.get(k, "") for k in keys if k not in same)] for r, s in told]
        shown = table("What differs between the trainings", ["run", *(k for k in keys if k not in same)], body)
        pieces.append(folded(f"Each of {len(told)} trainings", shown))
    return pieces


def selection(settings: Sequence[Setting]) -> Pieces:
    """What each step dropped and why, and how the scores of kept and dropped examples are spread."""
    found = _distinct(settings, "selection")
    if len(found) > PANELS:
        return _counts(settings)
    return [piece for label, run in found for piece in _funnel(label, run)]


def _funnel(label: str, run: Run) -> Pieces:
    dropped = _rows(run.folder / "selection" / "dropped.jsonl", Dropped)
    kept = _rows(run.folder / "selection" / "examples.jsonl", Example)
    if not dropped and not kept:
        said = run.summaries.get("selection")
        return [facts(flat(asdict(said)))] if isinstance(said, SelectionSummary) else []
    body = [["problems", "", f"{sieve.problems:,}"] for sieve in list(run.sieves.values())[:1]]
    body += [[f"attempts: {n}", why, f"−{c:,}"] for n, s in run.sieves.items() for why, c in s.dropped.items()]
    body += [["candidates", "", f"{len(kept) + len(dropped):,}"]]
    body += [[step, why, f"−{n:,}"] for (step, why), n in Counter((d.step, d.reason) for d in dropped).items()]
    body.append(["kept", "", f"{len(kept):,}"])
    title = f"From candidates to examples{f': {label}' if label else ''}"
    pieces: Pieces = [table(title, ["step", "reason", "examples"], body, words=2, last=True)]
    panels = []
    for score in dict.fromkeys(name for example in kept for name in example.scores if not COUNTS.match(name)):
        inside = [e.scores[score] for e in kept if score in e.scores]
        outside = [d.scores[score] for d in dropped if score in d.scores]
        if len({*inside, *outside}) > 1:
            words = f"{label} {score}: distribution among kept and dropped examples".strip()
            panels.append(el("figure", el("figcaption", score), figures.histogram(inside, outside, words)))
    if panels:
        pieces += [key(("kept", "c0", "■"), ("dropped", "rule", "■")), el("div", *panels, class_="panels")]
    return pieces


def _counts(settings: Sequence[Setting]) -> Pieces:
    """Many selections as one table: a row per setting and size (mean over seeds), a column per reason."""
    groups = [(s, [_reasons(run) for run in s.runs if run.tuned]) for s in settings]
    reasons = list(dict.fromkeys(why for _, counters in groups for c in counters for why in c))
    body = []
    for setting, counters in groups:
        if counters:
            means = [round(sum(c[why] for c in counters) / len(counters)) for why in reasons]
            size = setting.size or 0
            cells = [f"−{n:,}" if n else "—" for n in means]
            body.append([setting.label, f"{sum(means) + size:,}", *cells, f"{size:,}"])
    head = ["setting", "candidates", *(": ".join(p for p in why if p) for why in reasons), "kept"]
    return [table("From candidates to examples", head, body)]


def _reasons(run: Run) -> Counter[tuple[str, str]]:
    return Counter((d.step, d.reason) for d in _rows(run.folder / "selection" / "dropped.jsonl", Dropped))


def data(settings: Sequence[Setting]) -> Pieces:
    """What the data stage read and dropped; what the attempts and their grades came to."""
    pieces: Pieces = []
    seen: list[tuple[str, object]] = []
    for run in (run for setting in settings for run in setting.runs):
        for task, said in run.summaries.items():
            family, _, sieve = task.partition("/")
            if family in TITLES and (task, said) not in seen:
                seen.append((task, said))
                title = f"{TITLES[family]}: {sieve}" if sieve else TITLES[family]
                pieces += [el("h3", title), facts(flat(asdict(said)))]  # type: ignore[call-overload]
    return pieces


def listing(settings: Sequence[Setting]) -> Pieces:
    """Each run: its folder, how it ended, how long it took; and the commands."""
    body, runs = [], [(run, setting.label) for setting in settings for run in setting.runs]
    for run, label in runs:
        state = el("span", run.state, class_=None if run.state == "done" else "alarm")
        if run.error:
            state = join([state, el("div", el("code", run.error.strip()), class_="wrap small")])
        size, seed = ("—" if v is None else f"{v:,}" for v in (run.size, run.seed))
        body.append([el("code", run.folder.as_posix()), label, size, seed, duration(run.seconds), state])
    commands = el("pre", el("code", "\n".join(dict.fromkeys(run.command for run, _ in runs))), tabindex=0)
    head = ["folder", "setting", "examples", "seed", "time", "state"]
    shown = table("Folders", head, body, words=2)
    if len(runs) <= MANY:
        return [shown, el("h3", "Commands"), commands]
    failed = [row for row, (run, _) in zip(body, runs, strict=True) if run.state != "done"]
    bad = [table("Runs that did not end well", head, failed, words=2)] if failed else []
    return [*bad, folded(f"All {len(runs)} runs", shown, el("h3", "Commands"), commands)]


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
    return [facts(common), folded(f"{len(body)} results in the store, with their keys", results)]


def duration(seconds: float | None) -> str:
    """`1 h 02 min`, `3 min 20 s`, `8.4 s`."""
    if seconds is None:
        return "—"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def flat(said: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A summary as names and readable values, nested ones one line each."""
    pairs: list[tuple[str, str]] = []
    for field, value in said.items():
        label = f"{prefix}{field}".replace("_", " ")
        if isinstance(value, dict) and all(not isinstance(v, dict | list | tuple) for v in value.values()):
            pairs.append((label, ", ".join(f"{k} {_readable(k, v)}" for k, v in value.items())))
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


def _distinct(settings: Sequence[Setting], task: str) -> list[tuple[str, Run]]:
    """The runs whose result of a task differs, with a label that tells them apart."""
    seen: dict[str, tuple[str, Run]] = {}
    words = describe(settings)
    for run, label in words.items():
        if run.summaries.get(task) or (run.folder / task).is_dir():
            manifest = run.manifests.get(task)
            seen.setdefault(manifest.key if manifest else str(run.folder), (label if len(words) > 1 else "", run))
    return list(seen.values())


def _rows(path: Path, kind: type[Record]) -> list[Record]:
    return read(path, kind) if path.is_file() else []


def _all(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(v) for v in values if v is not None))
