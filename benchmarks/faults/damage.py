"""Damage to every kind of file that a run leaves: the same command makes again what is lost, and no number comes out wrong."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import moments
from benchmarks.faults.case import Case, Fault
from benchmarks.faults.ends import LostError, VoidError, again, last, no_traceback
from benchmarks.faults.road import RUN, Road
from limo.store.digests import SMALL

Harm = Callable[[Path], object]


def cut(path: Path) -> None:
    """Half of it, in the middle of a line."""
    size = path.stat().st_size
    with path.open("rb+") as handle:
        handle.truncate(size // 2 + (path.read_bytes()[size // 2 - 1] == 10))


def cut_at_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """A bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def edit(path: Path) -> None:
    """A digit after the middle becomes another; size and time stay as they were."""
    before, content = path.stat(), bytearray(path.read_bytes())
    found = re.compile(rb"[1-8]").search(content, len(content) // 2) or re.compile(rb"[1-8]").search(content)
    if found is None:
        raise VoidError(f"{path.name} holds no digit")
    content[found.start()] += 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def tear(path: Path) -> None:
    """The last line breaks off."""
    path.write_bytes(path.read_bytes()[:-9])


def pad(path: Path) -> None:
    """Zeros at the end, as after a power cut."""
    with path.open("ab") as handle:
        handle.write(bytes(512))


def scribble(path: Path) -> None:
    path.write_bytes(b"\xff{]\0 not what it was" * 9)


def age(path: Path) -> None:
    """All times a day ahead, as after a clock that went wrong."""
    for file in [path, *path.rglob("*")]:
        os.utime(file, (time.time() + 86400,) * 2, follow_symlinks=False)


HARMS: dict[str, Harm] = {
    "cut": cut,
    "cut at a line": cut_at_a_line,
    "emptied": empty,
    "a bit flipped": flip,
    "a digit edited, size and time kept": edit,
    "removed": remove,
    "its last line torn": tear,
    "zeros at its end": pad,
    "overwritten": scribble,
    "its times in the future": age,
}


@dataclass(frozen=True)
class Damage:
    """What is harmed in which ways, and which tasks are to be made after it."""

    what: str
    """Name in the run folder, `<task>/<file>`; below `store/`, a pattern in the store."""
    harms: str
    """Names of HARMS, `;` between them; a `!` marks those of the short form."""
    made: str = ""
    road: str = "whole"


DAMAGES = (
    Damage("data/problems.jsonl", "cut at a line; emptied; removed; a digit edited, size and time kept", "grades/lab"),
    Damage("data/solutions.jsonl", "cut; a digit edited, size and time kept", "solutions"),
    Damage("attempts/lab/attempts.jsonl", "cut; cut at a line; !a digit edited, size and time kept; removed", "grades/lab"),
    Damage("grades/lab/grades.jsonl", "cut at a line; a bit flipped; removed", "selection"),
    Damage("solutions/grades.jsonl", "cut; a digit edited, size and time kept", "selection"),
    Damage("selection/examples.jsonl", "cut at a line; a digit edited, size and time kept; removed"),
    Damage("training/model/model.safetensors", "cut; emptied; !a bit flipped; removed"),
    Damage("training/model/config.json", "a digit edited, size and time kept; emptied"),
    Damage("training/model/tokenizer.json", "cut"),
    Damage("training/model", "removed"),
    Damage("training/metrics.csv", "cut; removed"),
    Damage("training/summary.json", "emptied; removed"),
    Damage("evaluation/tuned/results.json", "cut; emptied; !a digit edited, size and time kept; removed"),
    Damage("evaluation/tuned/lab_main/answers.jsonl", "cut at a line; removed"),
    Damage("data/manifest.json", "emptied; overwritten; removed", "grades/lab"),
    Damage("attempts/lab/manifest.json", "!emptied; cut", "grades/lab"),
    Damage("attempts/lab/summary.json", "emptied; cut"),
    Damage("store/attempts/*[0-9a-f]", "removed", "grades/lab"),
    Damage("store", "removed; its times in the future"),
    Damage("store/*/*.lock", "overwritten", "grades/lab"),
    Damage("store/completions/*.jsonl", "its last line torn; zeros at its end; a bit flipped; overwritten; removed", "attempts/lab"),
    Damage("store/completions/*.jsonl", "!a digit edited, size and time kept; cut at a line", "attempts/lab"),
    Damage("store/tokens/*.json", "!cut; emptied; a digit edited, size and time kept", "training", "early"),
    Damage("store/training/*/checkpoints/newest/state", "cut; emptied; !a bit flipped; removed", road="broken"),
    Damage("store/training/*/checkpoints/step-*/state", "emptied", road="broken"),
    Damage("store/training/*/checkpoints/newest/rank-00000.json", "emptied; cut; removed", road="broken"),
    Damage("store/training/*.partial/metrics.csv", "emptied; cut; removed", road="broken"),
    Damage("store/training/*/stage.json", "cut", road="broken"),
    Damage("run/status.json", "emptied"),
    Damage("run/config.yaml", "overwritten"),
)  # fmt: skip


def faults() -> list[Fault]:
    found = []
    for damage in DAMAGES:
        for harm in damage.harms.split("; "):
            name = harm.removeprefix("!")
            found.append(Fault("damage", f"{damage.what} {name}", _tried(damage, name), damage.road, harm != name))
    for harm in ("emptied", "a digit edited, size and time kept"):
        found.append(Fault("damage", f"store/digests/* {harm}", _forgotten(harm)))
    return [*found, Fault("damage", "the store removed while training", lose_the_store, "early")]


def _tried(damage: Damage, harm: str) -> Callable[[Case], str]:
    def harmed(case: Case) -> str:
        case.copy(*damage.made.split())
        paths = places(case, damage.what)
        if not paths:
            raise VoidError(f"there is no {damage.what}")
        for path in paths:
            HARMS[harm](path)
        return case.heal()

    return harmed


def _forgotten(harm: str) -> Callable[[Case], str]:
    """What is remembered of a file so large that it is read once is lost or another: the file is read again."""

    def forgotten(case: Case) -> str:
        row = '{"question": "%s What is %d + 1?", "answer": "%d"}\n'
        pool = case.folder / "pool.jsonl"
        pool.write_text("".join(row % ("So. " * (SMALL // 16), i, i + 1) for i in range(5)), encoding="utf-8")
        words = ("data=files", f"data.path={pool}", "stages=[data]", "hydra.run.dir=outputs/own")
        first = case.run(words=words)
        if not (remembered := list(case.store.glob("digests/*"))):
            raise VoidError(f"nothing was remembered: {last(first.text)}")
        for path in remembered:
            HARMS[harm](path)
        done = case.run(words=words)
        no_traceback(done)
        if done.code or again(done.text) != "nothing":
            raise LostError(f"exit code {done.code}: {last(done.text)}")
        return again(done.text)

    return forgotten


def places(case: Case, what: str) -> list[Path]:
    """The files that are meant; of a checkpoint, those that hold its tensors."""
    first, _, rest = what.partition("/")
    if first == "run":
        return [case.folder / RUN / rest]
    if first != "store":
        return [case.folder / RUN / what]
    if not rest:
        return [case.store]
    if "checkpoints" not in rest:
        return sorted(case.store.glob(rest))
    found = sorted(case.store.glob(rest.replace("newest", "step-*")))
    return found[-1:] if "newest" in rest else found


def lose_the_store(case: Case) -> str:
    """Somebody tidies up."""
    case.copy("training")
    running = case.start()
    moments.reach(case, running, moments.step(4), "step 4")
    shutil.rmtree(case.store)
    running.wait()
    return case.heal()


def break_off(early: Road, folder: Path) -> Road:
    """A training that was killed after its second checkpoint, to be damaged; whole, it would be as in `early`."""
    case = Case(folder, early, {})
    case.copy("training")
    running = case.start()
    moments.reach(case, running, moments.step(8), "step 8")
    running.process.kill()
    running.wait()
    case.empty()
    return Road(early.words, folder, early.products)
