"""The page's section that puts a run beside what the paper claims, and says what differs in protocol."""

from __future__ import annotations

from collections.abc import Sequence

from limo.evaluation.claims import Row, claims, differ, side_by_side
from limo.records import Results
from limo.report.html import el, table
from limo.report.names import count
from limo.report.parts import Pieces, cell, folded
from limo.report.runs import Run
from limo.report.settings import Setting, short
from limo.report.values import signed
from limo.statistics import Estimate

TUNED = "LIMO"
"""The paper's column for its own model."""
START = "Qwen2.5-32B-Instruct"
"""What that was trained from, and the model of the study of sizes."""
OPEN = 4
"""Tables that are shown; more are folded away."""


def paper(settings: Sequence[Setting]) -> Pieces:
    """Our numbers beside the paper's, for the benchmarks that it has: once for each base, once for each tuned model. A
    model that was only evaluated and that the paper does not know stands beside the paper's own."""
    pieces: Pieces = []
    seen: set[tuple[str, str]] = set()
    for setting in settings:
        for run in setting.runs:
            version, column = nearest(run), backbone(run)
            if run.base and column and (column, version) not in seen:
                seen.add((column, version))
                pieces += _table(run.base, version, column, f"{column} as it comes")
            elif run.base and not column and not run.tuned:
                pieces += _table(run.base, version, TUNED, f"{run.base.model}, beside the paper's {TUNED}")
            if run.tuned:
                of = ", ".join(p for p in (setting.label, f"{count(setting)} examples", f"seed {run.seed}") if p)
                pieces += _table(run.tuned, version, TUNED, f"Tuned: {of}", _other(run))
    more = pieces[OPEN:]
    return [*pieces[:OPEN], *([folded(f"{len(more)} more tables", *more)] if more else [])]


def claim(setting: Setting, bench: str) -> float | None:
    """The paper's value for a tuned model, where these runs start from one of its backbones."""
    if not any(backbone(run) for run in setting.runs):
        return None
    value = claims().version(nearest(setting.runs[0])).columns[TUNED].values.get(bench)
    return None if value is None else value / 100


def study(runs: Sequence[Run], bench: str) -> list[tuple[float, float]]:
    """The paper's accuracy against size, where these runs start from the model of that study."""
    if not any(backbone(r) == START for r in runs):
        return []
    rows = [s for s in claims().studies if s.study == "sample_size" and bench in s.values]
    sizes = [("".join(filter(str.isdigit, s.arm)), s.values[bench]) for s in rows]
    return [(float(size), value / 100) for size, value in sizes if size and float(size) > 0]


def backbone(run: Run) -> str | None:
    """The paper's column for the untuned model, where it has one."""
    name = short(run.base.model) if run.base else ""
    return name if name in claims().v2.columns else None


def nearest(run: Run) -> str:
    """Which version of the paper a run is to be compared with: the one with the nearer number of examples; where nothing
    was trained, the one with the nearer protocol."""
    asked = run.base.benchmarks if run.base and not run.tuned else {}

    def distance(version: str) -> int:
        theirs = claims().version(version)
        if asked:
            both = asked.keys() & theirs.protocol.keys()
            return sum(len(differ(asked[name].protocol, theirs.protocol[name])) for name in both)
        return abs(theirs.examples - (run.size or 0))

    return min(("v1", "v2"), key=distance)


def _other(run: Run) -> tuple[str, ...]:
    """What a tuned model started from, where the paper's did not."""
    ours = short(run.base.model) if run.base else "unknown"
    return () if ours == START else (f"model: {ours}, paper {START}",)


def _table(results: Results, version: str, column: str, title: str, apart: tuple[str, ...] = ()) -> Pieces:
    theirs = claims().version(version)
    if not set(results.benchmarks) & set(theirs.protocol):
        return []
    body = [_cells(row, row.claim, apart) for row in side_by_side(results, version, column) if row.claim is not None]
    head = ["benchmark", "ours", "paper", "difference", "the paper's is", "what differs"]
    source = theirs.paper.partition(";")[0]
    note = f"% correct, 95 % interval over questions; {source}; ? marks a number that was not seen in the paper itself"
    return [table(title, head, body, note=note, left=(4, 5))] if body else []


def _cells(row: Row, claimed: float, apart: tuple[str, ...]) -> list[str]:
    mark = "inside" if row.inside else el("b", "outside")
    why = el("div", "; ".join([*apart, *row.differences]), class_="wrap small")
    ours = cell(Estimate(row.value, row.interval.low, row.interval.high, seeds=()))
    doubt = "" if row.confirmed else " ?"
    return [row.benchmark, ours, f"{100 * claimed:.1f}{doubt}", signed(row.value - claimed), mark, why]
