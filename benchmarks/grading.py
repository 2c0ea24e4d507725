"""How many cases a second are graded, whole and by the workers alone; and the same work given to pebble's pool, where it is installed.

    python benchmarks/grading.py cases.jsonl --jobs 2

`cases.jsonl` holds gold and response, one JSON object a line, as `python -m limo grade` reads it. The best of a few rounds counts, since a
shared machine makes each of them noisy; only the ratio of two numbers of one run tells anything.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from limo import records
from limo.grading import Rules, grade_all, workers
from limo.grading.decide import Item, quick
from limo.grading.foreign import read_row
from limo.serial import dump


def own(items: list[Item], jobs: int) -> object:
    return workers.run("limo.grading.decide:quick", items, jobs=jobs, seconds=5)


def pebble(items: list[Item], jobs: int) -> object:
    from pebble import ProcessPool

    with ProcessPool(max_workers=jobs, context=multiprocessing.get_context("spawn")) as workers:
        return [future.result() for future in [workers.schedule(quick, args=[item], timeout=100) for item in items]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = records.rows(options.cases)
    cases = [answer.case for number, row in rows for answer in read_row(row, f"line {number}")]
    items: list[Item] = [(dataclasses.asdict(case), dump(Rules())) for case in cases]
    ways: dict[str, Callable[[], object]] = {
        "grade_all, math-verify included": lambda: grade_all(cases, jobs=options.jobs),
        "the workers alone": lambda: own(items, options.jobs),
    }
    if find_spec("pebble"):
        ways["pebble's pool instead"] = lambda: pebble(items, options.jobs)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(options.rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            best[name] = min(best[name], time.perf_counter() - started)
    for name, seconds in best.items():
        print(f"{name:<34} {seconds:6.2f} s  {len(cases) / seconds:8.0f} cases/s")


if __name__ == "__main__":
    main()
