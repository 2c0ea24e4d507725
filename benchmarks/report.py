"""How long the report over a sweep of 96 jobs takes: 8 settings, 4 sizes, 3 seeds, of 1,300 questions each.

    python benchmarks/report.py [--jobs 96] [--against <another checkout>]

Makes the run folders, then times reading, page, Markdown, CSV and terminal table in a process of its own, here and in another
checkout where one is given (its own run folders, by its own `tests/outputs.py`); the first time with the page of each run, and a
second time, when those are there. Prints the processor seconds of each, start of Python included, and the ratio of the second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = {"math500": (500, 1, "in"), "aime24": (30, 16, "in"), "olympiad": (570, 1, "in"), "gpqa": (200, 1, "out")}
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
from limo import report
folders = [Path(sys.argv[1])]
if hasattr(report, "read"):
    settings = report.read(folders)
    report.write(settings, folders[0])
    report.table(settings)
else:
    report.write(folders, folders[0])
    report.table(folders)
print(time.process_time())
"""


def seconds(checkout: Path, jobs: int) -> list[float]:
    """Of a report made by the code of a checkout, and of the same again."""
    took = []
    with tempfile.TemporaryDirectory() as root:
        for script, words in ((RUNS, [repr(SUITE), str(jobs), root]), (REPORT, [root]), (REPORT, [root])):
            command = [sys.executable, "-c", script, *words]
            done = subprocess.run(
                command, cwd=checkout, env={"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stderr)
            took.append(float(done.stdout.split()[-1]) if done.stdout else 0.0)
    return took[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=96)
    parser.add_argument("--against", type=Path, help="another checkout")
    given = parser.parse_args()
    ours = seconds(Path(__file__).parents[1], given.jobs)
    print(f"report over {given.jobs} jobs: {ours[0]:.1f} s of a processor with the page of each, again {ours[1]:.1f} s")
    if given.against:
        theirs = seconds(given.against.absolute(), given.jobs)
        print(f"{given.against}: {theirs[0]:.1f} s, again {theirs[1]:.1f} s, {theirs[1] / ours[1]:.1f} times as long")


if __name__ == "__main__":
    main()
