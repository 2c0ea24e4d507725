"""The same numbers as plain text: a table for the terminal, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from limo.report.arms import MEAN, Arm, Point, arms, bases, benchmarks, combine, describe, gap
from limo.report.notes import notes
from limo.report.runs import Run, Score

WIDE = 3
"""Benchmarks beyond which the terminal shows ± in place of both ends of intervals."""
Table = tuple[list[str], list[list[str]]]
"""Head and rows."""


def terminal(runs: Sequence[Run]) -> str:
    """What is printed at the end of a run or a sweep: one run by benchmark, several by setting."""
    one = len(runs) == 1
    shown = single(runs[0]) if one else several(runs, short=len(benchmarks(runs)) > WIDE)
    parts = [*describe(runs if one else []), grid(*shown)]
    marks = {"problem": "!", "note": "·"}
    parts += [f"{marks[kind]} {sentence}" for kind, sentence in notes(runs)]
    return "\n".join(p for p in parts if p)


def single(run: Run) -> Table:
    """Base and tuned per benchmark, and their paired difference."""
    head = ["benchmark", "questions", "base", "tuned", "difference"]
    rows = []
    for name in [*benchmarks([run]), MEAN]:
        before, after = ([r] if r else [] for r in (run.base, run.tuned))
        base, tuned = combine(before, name), combine(after, name)
        change = gap(before, after, name) if before and after else None
        score = run.final.scores.get(name) if run.final else None
        if base or tuned:
            rows.append([name, asked(score), percent(base), percent(tuned), percent(change, signed)])
    return head, rows


def several(runs: Sequence[Run], short: bool = False) -> Table:
    """Tuned accuracy per setting and size, one column per benchmark; the base model on top. Where none was trained, a row
    for each model. `short` gives ± for intervals."""
    names = benchmarks(runs)
    columns = [*names, MEAN] if len(names) > 1 else names
    write = brief if short else percent
    if not any(run.tuned for run in runs):
        there = [arm for arm in arms(runs) if arm.bases]
        return ["setting", *columns], [[arm.label, *(write(combine(arm.bases, c)) for c in columns)] for arm in there]
    rows = [["base model", "", "", *(write(combine([b], c)) for c in columns)] for b in bases(runs)]
    for arm in arms(runs):
        if any(r.tuned for r in arm.runs):
            rows.append([arm.label, count(arm), seeds(arm), *(write(arm.point(c)) for c in columns)])
    return ["setting", "size", "seeds", *columns], rows


def grid(head: list[str], rows: list[list[str]]) -> str:
    """Aligned columns: words to the left, figures to the right."""
    if not rows:
        return ""
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, ["─" * w for w in widths], *rows]:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(runs: Sequence[Run], title: str) -> str:
    """`report.md`: the tables of the terminal, for issues and notes."""
    parts = [f"# {title}", ""]
    parts += [f"- {'**' + sentence + '**' if kind == 'problem' else sentence}" for kind, sentence in notes(runs)]
    tables = [single(runs[0])] if len(runs) == 1 else [several(runs)]
    for head, rows in tables:
        parts += ["", _line(head), _line([":--", *["--:"] * (len(head) - 1)]), *(_line(r) for r in rows)]
    parts += ["", "Accuracy in % with 95 % interval.", "", *(f"    {run.command}" for run in runs), ""]
    return "\n".join(parts)


def sheet(runs: Sequence[Run]) -> str:
    """`results.csv`: one row per run, model and benchmark, everything measured; accuracies 0 to 1."""
    out = io.StringIO()
    head = ["run", "strategy", "size", "seed", "state", "weights", "benchmark", "accuracy", "low", "high", "questions", "samples",
            "no_answer", "truncated", "repetition", "tokens", "paper_rules", "model"]  # fmt: skip
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for run in runs:
        for weights, found in (("base", run.base), ("tuned", run.tuned)):
            for score in found.scores.values() if found else []:
                low, high = score.interval or ("", "")
                writer.writerow([
                    run.folder.name, run.strategy, run.size, run.seed, run.state, weights, score.benchmark, score.accuracy, low, high,
                    score.n, score.samples, score.no_answer, score.truncated, score.repetition, score.tokens, score.paper,
                    found.model if found else "",
                ])  # fmt: skip
    return out.getvalue()


def percent(point: Point | None, write: Callable[[float], str] = lambda value: f"{100 * value:.1f}") -> str:
    """`92.1 [89.4, 94.2]`, in percent; `signed` writes differences."""
    return "—" if point is None else f"{write(point.value)} [{write(point.low)}, {write(point.high)}]"


def brief(point: Point | None) -> str:
    """`92.1 ±2.4`: half the width of the interval, which need not lie evenly."""
    return "—" if point is None else f"{100 * point.value:.1f} ±{50 * (point.high - point.low):.1f}"


def signed(value: float) -> str:
    """`+83.7`, in percentage points, with a true minus sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def asked(score: Score | None) -> str:
    """`500`, or `30 × 16` with several samples each."""
    if score is None:
        return ""
    return f"{score.n} × {score.samples}" if score.samples > 1 else str(score.n)


def count(arm: Arm) -> str:
    return "—" if arm.size is None else f"{arm.size:,}"


def seeds(arm: Arm) -> str:
    return str(sum(1 for r in arm.runs if r.tuned))


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
