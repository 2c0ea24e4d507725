"""How long the report over a sweep of 96 jobs takes: 8 settings, 4 sizes, 3 seeds, of 10 benchmarks with 5,280 questions each.

    python benchmarks/report.py [--jobs 96] [--against <another checkout>]

Makes the run folders, then times reading, page, Markdown, CSV and terminal table in a process of its own, here and in another
checkout where one is given (its own run folders, by its own `tests/outputs.py`): until the page is there, until all that it leads
to is, and the same again, when nothing has changed. Prints processor seconds, start of Python included, and ratios.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

COUNTS = (100, 150, 200, 300, 30, 500, 700, 900, 1100, 1300)
SUITE = {f"benchmark{i}": (n, 16 if n < 100 else 1, "in" if i < 7 else "out") for i, n in enumerate(COUNTS)}
"""Questions, samples and domain of each benchmark."""
RUNS = """
import sys
from pathlib import Path
from tests import outputs
suite, jobs, root = eval(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
outputs.evaluation.__defaults__ = (*outputs.evaluation.__defaults__[:-1], suite)
places = [(s, z, k) for s in range(8) for z in (100, 200, 400, 800) for k in range(3)]
for setting, size, seed in places[:jobs]:
    strategy = ("random", "limo", "longest", "quality")[setting % 4]
    outputs.write_run(root, strategy, size, seed, **{"optimizer.lr": str(10 ** -(4 + setting // 4))})
"""
REPORT = """
import sys, time
from pathlib import Path
there = []
def watch(event, given):
    if event == "open" and str(given[0]).endswith("report.md") and not there:  # it is written after the page
        there.append(time.process_time())
sys.addaudithook(watch)
from limo import report
folders = [Path(sys.argv[1])]
if hasattr(report, "read"):
    settings = report.read(folders)
    report.write(settings, folders[0])
    report.table(settings)
else:
    report.write(folders, folders[0])
    report.table(folders)
print(there[0], time.process_time())
"""


def seconds(checkout: Path, jobs: int) -> list[float]:
    """Of a report made by the code of a checkout: until the page is there, the whole; and both of the same again."""
    took = []
    with tempfile.TemporaryDirectory() as root:
        for script, words in ((RUNS, [repr(SUITE), str(jobs), root]), (REPORT, [root]), (REPORT, [root])):
            command = [sys.executable, "-c", script, *words]
            done = subprocess.run(
                command, cwd=checkout, env={"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stderr)
            took += map(float, done.stdout.split())
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=96)
    parser.add_argument("--against", type=Path, help="another checkout")
    given = parser.parse_args()
    ours = seconds(Path(__file__).parents[1], given.jobs)
    print(f"report over {given.jobs} jobs, seconds of a processor: {_told(ours)}")
    if given.against:
        theirs = seconds(given.against.absolute(), given.jobs)
        ratios = ", ".join(f"{b / a:.1f}" for a, b in zip(ours, theirs, strict=True))
        print(f"{given.against}: {_told(theirs)}; times as long: {ratios}")


def _told(took: list[float]) -> str:
    page, whole, again, all_again = (f"{one:.1f}" for one in took)
    return f"the page {page}, with all it leads to {whole}; again {again} and {all_again}"


if __name__ == "__main__":
    main()
