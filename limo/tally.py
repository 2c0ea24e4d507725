"""A sweep while it runs: how many of its runs are done, what the last one gave, how long the rest may take, the page so far.

Each run registers in a folder on the disk that all share; the environment of the runs says where it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from limo import UserError
from limo.records import Status, read_record, write_json
from limo.report.cost import NOTHING, duration
from limo.report.runs import curve, given, read
from limo.report.settings import SEPARATOR
from limo.tasks import stage_name
from limo.terminal import GAP, cells, plain, short, width
from limo.terminal import table as columned

SWEEP = "LIMO_SWEEP"
"""Environment variable that tells the runs of a sweep, in whatever process, where to register."""
ASKED = "asked.json"
MOST, LATEST = 20, 5
"""Runs that are listed one by one; of more those that failed, run, or are among so many that ended last."""
LEAST = 12
"""Columns for what a run is, and for what it gave, however narrow the terminal."""
CLEAR = "\r\x1b[K"
"""Takes away the bar of a run at work, which is drawn anew below."""
EVERY = 5.0
"""Seconds between two looks at runs that print elsewhere."""
SHARE = 0.1
"""Of the time that a sweep takes, at most so much goes into pages before the last one."""


def register() -> Path | None:
    """Where the runs of this sweep are listed; None outside of a sweep, or when it has ended."""
    place = Path(os.environ.get(SWEEP, ""))
    return place if SWEEP in os.environ and place.is_dir() else None


def ask(place: Path, jobs: Sequence[Sequence[str]] = ()) -> None:
    """Note that these were asked for, each by its overrides; by none where a search has yet to choose them."""
    known = json.loads((place / ASKED).read_text()) if (place / ASKED).is_file() else {}
    write_json(place / ASKED, {"began": time.time(), **known, "jobs": [*known.get("jobs", ()), *map(list, jobs)]})


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
class Job:
    """One run of a sweep."""

    number: int
    overrides: Sequence[str]
    folder: Path | None = None
    """None where it waits."""
    status: Status = field(default_factory=Status)

    @property
    def ended(self) -> float | None:
        """When, in Unix time."""
        return None if self.status.seconds is None else self.status.began + self.status.seconds

    @property
    def state(self) -> str:
        """`waiting`, `training …`, `done`, `failed`."""
        if self.ended is not None:
            return self.status.state
        at_work = f"{stage_name(self.status.task)} …" if self.status.task else "running"
        return "waiting" if self.folder is None else at_work

    @property
    def seconds(self) -> float | None:
        """That it took, or has taken so far."""
        running = self.folder is not None and self.ended is None
        return time.time() - self.status.began if running else self.status.seconds


@dataclass(frozen=True)
class Tally:
    """How a sweep stands."""

    jobs: tuple[Job, ...]
    left: float
    """Seconds, if the runs to come take as long as those that ended, as many at a time."""

    @property
    def ended(self) -> list[Job]:
        """The last to end last."""
        return sorted((job for job in self.jobs if job.ended is not None), key=lambda job: job.ended or 0)

    @property
    def failed(self) -> list[Job]:
        return [job for job in self.ended if job.status.code != 0]

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.folder is not None and job.ended is None]

    def __str__(self) -> str:
        parts = [f"{len(of)} {what}" for of, what in ((self.failed, "failed"), (self.running, "running")) if of]
        told = f"{len(self.ended)} of {len(self.jobs)} runs ended" + (f" ({', '.join(parts)})" if parts else "")
        return told + (f", about {_span(self.left)} left" if len(self.jobs) > len(self.ended) else "")


def tally(place: Path) -> Tally:
    """Reads the statuses of the runs that are in a register."""
    asked, folders = json.loads((place / ASKED).read_text()), entered(place)
    words = dict(enumerate(asked["jobs"]))
    first = {folder: number for number, folder in sorted(folders.items(), reverse=True)}
    jobs = []
    for number in sorted({*words, *folders}):  # a sweeper need not say how many it will ask for
        if (folder := folders.get(number)) is None:
            jobs.append(Job(number, words[number]))
        elif first[folder] == number:
            status = read_record(folder / "status.json", Status)
            jobs.append(Job(number, words.get(number) or status.overrides, folder, status))
    ended = sum(job.ended is not None for job in jobs)
    left = (time.time() - asked["began"]) / max(ended, 1) * (len(jobs) - ended)
    return Tally(tuple(jobs), left)


def say(lines: str) -> None:
    """Print to the terminal, in one piece, as others may print there."""
    print(f"{CLEAR}{lines}\n", end="", flush=True)


def begins(place: Path, number: int) -> str:
    """A line that says which run begins: `run 3 of 8: selection=random size=100`."""
    jobs = tally(place).jobs
    keys, rows = _swept(jobs)
    values = next((row for job, row in zip(jobs, rows, strict=True) if job.number == number), [])
    told = " ".join(f"{key}={value}" for key, value in zip(keys, values, strict=bool(values)))
    return short(plain(f"run {number + 1} of {len(jobs)}: {told}"), width())


def table(place: Path, columns: int | None = None) -> str:
    """A line for each run of a sweep, with what tells it from the others, no wider than the terminal (`columns`); of many those that
    failed, run or ended last."""
    now, room = tally(place), columns or width()
    keys, values = _swept(now.jobs)
    told = now.jobs if len(now.jobs) <= MOST else (*now.failed, *now.running, *now.ended[-LATEST:])
    listed = [job for job in now.jobs if job in told and (job.folder or job.overrides)]
    labels = {job.number: SEPARATOR.join(row) for job, row in zip(now.jobs, values, strict=True)}
    rows = [
        [str(job.number + 1), labels[job.number], job.state, _result(job), duration(job.seconds) if job.folder else ""]
        for job in listed
    ]
    head = ["run", SEPARATOR.join(keys), "state", "result", "time"]
    widths = [max(cells(line[i]) for line in [head, *rows]) for i in range(len(head))]
    rest = max(room - sum(widths) + widths[1] + widths[3] - len(GAP) * (len(head) - 1), 2 * LEAST)
    result = min(widths[3], max(rest // 2, rest - widths[1]))
    caps = [widths[0], rest - result, widths[2], result, widths[4]]
    shown = [[short(plain(cell), cap) for cell, cap in zip(line, caps, strict=True)] for line in [head, *rows]]
    hidden = Counter(job.state for job in now.jobs if job not in listed)
    more = [", ".join(f"{count} {state}" for state, count in hidden.items()) + " not listed"] if hidden else []
    return "\n".join([str(now), columned(shown[0], shown[1:], 4, room), *more])


def _swept(jobs: Sequence[Job]) -> tuple[list[str], list[list[str]]]:
    """The last parts of the keys in which jobs differ, and the values of each job; all keys of a single one."""
    of = [given(job.overrides) for job in jobs]
    keys = list(dict.fromkeys(key for one in of for key in one))
    differing = [key for key in keys if len({one.get(key) for one in of if one}) > 1] or keys
    names = [key.rpartition(".")[2].lstrip("+") for key in differing]
    return names, [[one.get(key, NOTHING) for key in differing] for one in of]


def _result(job: Job) -> str:
    """What an ended run came to, briefly: the mean over its benchmarks, else its lowest validation loss, or why it failed."""
    if job.folder is None or job.ended is None:
        return ""
    if job.status.error:
        return job.status.error.strip().splitlines()[-1 if "Traceback" in job.status.error else 0]
    run = read(job.folder)
    if run.final:
        return f"{'mean' if run.tuned else 'base'} {100 * run.final.mean:.1f} %"
    losses = curve(run, "validation_loss")[1]
    return f"validation loss {min(losses):.4g}" if losses else ""


def watch(place: Path) -> None:
    """Print the table whenever runs began or ended, until the register is gone: for runs that do not print to this terminal."""
    last = (0, 0)
    while place.is_dir():
        time.sleep(EVERY)
        with contextlib.suppress(UserError, OSError):  # the next look may find what this one did not
            now = tally(place)
            if (stands := (len(now.ended), len(now.running))) != last:
                say(table(place))
                last = stands


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
        if began - last["made"] < last["took"] / SHARE or len(now.ended) == len(now.jobs):
            return  # the whole page comes at once
        folders = [job.folder for job in now.ended if job.folder]
        report.write(report.read(folders), home(folders), running=str(now))
        write_json(clock, {"made": time.time(), "took": time.time() - began})


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{round(seconds)} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
