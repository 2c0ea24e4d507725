"""The same numbers as plain text: a table for the terminal, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from limo.records import BenchmarkResult, ParaphrasesSummary, Results, SelectionSummary
from limo.report import cost
from limo.report.names import apart, common, describe, named
from limo.report.notes import notes
from limo.report.runs import Run
from limo.report.settings import MEAN, Setting, bases_of, columns, differing, names_of
from limo.report.values import Write, bare, brief, percent, signed
from limo.report.verdicts import verdicts
from limo.terminal import fits, table

WIDE = 3
"""Benchmarks beyond which the terminal shows ± in place of both ends of intervals."""
MARKUP = re.compile(r"[\\`*{}\[\]<>#|&$~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
LINE_END = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")
FORMULA = ("=", "+", "-", "@", "\t", "＝", "＋", "－", "＠")
Table = tuple[list[str], list[list[str]]]
"""Head and rows."""


def terminal(settings: Sequence[Setting]) -> str:
    """What is printed at the end of a run or a sweep: one run by benchmark, several by setting."""
    runs = [run for setting in settings for run in setting.runs]
    one = len(runs) == 1
    parts = [
        *(describe(settings).values() if one else []),
        *(map(funnel, runs) if one else []),
        _fitting(settings),
        f"· each setting: {said}" if not one and (said := common(settings)) else "",
        *(map(cost.line, runs) if one else []),
    ]
    parts += [f"= {verdict.sentence}" for verdict in verdicts(settings)]
    marks = {"problem": "!", "note": "·"}
    parts += [f"{marks[note.severity]} {note.sentence}" for note in notes(settings)]
    return "\n".join(p for p in parts if p)


def _fitting(settings: Sequence[Setting]) -> str:
    """The table with as much of the intervals as the terminal is wide, and in parts where even the values alone are wider."""
    one = sum(len(setting.runs) for setting in settings) == 1
    forms = [percent, brief, bare]
    for write in forms if one or len(measured(settings)) <= WIDE else forms[1:]:
        shown = single(settings[0], write) if one else several(settings, write)
        if fits(*shown):
            break
    return table(*shown)


def funnel(run: Run) -> str:
    """From the pool to the examples: `3,000 read; data leaves 2,935 (65 duplicate); coarse leaves 9 (2,926 too easy); 9 candidates;
    5 examples (4 size: ranked below)`; nothing where nothing was chosen."""
    told = [f"{run.data.read:,} read", _left("data", run.data.kept, run.data.dropped)] if run.data else []
    if isinstance(judged := run.summaries.get("paraphrases"), ParaphrasesSummary) and judged.kept < judged.problems:
        told.append(_left("paraphrases", judged.kept, {"in other words or not judged": judged.problems - judged.kept}))
    told += [_left(name, one.left, one.dropped) for name, one in run.sieves.items() if one.dropped]
    if isinstance(said := run.summaries.get("selection"), SelectionSummary):
        reasons = {f"{step}: {why}": n for step, whys in said.dropped.items() for why, n in whys.items()}
        examples = f"{said.kept:,} examples{_reasons(reasons)}"
        told += [f"{said.candidates:,} candidates", examples]
    return "; ".join(told)


def _left(name: str, left: int, dropped: Mapping[str, int]) -> str:
    return f"{name} leaves {left:,}{_reasons(dropped)}"


def _reasons(dropped: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{count:,} {reason}' for reason, count in dropped.items())})" if dropped else ""


def measured(settings: Sequence[Setting]) -> list[str]:
    """Names of all benchmarks of the models that the runs are about, in the order of the first that has each."""
    return names_of([run.final for setting in settings for run in setting.runs if run.final])


def single(setting: Setting, write: Write = percent) -> Table:
    """Base and tuned per benchmark, and their paired difference, where there are such; with intervals as `write` has them."""
    head = ["benchmark", "questions", "base", "tuned", "difference"]
    rows = []
    for name in [*measured([setting]), MEAN]:
        base, tuned = setting.before(name), setting.accuracy(name)
        if base or tuned:
            questions = asked([*setting.tuned, *setting.bases], name)
            rows.append([name, questions, write(base), write(tuned), write(setting.gain(name), signed)])
    said = [i for i, of in enumerate(head) if i < 2 or any(row[i] != write(None) for row in rows)]
    return [head[i] for i in said], [[row[i] for i in said] for row in rows]


def several(settings: Sequence[Setting], write: Write = percent) -> Table:
    """Tuned accuracy per setting and size, one column per benchmark; what each started from on top. Where none was
    trained, a row for each model. Intervals are as `write` has them."""
    shown = columns(measured(settings))
    trained = [s for s in settings if s.tuned]
    if not trained:
        there = [s for s in settings if s.bases]
        return ["setting", *shown], [[s.label, *(write(s.before(c)) for c in shown)] for s in there]
    heads, cells = apart(trained)
    rows = [[*named(base, heads), *(write(base.accuracy(c)) for c in shown)] for base in bases_of(settings)]
    rows += [[*cells[s], *(write(s.accuracy(c)) for c in shown)] for s in trained]
    return [*heads, *shown], rows


def markdown(settings: Sequence[Setting], title: str) -> str:
    """`report.md`: the tables of the terminal, for issues and notes."""
    runs = [run for setting in settings for run in setting.runs]
    parts = [f"# {_plain(title)}", ""]
    parts += [f"- **{verdict.state}**: {_plain(verdict.sentence)}" for verdict in verdicts(settings)]
    for note in notes(settings):
        said = _plain(note.sentence)
        parts.append(f"- **{said}**" if note.severity == "problem" else f"- {said}")
    head, rows = single(settings[0]) if len(runs) == 1 else several(settings)
    rows = [[_plain(of), *figures] for of, *figures in rows]
    if rows:
        parts += ["", _line(map(_plain, head)), _line([":--", *["--:"] * (len(head) - 1)]), *map(_line, rows)]
        said = common(settings) if len(runs) > 1 else ""
        parts += ["", f"Accuracy in % with 95 % interval{f'; each setting: {_plain(said)}' if said else ''}."]
    parts.append("")
    parts += ["    " + LINE_END.sub("\n    ", run.command) for run in runs]
    return "\n".join([*parts, ""])


SHEET = (
    "run",
    "strategy",
    "size",
    "seed",
    "state",
    "weights",
    "benchmark",
    "accuracy",
    "low",
    "high",
    "questions",
    "samples",
    "no_answer",
    "truncated",
    "repetition",
    "ended",
    "tokens",
    "paper_rules",
    "detectable",
    "domain",
    "evaluated",
)
"""Columns of every `results.csv`."""


def sheet(settings: Sequence[Setting]) -> str:
    """`results.csv`: one row per run, model and benchmark, everything measured, and a column for each key in which the runs
    differ; accuracies 0 to 1."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    runs = [run for setting in settings for run in setting.runs]
    keys = differing(runs)
    writer.writerow(map(_cell, [*SHEET, *(key.lstrip("+~") for key in keys)]))
    for run in runs:
        of = [run.given.get(key) for key in keys]
        for weights, found in (("base", run.base), ("tuned", run.tuned)):
            if found:
                for name, one in found.benchmarks.items():
                    row = [*_who(run), weights, name, *_measures(one), found.model, *of]
                    writer.writerow(map(_cell, row))
    return out.getvalue()


