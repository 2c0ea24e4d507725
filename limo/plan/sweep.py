"""What the runs of a sweep would take together: what several of them need is made, and counted, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limo.plan import TEXT, Plan
from limo.plan.text import hours, size
from limo.terminal import table

PEAK, ONCE = "checkpoints while training", "weights from the hub"
"""Needs of the disk that are gone when the next run starts, and that runs of one model share."""

NAMED = 3
"""Runs that a sentence about many of them names."""


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    words: tuple[str, ...]
    """Its overrides."""
    plan: Plan
    model: str | None
    """Path or hub id of the weights that it starts from."""
    identities: dict[str, str]
    """Task -> what tells it from the same task of another run: equal where the results are the same."""


def text(jobs: Sequence[Job]) -> str:
    """A row for each run, with what is left of it when the runs above are done; the sums; why a run would be refused."""
    head = ["run", "to do", "shared", "training", "answers", "disk"]
    seen, models, rows = set[str](), set[str | None](), []
    total, unknown, kept, peak = 0.0, False, 0.0, 0.0
    for job in jobs:
        open_ = [name for name, done in job.plan.tasks if not done]
        mine = {name for name in open_ if job.identities[name] not in seen}
        seen |= set(job.identities.values())
        parts = _training(job.plan, mine), _answers(job.plan, mine)
        unknown |= None in parts
        total += sum(part or 0.0 for part in parts)
        disk = _disk(job, mine, models)
        models.add(job.model)
        kept, peak = kept + disk, max(peak, job.plan.disk.get(PEAK, 0.0) if "training" in mine else 0.0)
        cells = [hours(part) if part != 0.0 else "" for part in parts]
        rows.append([_name(job, jobs), str(len(mine)), str(len(open_) - len(mine)), *cells, size(disk) if disk else ""])
    first = jobs[0].plan
    gpu = first.machine.smallest
    where = f"{first.machine.nodes * len(first.machine.gpus)} × {gpu.name}" if gpu else "this machine's processor"
    unit = "GPU hours" if gpu else "hours on the processor"
    known = f"{hours(total)} {unit}{' and what is not known (—)' if unknown else ''}"
    sums = f"together: {known}; disk {size(kept)}, and {size(peak)} while a training runs, of {size(first.free)} free"
    return "\n\n".join([f"{len(jobs)} runs, on {where}; {unit}", table(head, rows), sums, *_refused(jobs)])


def _training(plan: Plan, mine: set[str]) -> float | None:
    return plan.training.hours if plan.training and "training" in mine else 0.0


def _answers(plan: Plan, mine: set[str]) -> float | None:
    found = [one.hours for one in plan.generations if one.task in mine]
    return None if None in found else sum(value or 0.0 for value in found)


def _disk(job: Job, mine: set[str], models: set[str | None]) -> float:
    """Bytes that stay."""
    needs = job.plan.disk
    answers = TEXT * sum(one.tokens or 0.0 for one in job.plan.generations if one.task in mine)
    trained = sum(value for what, value in needs.items() if what not in (PEAK, ONCE, "answers"))
    weights = needs.get(ONCE, 0.0) if job.model not in models else 0.0
    return answers + weights + (trained if "training" in mine else 0.0)


def _name(job: Job, jobs: Sequence[Job]) -> str:
    """The overrides that not all runs have."""
    common = set.intersection(*(set(other.words) for other in jobs))
    return " ".join(word for word in job.words if word not in common) or "the run"


def _refused(jobs: Sequence[Job]) -> list[str]:
    found: dict[str, list[str]] = {}
    for job in jobs:
        for sentence in job.plan.refused:
            found.setdefault(sentence, []).append(_name(job, jobs))
    if not found:
        return []
    lines = [f"  {_who(who, len(jobs))}: {what}" for what, who in found.items()]
    return ["\n".join([f"Refused{'' if jobs[0].plan.seen else ' on this machine'}", *lines])]


def _who(names: Sequence[str], every: int) -> str:
    if len(names) == every:
        return "every run"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
