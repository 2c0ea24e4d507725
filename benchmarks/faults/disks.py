"""Disks that fill up, are too small or cannot be written: small file systems in memory, mounted where that is allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.faults import moments
from benchmarks.faults.case import Case, Fault
from benchmarks.faults.ends import Done, LostError, UntriedError, again, no_traceback, refused
from benchmarks.faults.moments import Moment, answered, said, step, there
from benchmarks.faults.road import RUN
from limo.products import differences, products

ROOM = 96
"""MiB of a disk that will be filled."""
BALLAST = "ballast"
FULL: dict[str, tuple[str, Moment, str, bool]] = {
    "before data": ("data attempts/lab grades/lab solutions selection", said(""), "whole", False),
    "among the answers": ("attempts/lab completions", answered(3), "whole", False),
    "while grading": ("grades/lab", moments.ready, "whole", False),
    "in a training step": ("training", step(2), "early", True),
    "while a checkpoint is written": ("training", there("training/*.partial/checkpoints/*.partial"), "early", False),
    "while the model is exported": ("training", there("training/*.partial/model.partial"), "early", False),
    "in the second evaluation": ("evaluation/tuned", said("evaluation/tuned …"), "whole", False),
    "before the report": ("evaluation/tuned", said("evaluation/tuned: "), "whole", False),
}
"""When -> tasks to be made, the moment, the reference, whether in the short form."""


def faults() -> list[Fault]:
    full = [
        Fault("disks", f"full {when}", _filled(tasks, moment, when), road, short)
        for when, (tasks, moment, road, short) in FULL.items()
    ]
    return [
        *full,
        Fault("disks", "too small before the start", too_small, "early"),
        Fault("disks", "outputs cannot be written", unwritable, "early"),
        Fault("disks", "a store that can only be read and has everything", only_read, "whole"),
        Fault("disks", "a store that can only be read and lacks a result", lacking, "early"),
        Fault("disks", "files no larger than 1 MiB (ulimit -f)", limited, "early"),
        Fault("disks", "a quota of the user", quota, "early"),
    ]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory at a folder. Raises UntriedError where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False)


def mount(*words: str) -> None:
    try:
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UntriedError(f"mount: {error.strerror}") from None
    if done.returncode:
        raise UntriedError(last_line(done.stderr))


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


@contextmanager
def on_small_disk(case: Case, mib: int, *without: str) -> Iterator[Path]:
    """The case laid out with its outputs on a disk of so many MiB."""
    with mounted(case.folder / "outputs", f"size={mib}m"):
        case.copy(*without)
        yield case.folder / "outputs"


def fill(disk: Path, leave: int = 0) -> None:
    """Take all but so many bytes of a disk."""
    with (disk / BALLAST).open("wb", buffering=0) as handle:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - leave
        try:
            if free > 0:
                os.posix_fallocate(handle.fileno(), 0, free)
            while not leave:
                handle.seek(0, os.SEEK_END)
                handle.write(bytes(4096))
        except OSError:
            return  # which is what was wanted


def _filled(tasks: str, moment: Moment, when: str) -> Callable[[Case], str]:
    def filled(case: Case) -> str:
        with on_small_disk(case, ROOM, *tasks.split()) as disk:
            running = case.start()
            moments.reach(case, running, moment, when)
            fill(disk)
            done = running.wait()
            case.empty()
            if done.code == 0:
                (disk / BALLAST).unlink()
                case.same()
                return f"went on; {again(done.text)}"
            refused(done, "space")
            (disk / BALLAST).unlink()
            return case.heal()

    return filled


def too_small(case: Case) -> str:
    with on_small_disk(case, ROOM, "training") as disk:
        fill(disk, leave=1 << 20)
        done = case.run()
        refused(done, "MiB")
        if "training …" in done.text:
            raise LostError("it began before it said so")
        (disk / BALLAST).unlink()
        return case.heal()


def unwritable(case: Case) -> str:
    with on_small_disk(case, ROOM, "training") as disk:
        mount("-o", "remount,ro", str(disk))
        refused(case.run(), "outputs")
        mount("-o", "remount,rw", str(disk))
        return case.heal()


@contextmanager
def read_only_store(case: Case, *without: str) -> Iterator[str]:
    """The case laid out, its store where it can only be read; the override that names it."""
    case.copy(*without)
    disk = case.folder / "elsewhere"
    with mounted(disk, f"size={ROOM}m"):
        shutil.copytree(case.store, disk / "store", symlinks=True)
        mount("-o", "remount,ro", str(disk))
        shutil.rmtree(case.folder / "outputs")
        yield f"store={disk / 'store'}"


def only_read(case: Case) -> str:
    with read_only_store(case) as store:
        done = case.run(store)
        same_results(case, done)
        return again(done.text)


def same_results(case: Case, done: Done) -> None:
    """Raise LostError unless a command succeeded and its run folder shows what the reference does."""
    no_traceback(done)
    if done.code:
        raise LostError(f"exit code {done.code}: {last_line(done.text)}")
    if off := differences(products(case.folder / RUN), case.road.products):
        raise LostError(f"{len(off)} products differ: {', '.join(off[:3])}")


def lacking(case: Case) -> str:
    with read_only_store(case, "training") as store:
        refused(case.run(store), "store=")
        return "refused"


def limited(case: Case) -> str:
    """No file may grow further: what a disk's quota on files does, without any right to mount."""
    case.copy("training")
    done = case.run(before=("prlimit", f"--fsize={1 << 20}"))
    case.empty()
    refused(done, "arge")
    return case.heal()


def quota(case: Case) -> str:
    """8 MiB for a user who may not exceed them, on a disk with room for all; needs Linux 6.6."""
    me = "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"
    with mounted(case.folder / "outputs", f"size={ROOM}m,usrquota,usrquota_block_hardlimit={8 << 20}"):
        case.copy("training")
        for path in [case.folder, *case.folder.rglob("*")]:
            os.chown(path, 65534, 65534, follow_symlinks=False)
        done = case.run(before=me, HOME=str(case.folder))
        if done.code == 0:
            raise UntriedError("the quota of a file system in memory does not bind here")
        case.empty()
        refused(done, "uota")
        return case.heal()
