"""Signals at every stage and moment, to every kind of process: the same command again gives the same bytes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM

import psutil

from benchmarks.faults import moments
from benchmarks.faults.case import Case, Fault, Running
from benchmarks.faults.ends import Done, LostError, VoidError, again, no_traceback
from benchmarks.faults.moments import Moment, answered, at_work, said, step, there

PAUSE = 10.0
"""Seconds that a process is stopped: longer than the limit of an item to be graded."""
ENDS = {SIGTERM: (143,), SIGINT: (130,), SIGHUP: (-SIGHUP, 129), SIGKILL: (-SIGKILL,)}
"""Exit codes of a command that gets a signal itself."""


@dataclass(frozen=True)
class Strike:
    """One signal: which stages are to be made, when it comes, to whom."""

    tasks: str
    """Those whose results the case lacks."""
    moment: str
    victim: str
    how: str
    """`KILL`, `TERM`, `INT`, `INT INT`, `HUP`, or `STOP` for a pause."""
    short: bool = False


MOMENTS: dict[str, Moment] = {
    "data starts": at_work("stage"),
    "attempts start": at_work("stage"),
    "engine loads": at_work("engine"),
    "3 answers are there": answered(3),
    "a worker starts": at_work("worker"),
    "a worker is ready": moments.ready,
    "selection starts": at_work("stage"),
    "training starts": said("training …"),
    "ranks start": at_work("rank"),
    "step 2": step(2),
    "step 5": step(5),
    "a checkpoint is written": there("training/*.partial/checkpoints/step-*.partial"),
    "the model is exported": there("training/*.partial/model.partial"),
    "the model is there": there("training/*.partial/model"),
    "the second evaluation": said("evaluation/tuned …"),
    "the report": said("evaluation/tuned: "),
}
SHORT_LIVED = {"a checkpoint is written", "the model is exported"}
"""Moments so soon over that the stage is stopped at them until the signal is sent."""
STRIKES = (
    Strike("data", "data starts", "stage", "KILL"),
    Strike("data", "data starts", "command", "TERM"),
    Strike("attempts/lab completions", "engine loads", "engine", "KILL"),
    Strike("attempts/lab completions", "3 answers are there", "engine", "KILL", short=True),
    Strike("attempts/lab completions", "3 answers are there", "engine", "TERM"),
    Strike("attempts/lab completions", "3 answers are there", "command", "KILL"),
    Strike("attempts/lab completions", "3 answers are there", "stage", "STOP"),
    Strike("attempts/lab completions", "attempts start", "command", "INT"),
    Strike("grades/lab", "a worker starts", "worker", "KILL"),
    Strike("grades/lab", "a worker is ready", "worker", "KILL", short=True),
    Strike("grades/lab", "a worker is ready", "worker", "TERM"),
    Strike("grades/lab", "a worker is ready", "worker", "STOP"),
    Strike("grades/lab", "a worker is ready", "stage", "KILL"),
    Strike("grades/lab", "a worker is ready", "command", "INT"),
    Strike("solutions", "a worker is ready", "stage", "TERM"),
    Strike("selection", "selection starts", "stage", "KILL"),
    Strike("selection", "selection starts", "command", "HUP"),
    Strike("training", "training starts", "command", "TERM"),
    Strike("training", "step 2", "stage", "KILL"),
    Strike("training", "step 5", "stage", "TERM", short=True),
    Strike("training", "step 5", "stage", "INT"),
    Strike("training", "step 5", "stage", "HUP"),
    Strike("training", "step 5", "stage", "STOP"),
    Strike("training", "step 5", "command", "KILL", short=True),
    Strike("training", "step 5", "command", "TERM"),
    Strike("training", "step 5", "command", "INT"),
    Strike("training", "step 5", "command", "INT INT"),
    Strike("training", "step 5", "command", "HUP"),
    Strike("training", "step 5", "command", "STOP"),
    Strike("training", "a checkpoint is written", "stage", "KILL", short=True),
    Strike("training", "a checkpoint is written", "command", "TERM"),
    Strike("training", "the model is exported", "stage", "KILL"),
    Strike("training", "the model is exported", "command", "INT"),
    Strike("training", "the model is there", "stage", "TERM"),
    Strike("evaluation/base evaluation/tuned completions", "engine loads", "engine", "TERM"),
    Strike("evaluation/base evaluation/tuned completions", "3 answers are there", "stage", "KILL"),
    Strike("evaluation/tuned", "a worker is ready", "worker", "KILL"),
    Strike("evaluation/tuned", "a worker is ready", "stage", "TERM"),
    Strike("evaluation/tuned", "the second evaluation", "command", "KILL"),
    Strike("evaluation/tuned", "the report", "command", "KILL"),
    Strike("evaluation/tuned", "the report", "command", "INT INT"),
)
ON_TWO_RANKS = (
    Strike("training", "ranks start", "rank", "KILL"),
    Strike("training", "step 5", "rank", "KILL"),
    Strike("training", "step 5", "rank", "TERM", short=True),
    Strike("training", "step 5", "second rank", "TERM"),
    Strike("training", "step 5", "torchrun", "TERM"),
    Strike("training", "step 5", "torchrun", "KILL"),
    Strike("training", "step 5", "command", "TERM"),
    Strike("training", "step 5", "command", "INT INT"),
)


def faults() -> list[Fault]:
    found = []
    for road, strikes in (("whole", STRIKES), ("zero", ON_TWO_RANKS)):
        for strike in strikes:
            early = "early" if road == "whole" and strike.tasks == "training" else road
            name = f"{strike.how} to the {strike.victim}: {strike.tasks.split()[0]}, {strike.moment}"
            found.append(
                Fault("signals" if road == "whole" else "signals, two ranks", name, _tried(strike), early, strike.short)
            )
    return found


def _tried(strike: Strike) -> Callable[[Case], str]:
    return lambda case: hit(case, strike)


def hit(case: Case, strike: Strike) -> str:
    """Bring a signal about, look how the command takes it, and run it again where it ended."""
    case.copy(*strike.tasks.split())
    running = case.start()
    come = moments.hold if strike.moment in SHORT_LIVED else moments.reach
    held = come(case, running, MOMENTS[strike.moment], strike.moment)
    send(running, strike)
    moments.resume(held or [])
    done = running.wait()
    case.empty()
    took_it_well(done, strike)
    if done.code == 0:
        case.same()
        return f"went on; {again(done.text)}"
    return case.heal()


def send(running: Running, strike: Strike) -> None:
    found = moments.find(running, strike.victim.removeprefix("second "))
    number = int(strike.victim.startswith("second"))
    if len(found) <= number:
        raise VoidError(f"no {strike.victim} any more")
    victim = sorted(found, key=lambda process: process.pid)[number]
    try:
        for word in strike.how.split():
            victim.send_signal(signal.Signals[f"SIG{word}"])
        if strike.how == "STOP":
            time.sleep(PAUSE)
            victim.send_signal(signal.SIGCONT)
    except psutil.NoSuchProcess:
        raise VoidError(f"the {strike.victim} had ended") from None


def took_it_well(done: Done, strike: Strike) -> None:
    """Raise LostError where a command says or does what nobody expects of it after this signal."""
    if strike.how != "KILL":
        no_traceback(done)
    if strike.how == "STOP" and done.code:
        raise LostError(f"a pause ended it with {done.code}")
    if done.code == 0:
        return
    number = signal.Signals[f"SIG{strike.how.split()[0]}"]
    if strike.victim == "command" and done.code not in ENDS[number]:
        raise LostError(f"exit code {done.code} in place of {ENDS[number][0]}")
