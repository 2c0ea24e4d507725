"""One store and several who use it: two runs, two sweeps, a user who may only read, folders that were moved."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile

from benchmarks.faults import moments
from benchmarks.faults.case import Case, Fault
from benchmarks.faults.disks import same_results
from benchmarks.faults.ends import Done, LostError, UntriedError, again, last, no_traceback, refused
from benchmarks.faults.road import RUN
from limo.products import differences, products
from limo.records import Problem, read

SWEEP = ("-m", "selection=limo,random", "stages=[data,attempts,selection]")
READER = "dac_read_search"
"""A right to read every file, wherever the interpreter and its libraries lie, and to write none."""
NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *(
        f"--inh-caps=+{READER}",
        f"--ambient-caps=+{READER}",
        "env",
    ),  # setpriv itself may still start what its user may not
)


def faults() -> list[Fault]:
    cases = {
        "two runs at once": two_runs,
        "two sweeps at once": two_sweeps,
        "a sweep killed in its first run": killed_sweep,
        "another user, who can only read the store": reader,
        "outputs renamed": renamed,
        "outputs behind a link": behind_a_link,
        "a run folder moved alone, then reported": moved_alone,
        "a run packed and unpacked elsewhere": packed,
        "your own data edited, size and time kept": own_data,
    }
    return [
        Fault("sharing", name, how, "early" if how is two_runs else "whole", how is two_runs)
        for name, how in cases.items()
    ]


def succeeded(*done: Done) -> None:
    for one in done:
        no_traceback(one)
        if one.code:
            raise LostError(f"exit code {one.code}: {last(one.text)}")


def made_once(*done: Done) -> str:
    """Raise LostError where two commands both made a result; what they made."""
    made = [name for one in done for name in re.findall(r"^\S+: [\d.]+ s  (\S+)", one.text, re.MULTILINE)]
    if len(set(made)) < len(made):
        raise LostError(f"made twice: {', '.join(sorted(made))}")
    return f"{len(made)} results made, each once"


def two_runs(case: Case) -> str:
    case.copy("grades/lab", "selection", "training")
    both = [case.start(), case.start("hydra.run.dir=outputs/other")]
    done = [running.wait() for running in both]
    succeeded(*done)
    case.same()
    if off := differences(products(case.folder / "outputs/other"), case.road.products):
        raise LostError(f"{len(off)} products of the second run differ: {', '.join(off[:3])}")
    return made_once(*done)


def two_sweeps(case: Case) -> str:
    case.copy("grades/lab", "selection")
    done = [running.wait() for running in [case.start(*SWEEP), case.start(*SWEEP)]]
    succeeded(*done)
    case.tidy()
    return made_once(*done)


def killed_sweep(case: Case) -> str:
    case.copy("selection")
    running = case.start(*SWEEP)
    moments.reach(case, running, moments.said("selection …"), "the first selection")
    running.process.kill()
    running.wait()
    case.empty()
    done = case.run(*SWEEP)
    succeeded(done)
    case.tidy()
    return again(done.text)


def reader(case: Case) -> str:
    """A user who may read everything and write only into a folder of his own."""
    case.copy()
    home = case.folder / "home"
    home.mkdir()
    os.chown(home, 65534, 65534) if os.geteuid() == 0 else None
    try:
        can = subprocess.run(
            [*NOBODY, sys.executable, "-c", "import limo"], capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise UntriedError(f"setpriv: {error.strerror}") from None
    if can.returncode:
        raise UntriedError(f"nobody cannot use this installation: {last(can.stderr)}")
    store = case.folder / "store"
    case.store.rename(store)
    shutil.rmtree(case.folder / "outputs")
    (case.folder / "outputs").symlink_to(home)
    done = case.run(f"store={store}", before=NOBODY, HOME=str(home))
    same_results(case, done)
    return again(done.text)


def renamed(case: Case) -> str:
    case.copy()
    (case.folder / "outputs").rename(case.folder / "old")
    before = (case.folder / "old/run/results.csv").read_bytes()
    done = case.run(words=("report", "old/run"))
    succeeded(done)
    if (case.folder / "old/run/results.csv").read_bytes() != before:
        raise LostError("the report over the renamed folder is another")
    (case.folder / "old").rename(case.folder / "outputs")
    return case.heal()


def behind_a_link(case: Case) -> str:
    case.copy("selection")
    (case.folder / "outputs").rename(case.folder / "far")
    (case.folder / "outputs").symlink_to("far")
    return case.heal()


def moved_alone(case: Case) -> str:
    case.copy()
    alone = case.folder / "moved" / "run"
    shutil.copytree(case.folder / RUN, alone, symlinks=True)
    before = (alone / "report.html").read_bytes()
    done = case.run(words=("report", "moved/run"))
    refused(done)
    if (alone / "report.html").read_bytes() != before:
        raise LostError("the page that knew more was overwritten")
    return "refused"


def packed(case: Case) -> str:
    case.copy()
    succeeded(case.run(words=("export", str(RUN), "--pack", "run.tar")))
    shutil.rmtree(case.folder / "outputs")
    (case.folder / "outputs").mkdir()
    with tarfile.open(case.folder / "run.tar") as tar:
        tar.extractall(case.folder / "outputs", filter="data")
    return case.heal()


def own_data(case: Case) -> str:
    case.copy()
    pool = case.folder / "pool.jsonl"
    words = ("data=files", f"data.path={pool}", "stages=[data]", "hydra.run.dir=outputs/own")
    row = '{"question": "What is %d + 1?", "answer": "%d"}\n'
    pool.write_text("".join(row % (i, i + 1) for i in range(9)), encoding="utf-8")
    succeeded(case.run(words=words))
    old = pool.stat()
    pool.write_text("".join(row % (i, i + 2) if i == 4 else row % (i, i + 1) for i in range(9)), encoding="utf-8")
    os.utime(pool, ns=(old.st_atime_ns, old.st_mtime_ns))
    done = case.run(words=words)
    succeeded(done)
    golds = {
        problem.question: problem.gold for problem in read(case.folder / "outputs/own/data/problems.jsonl", Problem)
    }
    if (found := golds["What is 4 + 1?"].value) != "6":
        raise LostError(f"the file says 6 and the problem {found}")
    return again(done.text)
