"""The sections of the page; each is a list of pieces, empty where a run has nothing to say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from limo.report import figures
from limo.report.arms import MEAN, Point, arms, bases, benchmarks, combine, name
from limo.report.figures import Line
from limo.report.html import Html, el, facts, join, table
from limo.report.notes import ALARM
from limo.report.runs import STEPS, Run, Score, curve, rows
from limo.report.text import asked, change, count, seeds, signed

Pieces = list[Html]


def accuracy(runs: Sequence[Run]) -> Pieces:
    """Base and tuned on each benchmark: of the run, or of each setting."""
    names = benchmarks(runs)
    if not names:
        return []
    pieces: Pieces = []
    groups = arms(runs)
    tuned = [arm for arm in groups if any(r.tuned for r in arm.runs)]
    before = bases(runs)[:1]
    rows_ = [*names, MEAN] if len(names) > 1 else names
    if len(tuned) <= 1:
        results = [r.tuned for r in tuned[0].runs if r.tuned] if tuned else []
        lines = [(n, combine(before, n), combine(results, n), None) for n in rows_]
        pieces.append(_key(("base", "quiet", "hollow"), ("tuned", "c0", "")))
        pieces.append(el("figure", figures.dumbbells(lines, "Accuracy of the base and the tuned model on each benchmark")))
        found = [(n, _score(runs, n)) for n in rows_]
        pieces.append(table(
            "Accuracy per benchmark",
            ["benchmark", "domain", "questions", "base", "tuned", "difference"],
            [[n, s.domain if s else "", asked(s), _cell(combine(before, n)), _cell(combine(results, n)), change(combine(before, n), combine(results, n))]
             for n, s in found],
            words=2, note=_method(found),
        ))  # fmt: skip
        return pieces
    body = [["base model", "", "", *(_cell(combine([b], n)) for n in rows_)] for b in bases(runs)]
    body += [[arm.label, count(arm), seeds(arm), *(_cell(arm.point(n)) for n in rows_)] for arm in tuned]
    pieces.append(table("Accuracy per setting", ["setting", "examples", "seeds", *rows_], body,
                        note="% correct, mean over seeds; in brackets the 95 % interval over questions and seeds"))  # fmt: skip
    return pieces


def curves(runs: Sequence[Run]) -> Pieces:
    """Accuracy against size, one curve per setting, a panel per benchmark."""
    groups = [arm for arm in arms(runs) if arm.size and any(r.tuned for r in arm.runs)]
    if len({arm.size for arm in groups}) < 2:
        return []
    labels = list(dict.fromkeys(arm.label for arm in groups))
    names = benchmarks(runs)
    panels = []
    for bench in [*names, MEAN] if len(names) > 1 else names:
        lines = []
        for i, label in enumerate(labels):
            there = [(float(arm.size or 0), p) for arm in groups if arm.label == label and (p := arm.point(bench))]
            if there:
                lines.append(Line(label, [x for x, _ in there], [p for _, p in there], i))
        picture = figures.sizes(lines, f"{bench}: accuracy against the number of examples", combine(bases(runs)[:1], bench))
        panels.append(el("figure", el("figcaption", bench), picture))
    key = _key(*((label, f"c{i % 8}", "") for i, label in enumerate(labels)))
    words = "Mean over seeds; the band is the 95 % interval over questions and seeds, small dots are single seeds, the dashed line is the base model."
    return [key, el("div", *panels, class_="panels"), el("p", words, class_="small")]


def answers(runs: Sequence[Run]) -> Pieces:
    """Finish reasons, missing answers, loops and lengths, base and tuned."""
    body: list[list[str]] = []
    for arm in arms(runs):
        for weights in ("base", "tuned"):
            found = [m for r in arm.runs if (m := r.base if weights == "base" else r.tuned)]
            if not found or (weights == "base" and any(row[1] == "base" for row in body)):
                continue
            for bench in found[0].scores:
                scores = [m.scores[bench] for m in found if bench in m.scores]
                setting = f"{arm.label}, {count(arm)}" if len(arms(runs)) > 1 else ""
                body.append([bench, weights, setting, *(_share(scores, f) for f in ("truncated", "no_answer", "repetition")), _tokens(scores)])
    if not body:
        return []
    head = ["benchmark", "model", "setting", "cut at max_tokens", "no final answer", "repeating itself", "tokens"]
    if not any(row[2] for row in body):
        head, body = [h for i, h in enumerate(head) if i != 2], [[c for i, c in enumerate(row) if i != 2] for row in body]
    note = f"% of answers; shares of {100 * ALARM:.0f} % and more are marked; tokens: mean length of an answer"
    return [table("How answers ended", head, body, words=2, note=note)]


def training(runs: Sequence[Run]) -> Pieces:
    """Loss curves and what the training stage said of itself."""
    labels = list(dict.fromkeys(name(runs)))
    lines = [(label, *curve(run), labels.index(label)) for run, label in zip(runs, name(runs), strict=True)]
    lines = [line for line in lines if line[1]]
    pieces: Pieces = []
    if lines:
        if len(labels) > 1:
            pieces.append(_key(*((label, f"c{i % 8}", "") for i, label in enumerate(labels))))
        pieces.append(el("figure", figures.losses(lines, "Training loss against optimizer steps")))
    told = [(r, s) for r in runs if (s := r.summaries.get("training"))]
    if len(told) == 1:
        pieces.append(facts(_flat(told[0][1])))
    elif told:
        keys = list(dict.fromkeys(k for _, s in told for k, _ in _flat(s)))
        body = [[r.folder.name, *(dict(_flat(s)).get(k, "") for k in keys)] for r, s in told]
        pieces.append(el("details", el("summary", "Every training in figures"), table("Training", ["run", *keys], body)))
    return pieces


def selection(runs: Sequence[Run]) -> Pieces:
    """What each step dropped and why, and how the scores of kept and dropped examples are spread."""
    pieces: Pieces = []
    for label, run in _distinct(runs, "selection"):
        said = run.summaries.get("selection", {})
        dropped = rows(run.folder / "selection" / "dropped.jsonl")
        kept = rows(run.folder / "selection" / "examples.jsonl")
        part: Pieces = []
        if dropped or kept:
            reasons = Counter(_reason(row) for row in dropped)
            body = [["candidates", f"{len(kept) + len(dropped):,}"]]
            body += [[why, f"−{n:,}"] for why, n in reasons.items()]
            body.append(["kept", f"{len(kept):,}"])
            part.append(table(f"From candidates to examples{f': {label}' if label else ''}", ["step", "examples"], body))
            names = dict.fromkeys(k for row in kept for k, v in (row.get("scores") or {}).items() if isinstance(v, int | float))
            panels = []
            for score in names:
                inside = [row["scores"][score] for row in kept if score in row["scores"]]
                outside = [v for row in dropped if isinstance(v := _scores(row).get(score), int | float)]
                if len({*inside, *outside}) > 1:
                    picture = figures.histogram(inside, outside, score, f"{label} {score}: distribution among kept and dropped examples".strip())
                    panels.append(el("figure", el("figcaption", score), picture))
            if panels:
                part += [_key(("kept", "c0", ""), ("dropped", "rule", "")), el("div", *panels, class_="panels")]
        elif said:
            part.append(facts(_flat(said)))
        pieces += part
    return pieces


def data(runs: Sequence[Run]) -> Pieces:
    """What the data stage read, and what it dropped."""
    pieces: Pieces = []
    for step, title in (("data", "Problems"), ("attempts", "Attempts"), ("grades", "Grades of the attempts")):
        seen: list[Any] = []
        for run in runs:
            said = run.summaries.get(step)
            if said and said not in seen:
                seen.append(said)
                pieces += [el("h3", title), facts(_flat(said))]
    return pieces


def listing(runs: Sequence[Run]) -> Pieces:
    """Each run: its folder, how it ended, how long it took."""
    body = []
    for run, label in zip(runs, name(runs), strict=True):
        error = (run.error or "").strip()
        state = el("span", run.state, class_=None if run.state == "done" else "alarm")
        whole = join([state, el("div", el("code", error), class_="wrap small")]) if error else state
        body.append([run.folder.as_posix(), label, "—" if run.size is None else f"{run.size:,}", "—" if run.seed is None else str(run.seed),
                     duration(run.seconds), whole])  # fmt: skip
    shown = [[el("code", row[0]), *row[1:4], row[4], row[5]] for row in body]
    commands = el("pre", el("code", "\n".join(dict.fromkeys(run.command for run in runs))))
    return [table("Runs", ["folder", "setting", "examples", "seed", "time", "state"], shown, words=2), el("h3", "Commands"), commands]


def provenance(runs: Sequence[Run]) -> Pieces:
    """Versions, commit, hardware; and the key, time and cost of every result."""
    manifests = [(step, m) for run in runs for step in STEPS if (m := run.manifests.get(step))]
    unique = {(step, m.get("key")): m for step, m in manifests}
    if not unique:
        return []
    first = list(unique.values())
    versions = {k: v for m in first for k, v in (m.get("versions") or {}).items()}
    common = [
        ("commit", _all(m.get("git") for m in first)),
        ("hardware", _all(m.get("hardware") for m in first)),
        ("seeds", _all(run.seed for run in runs)),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
    ]
    body = [
        [step, el("code", str(m.get("key", ""))), str(m.get("finished", "")).replace("T", " ")[:16], duration(m.get("seconds"))]
        for (step, _), m in unique.items()
    ]
    return [facts(common), el("details", el("summary", f"{len(body)} results in the store"), table("Results", ["stage", "key", "finished", "time"], body, words=3))]


def duration(seconds: float | None) -> str:
    """`1 h 02 min`, `3 min 20 s`, `8.4 s`."""
    if seconds is None:
        return "—"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _cell(point: Point | None) -> Html | str:
    if point is None:
        return "—"
    return join([f"{100 * point.value:.1f} ", el("span", f"[{100 * point.low:.1f}, {100 * point.high:.1f}]", class_="iv")])


def _share(scores: Sequence[Score], field: str) -> Html | str:
    found = [v for s in scores if (v := getattr(s, field)) is not None]
    if not found:
        return "—"
    share = sum(found) / len(found)
    return el("span", f"{100 * share:.1f}", class_="alarm") if share >= ALARM else f"{100 * share:.1f}"


def _tokens(scores: Sequence[Score]) -> str:
    found = [s.tokens for s in scores if s.tokens is not None]
    return f"{sum(found) / len(found):,.0f}" if found else "—"


def _score(runs: Sequence[Run], bench: str) -> Score | None:
    return next((r.final.scores[bench] for r in runs if r.final and bench in r.final.scores), None)


def _method(found: Sequence[tuple[str, Score | None]]) -> str:
    methods = dict.fromkeys(s.method for _, s in found if s and s.method)
    return f"% correct; in brackets the 95 % interval over questions ({', '.join(methods)})" if methods else "% correct, 95 % interval over questions"


def _key(*entries: tuple[str, str, str]) -> Html:
    return el("ul", *(el("li", label, class_=kind or None, style=f"--k: var(--{colour})") for label, colour, kind in entries), class_="key")


def _flat(said: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A summary as names and readable values."""
    pairs: list[tuple[str, str]] = []
    for key, value in said.items():
        label = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, dict):
            pairs += _flat(value, f"{label}: ")
        elif value is not None:
            pairs.append((label, _readable(value)))
    return pairs


def _readable(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _distinct(runs: Sequence[Run], step: str) -> list[tuple[str, Run]]:
    """The runs whose result of a step differs, with a label that tells them apart."""
    seen: dict[Any, tuple[str, Run]] = {}
    for run, label in zip(runs, name(runs), strict=True):
        if run.summaries.get(step) or (run.folder / step).is_dir():
            mark = run.manifests.get(step, {}).get("key") or str(run.folder)
            size = f"{run.size:,} examples" if run.size is not None else ""
            seen.setdefault(mark, (", ".join(p for p in (label, size) if p) if len(runs) > 1 else "", run))
    return list(seen.values())


def _reason(row: dict[str, Any]) -> str:
    return str(row.get("reason") or row.get("step") or row.get("criterion") or "dropped")


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    inner = row.get("example") or row
    found = inner.get("scores") if isinstance(inner, dict) else None
    return found if isinstance(found, dict) else {}


def _all(values: Any) -> str:
    return ", ".join(dict.fromkeys(str(v) for v in values if v is not None))
