"""`python -m limo fetch [overrides]`: everything that the same overrides of `python -m limo` read from repositories, into the cache.

Weights (those of attempts and judge too), data sets and benchmark files, where the run looks for them: then it needs no network.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from limo import UserError, tasks
from limo.config import Config, first_line
from limo.hub import Remote, origins
from limo.placement.disk import size
from limo.stage import Pending, Stage


def main(arguments: Sequence[str]) -> None:
    """One run, or with `-m` all of its runs. Raises UserError where something cannot be had."""
    parser = argparse.ArgumentParser(
        prog="python -m limo fetch",
        usage="%(prog)s [--list] [-m] [--config-dir FOLDER] [key=value …]",
        description="Download what a run or a sweep (-m) reads: models, data, benchmarks, judge.",
    )
    parser.add_argument("--list", action="store_true", help="only say what, how much and by which commands; offline")
    given, overrides = parser.parse_known_args(arguments)
    from limo.compose import compose, jobs

    wanted = list(dict.fromkeys(remote for words in jobs(overrides) for remote in needed(compose(words))))
    if not wanted:
        print("all that it reads lies in local files")
    elif given.list:
        print(listing(wanted))
    else:
        fetch(wanted)


def needed(config: Config) -> Iterator[Remote]:
    """What the stages of a run read from repositories."""
    stages: list[Stage] = []

    def note(name: str, stage: Stage) -> Path:
        if tasks.stage_name(name) in {*config.stages, *tasks.HELPERS}:
            stages.append(stage)
        return Pending.at(name)

    tasks.walk(config, note)
    return origins(stages)


def listing(wanted: Sequence[Remote]) -> str:
    """What is wanted, and how to bring it to a machine without network."""
    from huggingface_hub.constants import HF_HUB_CACHE

    rows = [("what", "commit", "kind", "size", "")]
    for one in wanted:
        bytes_, here = one.size(), one.cached() is not None
        told = "?" if bytes_ is None else size(bytes_) if here else f"~{size(bytes_)}"
        rows.append((name(one), (one.revision or one.commit() or "main")[:12], one.kind, told, "here" if here else ""))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
    absent = [one.by_hand for one in wanted if one.cached() is None]
    if not absent:
        return "\n".join([*table, "", "all of it is here"])
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    remedy = (
        "`python -m limo fetch` with the same words runs these. For a machine without network run either where there is one, and "
        f"copy {HF_HUB_CACHE} and {cache}/limo to the same places there, or set HF_HOME and XDG_CACHE_HOME to where they are."
    )
    return "\n".join([*table, "", *absent, "", remedy])


def fetch(wanted: Sequence[Remote]) -> None:
    """Download what is not here. Raises UserError, before anything is downloaded wherever that can be known."""
    absent = [one for one in wanted if one.cached() is None]
    refused: dict[str, list[str]] = {}
    for one in absent:
        if refusal := one.refusal():
            refused.setdefault(refusal, []).append(one.address)
    if refused:
        told = "; ".join(f"{', '.join(dict.fromkeys(names))}: {refusal}" for refusal, names in refused.items())
        raise UserError(f"{told}; run it where there is network (--list names the commands)")
    try:
        _room(sum(one.ahead() or 0 for one in absent))
        for one in wanted:
            if one in absent:
                one.fetch()
            print(f"{name(one)}  {(one.commit() or '')[:12]}  {size(one.size() or 0)}")
    except OSError as error:
        raise UserError(f"{first_line(error)}; the same command goes on where this one ended") from None
    print(
        f"{len(absent)} of {len(wanted)} fetched, the others were here; HF_HUB_OFFLINE=1 keeps the run from asking the hub"
    )


def name(remote: Remote) -> str:
    """A repository, or a file of one."""
    path = getattr(remote, "path", None)
    return f"{remote.address}/{path}" if path else remote.address


def _room(wanted: int) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    place = Path(HF_HUB_CACHE)
    while not place.exists():
        place = place.parent
    if wanted > (free := shutil.disk_usage(place).free):
        raise UserError(
            f"{size(wanted)} are to be downloaded and {size(free)} are free in {HF_HUB_CACHE}; free some, or set HF_HOME"
        )
