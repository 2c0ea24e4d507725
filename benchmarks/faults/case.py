"""One fault and its own copy of the reference run: start the command, look for what is left behind, compare."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.faults.ends import Done, LostError, again, last
from benchmarks.faults.road import RUN, STORE, Road, command, environment
from limo.products import differences, products

MARK = "LIMO_FAULT"
"""Environment variable by which the processes of a case are found."""
LIMIT = 600.0
"""Seconds after which a command hangs, or one that got a signal does not end."""
GRACE = 20.0
"""Seconds in which processes of a command that ended are gone."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, and how it is brought about."""

    group: str
    name: str
    how: Callable[[Case], str]
    """Brings it about in a case, raises `LostError` where a promise does not hold; says what was done again."""
    road: str = "whole"
    """Of which reference run the case is a copy."""
    short: bool = False
    """Whether it belongs to the short form."""


@dataclass
class Case:
    """A folder with a copy of a reference run, in which one fault is tried."""

    folder: Path
    road: Road
    roads: dict[str, Road]
    commands: int = 0
    steps: int = 0
    """Training steps that were done twice."""
    answers: int = 0
    """Generated answers that were generated again."""

    @property
    def store(self) -> Path:
        return self.folder / STORE

    def copy(self, *without: str) -> None:
        """Lay out the reference run, less the results of some tasks (and what models answered, named `completions`)."""
        shutil.copytree(self.road.folder, self.folder, symlinks=True, dirs_exist_ok=True)
        for name in without:
            shutil.rmtree(self.store / name if name == "completions" else self.result(name))

    def result(self, task: str) -> Path:
        """The folder of the finished result of a task."""
        return (self.folder / RUN / task).resolve(strict=True)

    def launch(self, line: list[str], **env: str) -> Running:
        """Start a program in the folder of the case."""
        self.commands += 1
        return Running(line, self.folder, self.folder / f"said-{self.commands}.txt", {MARK: str(self.folder)} | env)

    def start(
        self, *extra: str, words: tuple[str, ...] | None = None, before: tuple[str, ...] = (), **env: str
    ) -> Running:
        """Start the command of the case, or other `words` for limo, behind a program such as `setpriv`."""
        words = self.road.words if words is None else words
        return self.launch([*before, *command((*words, *extra))], **env)

    def run(self, *extra: str, words: tuple[str, ...] | None = None, before: tuple[str, ...] = (), **env: str) -> Done:
        """Run it to its end."""
        return self.start(*extra, words=words, before=before, **env).wait()

    def heal(self) -> str:
        """The same command again; then everything must be as in the reference. What was done again."""
        before = self.written()
        done = self.run()
        if done.code:
            raise LostError(f"the same command again ends with {done.code}: {last(done.text)}")
        self.same()
        self.steps = before - max(map(int, re.findall(r"going on from step (\d+)", done.text)), default=0)
        known = self.known()
        self.answers = len(known) - len(set(known))
        return again(done.text)

    def same(self) -> None:
        """Raise LostError where a product is not as in the reference, or something unfinished lies about."""
        off = differences(products(self.folder / RUN), self.road.products)
        if off:
            raise LostError(f"{len(off)} products differ: {', '.join(off[:3])}")
        self.tidy()

    def tidy(self) -> None:
        """Raise LostError where something unfinished lies about."""
        left = [p.relative_to(self.folder).as_posix() for p in (self.folder / "outputs").rglob("*") if unfinished(p)]
        if left:
            raise LostError(f"left behind: {', '.join(left[:3])}")

    def written(self) -> int:
        """Steps in the metrics of the training that is under way."""
        return max((steps(file) for file in self.store.glob("training/*.partial/metrics.csv")), default=0)

    def known(self) -> list[str]:
        """Model and key of each answer in the logs."""
        found = []
        for file in self.store.glob("completions/*.jsonl"):
            for line in file.read_bytes().splitlines():
                if match := re.search(rb'"key": ?"(\w+)"', line):
                    found.append(f"{file.stem} {match[1].decode()}")
        return found

    def empty(self) -> None:
        """Raise LostError where a process of this case outlives its command; end all that do."""
        end = time.monotonic() + GRACE
        while (left := list(marked(str(self.folder)))) and time.monotonic() < end:
            time.sleep(0.1)
        for process in left:
            process.kill()
        if left:
            raise LostError(f"{len(left)} processes outlive their command")


class Running:
    """A command on its way."""

    def __init__(self, line: list[str], folder: Path, said: Path, env: dict[str, str]) -> None:
        self.said, self.mark = said, env[MARK]
        with said.open("wb") as out:
            # signals that whoever started the bench ignores are not ignored here
            self.process = subprocess.Popen(
                line,
                cwd=folder,
                env=environment(**env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_default_signals,
            )

    @property
    def text(self) -> str:
        return self.said.read_text(encoding="utf-8", errors="replace")

    def wait(self, limit: float = LIMIT) -> Done:
        """Its end. Raises LostError where it does not come."""
        end = time.monotonic() + limit
        while True:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = code = os.waitstatus_to_exitcode(status)
                return Done(code, self.text, usage.ru_maxrss // 1024)
            if time.monotonic() > end:
                for process in marked(self.mark):
                    process.kill()
                os.waitpid(self.process.pid, 0)
                raise LostError(f"still running after {limit:.0f} s: {last(self.text)}")
            time.sleep(0.02)

    def alive(self) -> bool:
        return bool(psutil.Process(self.process.pid).status() != psutil.STATUS_ZOMBIE)


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def marked(mark: str) -> Iterator[psutil.Process]:
    """The processes of the cases in a folder that have not ended."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(mark) and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            continue


def unfinished(path: Path) -> bool:
    """Whether a file or folder is one that somebody meant to rename or remove."""
    return (
        path.suffix in (".partial", ".gone")
        or path.name.startswith(".sweep")
        or bool(re.search(r"^\..+\.\d+$", path.name))
    )


def steps(metrics: Path) -> int:
    try:
        return max(0, metrics.read_bytes().count(b"\n") - 1)
    except FileNotFoundError:
        return 0