def _who(run: Run) -> list[object]:
    return [run.folder.name, run.strategy, run.size, run.seed, run.state]


def _measures(one: BenchmarkResult) -> list[object]:
    shares = [
        one.no_answer,
        one.truncated,
        one.repetition,
        one.ended,
        one.tokens,
        one.paper_accuracy,
        one.detectable,
        one.domain,
    ]
    return [one.accuracy, one.interval.low, one.interval.high, one.n, one.samples, *shares]


def asked(results: Sequence[Results], benchmark: str) -> str:
    """`500`, or `30 × 16` with several samples each; a range where the results differ."""
    found = {(r.benchmarks[benchmark].n, r.benchmarks[benchmark].samples) for r in results if benchmark in r.benchmarks}
    if not found:
        return ""
    counts, samples = (sorted({pair[i] for pair in found}) for i in (0, 1))
    number, each = ("–".join(map(str, dict.fromkeys((of[0], of[-1])))) for of in (counts, samples))
    return number if each == "1" else f"{number} × {each}"


def _plain(text: str) -> str:
    """Text of others that Markdown shows as it is, on one line."""
    marked = MARKUP.sub(lambda found: f"\\{found[0]}", LINE_END.sub(" ", text))
    return marked.replace("://", r"\://").replace("www.", r"www\.")


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: object) -> object:
    """A cell of a sheet: a text that a spreadsheet would take for a formula is marked as the text it is."""
    return f"'{value}" if isinstance(value, str) and value.lstrip().startswith(FORMULA) else value
