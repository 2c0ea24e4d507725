"""The page's sections on what the stages did: training, selection, data, the runs themselves, where everything came
from.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from limo.pipeline import TASKS
from limo.report import figures
from limo.report.arms import arms, describe, name, palette
from limo.report.html import el, facts, join, table
from limo.report.parts import Pieces, folded, key, settings_key
from limo.report.runs import Run, curve, rows

PANELS = 4
"""Selections whose score distributions are drawn; a larger sweep shows its counts only."""
TITLES = {
    "data": "Problems",
    "attempts": "Attempts",
    "grades": "Grades of the attempts",
    "solutions": "Grades of the source's own solutions",
}


def training(runs: Sequence[Run]) -> Pieces:
    """Loss curves and what the training stage said of itself."""
    colours = palette(runs)
    lines = [(label, *curve(run), colours[label]) for run, label in zip(runs, name(runs), strict=True)]
    lines = [line for line in lines if line[1]]
    checks = [curve(run, "validation_loss") for run in runs if curve(run)[0]]
    drawn = {label: colours[label] for label, *_ in lines}
    pieces: Pieces = []
    if lines:
        if len(drawn) > 1:
            pieces.append(settings_key(drawn, "━"))
        pieces.append(el("figure", figures.losses(lines, checks, "Training loss against optimizer steps")))
    told = [(r, dict(flat(s))) for r in runs if (s := r.summaries.get("training"))]
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


def selection(runs: Sequence[Run]) -> Pieces:
    """What each step dropped and why, and how the scores of kept and dropped examples are spread."""
    found = _distinct(runs, "selection")
    if len(found) > PANELS:
        return _counts(runs)
    pieces: Pieces = []
    for label, run in found:
        dropped = rows(run.folder / "selection" / "dropped.jsonl")
        kept = rows(run.folder / "selection" / "examples.jsonl")
        if not dropped and not kept:
            pieces.append(facts(flat(run.summaries.get("selection", {}))))
            continue
        body = [["candidates", "", f"{len(kept) + len(dropped):,}"]]
        body += [[step, why, f"−{n:,}"] for (step, why), n in Counter(_reason(row) for row in dropped).items()]
        body.append(["kept", "", f"{len(kept):,}"])
        title = f"From candidates to examples{f': {label}' if label else ''}"
        pieces.append(table(title, ["step", "reason", "examples"], body, words=2, last=True))
        scores = dict.fromkeys(
            k for row in kept for k, v in (row.get("scores") or {}).items() if isinstance(v, int | float)
        )
        panels = []
        for score in scores:
            inside, outside = (
                [v for row in some if isinstance(v := (row.get("scores") or {}).get(score), int | float)]
                for some in (kept, dropped)
            )
            if len({*inside, *outside}) > 1:
                picture = figures.histogram(
                    inside, outside, f"{label} {score}: distribution among kept and dropped examples".strip()
                )
                panels.append(el("figure", el("figcaption", score), picture))
        if panels:
            pieces += [key(("kept", "c0", "■"), ("dropped", "rule", "■")), el("div", *panels, class_="panels")]
    return pieces


def _counts(runs: Sequence[Run]) -> Pieces:
    """Many selections as one table: a row per setting and size (mean over seeds), a column per reason."""
    body = []
    groups = [
        (
            arm,
            [
                Counter(_reason(row) for row in rows(r.folder / "selection" / "dropped.jsonl"))
                for r in arm.runs
                if r.tuned
            ],
        )
        for arm in arms(runs)
    ]
    reasons = list(dict.fromkeys(why for _, counters in groups for c in counters for why in c))
    for arm, counters in groups:
        if counters:
            means = [round(sum(c[why] for c in counters) / len(counters)) for why in reasons]
            total = sum(means) + (arm.size or 0)
            body.append([arm.label, f"{total:,}", *(f"−{n:,}" if n else "—" for n in means), f"{arm.size or 0:,}"])
    head = ["setting", "candidates", *(": ".join(p for p in why if p) for why in reasons), "kept"]
    return [table("From candidates to examples", head, body)]


def data(runs: Sequence[Run]) -> Pieces:
    """What the data stage read and dropped; what the attempts and their grades came to."""
    pieces: Pieces = []
    for step, title in TITLES.items():
        seen: list[Any] = []
        for run in runs:
            said = run.summaries.get(step)
            if said and said not in seen:
                seen.append(said)
                pieces += [el("h3", title), facts(flat(said))]
    return pieces


def listing(runs: Sequence[Run]) -> Pieces:
    """Each run: its folder, how it ended, how long it took; and the commands."""
    body = []
    for run, label in zip(runs, name(runs), strict=True):
        state = el("span", run.state, class_=None if run.state == "done" else "alarm")
        if run.error:
            state = join([state, el("div", el("code", run.error.strip()), class_="wrap small")])
        size, seed = ("—" if v is None else f"{v:,}" for v in (run.size, run.seed))
        body.append([el("code", run.folder.as_posix()), label, size, seed, duration(run.seconds), state])
    commands = el("pre", el("code", "\n".join(dict.fromkeys(run.command for run in runs))), tabindex=0)
    shown = table("Folders", ["folder", "setting", "examples", "seed", "time", "state"], body, words=2)
    if len(runs) > 12:
        failed = [row for row, run in zip(body, runs, strict=True) if run.state != "done"]
        bad = (
            table(
                "Runs that did not end well",
                ["folder", "setting", "examples", "seed", "time", "state"],
                failed,
                words=2,
            )
            if failed
            else None
        )
        return [p for p in (bad, folded(f"All {len(runs)} runs", shown, el("h3", "Commands"), commands)) if p]
    return [shown, el("h3", "Commands"), commands]


def provenance(runs: Sequence[Run]) -> Pieces:
    """Versions, commit, hardware; and the key, time and cost of every result."""
    unique = {(step, m.get("key")): m for run in runs for step in TASKS if (m := run.manifests.get(step))}
    if not unique:
        return []
    first = list(unique.values())
    versions = {k: v for m in first for k, v in (m.get("versions") or {}).items()}
    seconds = sum(m.get("seconds") or 0.0 for m in first)
    common = [
        ("commit", _all(m.get("git") for m in first)),
        ("hardware", _all(m.get("hardware") for m in first)),
        ("weights", _all(m.model for run in runs for m in [run.base or run.tuned] if m)),
        ("seeds", _all(run.seed for run in runs)),
        ("time of all stages", duration(seconds)),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
    ]
    body = [
        [
            step,
            el("code", str(m.get("key", ""))),
            str(m.get("finished", "")).replace("T", " ")[:16],
            duration(m.get("seconds")),
        ]
        for (step, _), m in unique.items()
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
        if isinstance(value, dict) and all(not isinstance(v, dict | list) for v in value.values()):
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
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(str(v) for v in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _distinct(runs: Sequence[Run], step: str) -> list[tuple[str, Run]]:
    """The runs whose result of a step differs, with a label that tells them apart."""
    seen: dict[Any, tuple[str, Run]] = {}
    for run, words in zip(runs, describe(runs), strict=True):
        if run.summaries.get(step) or (run.folder / step).is_dir():
            mark = run.manifests.get(step, {}).get("key") or str(run.folder)
            seen.setdefault(mark, (words if len(runs) > 1 else "", run))
    return list(seen.values())


def _reason(row: dict[str, Any]) -> tuple[str, str]:
    return str(row.get("step") or ""), str(row.get("reason") or "dropped")


def _all(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(v) for v in values if v is not None))
