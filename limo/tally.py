"""A sweep while it runs: how many of its runs are done, what the last one gave, how long the rest may take, the page so far.

Each run registers in a folder on the disk that all share; the environment of the runs says where it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from limo.records import Status, read_record, write_json
from limo.report.runs import read

SWEEP = "LIMO_SWEEP"
"""Environment variable that tells the runs of a sweep, in whatever process, where to register."""
ASKED = "asked.json"
SHARE = 0.1
"""Of the time that a sweep takes, at most so much goes into pages before the last one."""


def register() -> Path | None:
    """Where the runs of this sweep are listed; None outside of a sweep, or when it has ended."""
    place = Path(os.environ.get(SWEEP, ""))
    return place if SWEEP in os.environ and place.is_dir() else None


def ask(place: Path, more: int = 0) -> None:
    """Note that so many more runs were asked for."""
    known = json.loads((place / ASKED).read_text()) if (place / ASKED).is_file() else {"began": time.time(), "runs": 0}
    write_json(place / ASKED, known | {"runs": known["runs"] + more})


def enter(place: Path, number: int, folder: Path) -> None:
    """Note that a run began."""
    (place / str(number)).write_text(str(folder))


def entered(place: Path) -> dict[int, Path]:
    """The folders of the runs that began, by number."""
    return {int(file.name): Path(file.read_text()) for file in sorted(place.iterdir()) if file.name.isdigit()}


def withdraw(place: Path) -> None:
    """Take out what is there of a sweep that does not begin."""
    shutil.rmtree(place)
    (place.parent / "multirun.yaml").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other runs are there
        place.parent.rmdir()


@dataclass(frozen=True)
class Tally:
    """How a sweep stands."""

    asked: int
    ended: tuple[Path, ...]
    failed: int
    running: int
    left: float
    """Seconds, if the runs to come take as long as those that ended, as many at a time."""

    def __str__(self) -> str:
        parts = [f"{self.failed} failed"] * bool(self.failed) + [f"{self.running} running"] * bool(self.running)
        told = f"{len(self.ended)} of {self.asked} runs ended" + (f" ({', '.join(parts)})" if parts else "")
        return told + (f", about {_span(self.left)} left" if self.asked > len(self.ended) else "")


def tally(place: Path) -> Tally:
    """Reads the statuses of the runs that are in a register."""
    asked = json.loads((place / ASKED).read_text())
    runs = {folder: read_record(folder / "status.json", Status) for folder in dict.fromkeys(entered(place).values())}
    count = max(asked["runs"], len(runs))  # a sweeper need not say how many it will ask for
    ended = [folder for folder, status in runs.items() if status.seconds is not None]
    left = (time.time() - asked["began"]) / max(len(ended), 1) * (count - len(ended))
    failed = sum(runs[folder].code != 0 for folder in ended)
    return Tally(count, tuple(ended), failed, len(runs) - len(ended), left)


def gave(folder: Path) -> str:
    """What the tuned model of a run reached, else its base; else what went wrong, or that nothing did."""
    run = read(folder)
    if run.final is None:
        return f"failed: {run.error.splitlines()[0]}" if run.error else "done"
    name, first = next(iter(run.final.benchmarks.items()))
    more = (
        f", mean of {len(run.final.benchmarks)} {100 * run.final.mean:.1f} %" if len(run.final.benchmarks) > 1 else ""
    )
    return f"{'tuned' if run.tuned else 'base'} {name} {100 * first.accuracy:.1f} %{more}"


def home(folders: Sequence[Path]) -> Path:
    """Where the page of these runs belongs: the folder that holds them all, whichever names their recipes gave them."""
    return Path(os.path.commonpath([folder.parent for folder in folders]))


def redraw(place: Path) -> None:
    """Write the sweep's page of what has ended, unless another run is about it or it would take too much of the time."""
    from limo import report

    clock = place / "page.json"
    with contextlib.suppress(Timeout), FileLock(place / "page.lock", timeout=0):
        last = json.loads(clock.read_text()) if clock.is_file() else {"made": 0.0, "took": 0.0}
        began, now = time.time(), tally(place)
        if began - last["made"] < last["took"] / SHARE or len(now.ended) == now.asked:
            return  # the whole page comes at once
        report.write(report.read(now.ended), home(now.ended), running=str(now))
        write_json(clock, {"made": time.time(), "took": time.time() - began})


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
