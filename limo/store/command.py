"""`python -m limo store`: what lies in a store and which runs use it; every byte read again; what no run uses removed.

sizes     results and bytes by stage, and what no run uses (the default)
list      each result, with its size, when it was last used, and the runs that use it
verify    read every byte again; what is not what was stored is set aside, to be made again
prune     name the results that no run uses for some time; with --yes remove them
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from limo import StageError, UserError
from limo.spelling import meant
from limo.store.digests import Digests
from limo.store.store import DAMAGED, PARTIAL, fault, set_aside
from limo.store.usage import GONE, RESULT, Held, beside, held, is_store, remove, unused
from limo.terminal import table

VERBS = ("sizes", "list", "verify", "prune")
STORE = Path("outputs/.store")
UNITS = {"h": 3600, "d": 86400, "w": 604800}
KINDS = {"": "", PARTIAL: "unfinished", DAMAGED: "set aside", GONE: "half removed"}


def main(arguments: Sequence[str]) -> None:
    """Raises StageError where a result is damaged, UserError where there is no store, or none of the runs that use it."""
    parser = argparse.ArgumentParser(
        prog="python -m limo store", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", nargs="?", help=f"{', '.join(VERBS)} (default: sizes)")
    parser.add_argument("folder", nargs="?", help=f"(default: {STORE})")
    parser.add_argument(
        "--runs",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="where the runs are that may use it; may be repeated (beside it)",
    )
    parser.add_argument(
        "--older", default="30d", metavar="AGE", help="prune: not used for so long, 12h, 30d, 8w (%(default)s)"
    )
    parser.add_argument(
        "--unfinished", action="store_true", help="prune: results that were broken off too, checkpoints included"
    )
    parser.add_argument("--yes", action="store_true", help="prune: remove what it names")
    given = parser.parse_intermixed_args(arguments)
    verb, root = asked(given.verb, given.folder)
    if verb == "verify":
        print(verify(root))
        return
    seconds, below = age(given.older), given.runs or [root.absolute().parent]
    for folder in below:
        if not folder.is_dir():
            raise UserError(f"--runs {folder}: no such folder; give the folders below which the runs are")
    results = held(root, below)
    if verb == "prune":
        print(prune(root, results, below, time.time() - seconds, given.older, given.unfinished, given.yes))
    else:
        print(sizes(root, results) if verb == "sizes" else listed(results))


def asked(verb: str | None, folder: str | None) -> tuple[str, Path]:
    """The verb and the store; a word alone that is no verb but a folder is the store. Raises UserError where it is none."""
    if verb and verb not in VERBS:
        if folder or not Path(verb).is_dir():
            near = meant(verb, VERBS)
            raise UserError(f"{verb}: neither a verb nor a folder{near}; the verbs are {', '.join(VERBS)}")
        verb, folder = None, verb
    root = Path(folder or STORE)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the folder of a store, such as {STORE}")
    if is_store(root) or not any(root.iterdir()):  # a new one is empty
        return verb or "sizes", root
    places = [place for above in (root, *root.absolute().parents) for place in (above / STORE.name, above)]
    found = next((place for place in places if place.is_dir() and is_store(place)), None)
    near = f"did you mean {found}?" if found else f"give the folder of one, such as {STORE}"
    raise UserError(f"{root}: is no store, for it holds no results by stage and key; {near}")


def verify(root: Path) -> str:
    """Check every result below a store's folder; what to say when all is well."""
    found = sorted(p for p in root.glob("*/*") if p.is_dir() and RESULT.fullmatch(p.name))
    whole = [p for p in found if not p.suffix]
    damaged = [p for p in whole if (why := fault(p, Digests())) and set_aside(p, why)]
    left = {kind: sum(p.suffix == kind for p in found) for kind in (PARTIAL, DAMAGED)}
    said = f"{len(whole)} results; {left[PARTIAL]} unfinished, {left[DAMAGED]} set aside earlier"
    if damaged:
        raise StageError(f"{len(damaged)} of {said}; a run that needs one of the damaged makes it again")
    return f"{said}; every byte of the results is what was stored"


def sizes(root: Path, results: Sequence[Held]) -> str:
    """Results and bytes by stage, those that no run uses beside; then what is kept between runs."""
    rows = [
        [stage, *_counts([r for r in results if r.stage == stage])] for stage in dict.fromkeys(r.stage for r in results)
    ]
    shown = table(["stage", "results", "of them used by no run", "not whole"], [*rows, ["together", *_counts(results)]])
    kept = ", ".join(f"{name} {size(count)}" for name, count in beside(root).items())
    return f"{shown}\nkept for later runs: {kept}" if kept else shown


def _counts(results: Sequence[Held]) -> list[str]:
    whole = [one for one in results if not one.kind]
    groups = (whole, [one for one in whole if not one.runs], [one for one in results if one.kind])
    return [f"{len(group):,}, {size(sum(one.bytes for one in group))}" if group else "—" for group in groups]


def listed(results: Iterable[Held]) -> str:
    """A row for each result, the largest first."""
    rows = [
        [one.name, KINDS[one.kind] or _names(one.runs), size(one.bytes), _ago(time.time() - one.used)]
        for one in sorted(results, key=lambda one: -one.bytes)
    ]
    return table(["result", "used by", "size", "last used"], rows, words=2) or "no results"


def prune(
    root: Path, results: Sequence[Held], below: Sequence[Path], before: float, older: str, unfinished: bool, yes: bool
) -> str:
    """Name what no run uses since a time, or remove it. Raises UserError where no run is found at all: then all would go."""
    where = ", ".join(map(str, below))
    if results and not any(one.runs for one in results):
        raise UserError(
            f"{root}: no run below {where} uses it; say where its runs are with --runs, once for each folder"
        )
    chosen = unused(results, before, unfinished)
    if not chosen:
        return f"nothing to remove: every result is used by a run below {where}, or was in the last {older}"
    if not yes:
        total = size(sum(one.bytes for one in chosen))
        return f"{listed(chosen)}\n{_results(chosen)}, {total}, that no run below {where} uses; nothing is removed without --yes"
    stay = {one.name: why for one in chosen if (why := remove(one))}
    freed = [one for one in chosen if one.name not in stay]
    said = [f"{name} stays: {why}" for name, why in stay.items()]
    return "\n".join([*said, f"{_results(freed)} removed, {size(sum(one.bytes for one in freed))}"])


def age(words: str) -> float:
    """Seconds of `12h`, `30d`, `8w`. Raises UserError."""
    if not (match := re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", words)):
        raise UserError(f"--older {words}: write hours, days or weeks as 12h, 30d, 8w")
    return float(match[1]) * UNITS[match[2]]


def size(count: float) -> str:
    """`73.6 GiB`, `12 KiB`."""
    for unit, width in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if count >= width:
            return f"{count / width:.1f} {unit}"
    return f"{count / 1024:.0f} KiB"


def _ago(seconds: float) -> str:
    return f"{seconds / 86400:.0f} d ago" if seconds >= 86400 else f"{max(0.0, seconds) / 3600:.1f} h ago"


def _results(of: Sequence[Held]) -> str:
    return f"{len(of):,} result{'' if len(of) == 1 else 's'}"


def _names(runs: Sequence[Path]) -> str:
    more = f" and {len(runs) - 2} more" if len(runs) > 2 else ""
    return ", ".join(run.name for run in runs[:2]) + more if runs else "no run"
