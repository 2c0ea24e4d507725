"""Try every fault on a copy of a run that nothing disturbed, two at a time; print what survived. Exit code 1 where anything did not.

python -m benchmarks.faults [--short] [--only <words of a name>] [group …]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import damage, disks, inputs, models, recipes, sharing, signals, texts
from benchmarks.faults.case import Case, Fault, marked
from benchmarks.faults.ends import LostError, UntriedError, VoidError
from benchmarks.faults.road import EARLY, WORDS, ZERO, Road, lay

AGAIN = 3
"""Times that a fault is tried whose moment is not hit."""
SURVIVED, LOST, VOID, UNTRIED = "survived", "lost", "void", "not tried"


@dataclass(frozen=True)
class Outcome:
    """What became of one fault."""

    fault: Fault
    state: str
    note: str
    steps: int = 0
    answers: int = 0


def every() -> list[Fault]:
    modules = (signals, damage, disks, sharing, texts, recipes, models, inputs)
    return [fault for module in modules for fault in module.faults()]


def attempt(fault: Fault, roads: dict[str, Road], where: Path) -> Outcome:
    """Try a fault in a folder of its own, again where its moment was not hit."""
    for _ in range(AGAIN):
        case = Case(Path(tempfile.mkdtemp(dir=where)), roads[fault.road], roads)
        case.folder.chmod(0o755)
        try:
            note = fault.how(case)
            case.empty()
            return Outcome(fault, SURVIVED, note, case.steps, case.answers)
        except VoidError as missed:
            outcome = Outcome(fault, VOID, str(missed))
        except UntriedError as reason:
            return Outcome(fault, UNTRIED, str(reason))
        except LostError as loss:
            return Outcome(fault, LOST, str(loss))
        except Exception:
            return Outcome(fault, LOST, f"the bench itself failed: {traceback.format_exc()}")
        finally:
            end(case.folder)
            shutil.rmtree(case.folder, ignore_errors=True)
    return outcome


def try_all(faults: list[Fault], roads: dict[str, Road], where: Path, jobs: int) -> list[Outcome]:
    """The outcome of each fault, told as it comes. What was started ends with the bench."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            tried = [pool.submit(attempt, fault, roads, where) for fault in faults]
            for done in as_completed(tried):
                outcome = done.result()
                print(f"{outcome.state:<9} {outcome.fault.group}: {outcome.fault.name}  [{outcome.note}]", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            end(where)
            raise
    return [done.result() for done in tried]


def end(where: Path) -> None:
    """Kill what was started in folders below this one."""
    for process in marked(str(where)):
        process.kill()


def references(where: Path, wanted: set[str]) -> dict[str, Road]:
    """The runs that nothing disturbs."""
    roads = {"whole": lay(WORDS, where / "whole")}
    roads["early"] = lay((*WORDS, *EARLY), where / "early", roads["whole"])
    if "broken" in wanted:
        roads["broken"] = damage.break_off(roads["early"], where / "broken")
    if "zero" in wanted:
        roads["zero"] = lay((*WORDS, *ZERO), where / "zero", roads["early"])
    return roads


def table(outcomes: list[Outcome]) -> str:
    """Counts by group; then each fault that did not survive, was not hit or could not be tried; then the work done twice."""
    groups = list(dict.fromkeys(outcome.fault.group for outcome in outcomes))
    lines = [f"{'group':<34} tried survived lost void not tried"]
    total: Counter[str] = Counter()
    for group in [*groups, "all"]:
        states = Counter(o.state for o in outcomes if group in (o.fault.group, "all"))
        counts = [states[SURVIVED] + states[LOST], *(states[name] for name in (SURVIVED, LOST, VOID, UNTRIED))]
        lines.append(f"{group:<34} {counts[0]:5} {counts[1]:8} {counts[2]:4} {counts[3]:4} {counts[4]:9}")
        total = states
    for state in (LOST, VOID, UNTRIED):
        lines += [f"{state}: {o.fault.group}: {o.fault.name}: {o.note}" for o in outcomes if o.state == state]
    steps, answers = max((o.steps for o in outcomes), default=0), sum(o.answers for o in outcomes)
    lines.append(f"work done twice: at most {steps} training steps after a fault, {answers} answers in all")
    lines.append(f"{total[SURVIVED]} of {total[SURVIVED] + total[LOST]} survived")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help="beginnings of the names of groups; all without any")
    parser.add_argument("--short", action="store_true", help="the covering few that continuous integration runs")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--jobs", type=int, default=2, help="faults tried at a time")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # whoever started the bench may ignore them
        signal.signal(number, signal.default_int_handler)
    begun = time.monotonic()
    chosen = [
        fault
        for fault in every()
        if (fault.short or not given.short)
        and (not given.groups or fault.group.startswith(tuple(given.groups)))
        and given.only in fault.name
    ]
    with tempfile.TemporaryDirectory(prefix="limo-faults-") as name:
        Path(name).chmod(0o755)  # another user will look into it
        roads = references(Path(name), {fault.road for fault in chosen})
        outcomes = try_all(chosen, roads, Path(name), given.jobs)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = children.ru_utime + children.ru_stime
    print(f"\n{table(outcomes)}\n{time.monotonic() - begun:.0f} s, of a processor {spent:.0f} s")
    sys.exit(any(outcome.state == LOST for outcome in outcomes))


if __name__ == "__main__":
    main()
