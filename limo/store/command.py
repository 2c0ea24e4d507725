"""`python -m limo store verify [folder]`: read every result of a store again, and set aside what is not what was stored."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from limo import StageError, UserError
from limo.store.digests import Digests
from limo.store.store import DAMAGED, PARTIAL, fault, set_aside

RESULT = re.compile(rf"[0-9a-f]{{20}}({re.escape(PARTIAL)}|{re.escape(DAMAGED)})?")


def main(arguments: Sequence[str]) -> None:
    """Raises StageError where a result is damaged, UserError where there is no store."""
    parser = argparse.ArgumentParser(
        prog="python -m limo store verify",
        description="Read every byte of every result again. What is not what was stored is set aside as <key>.damaged, so "
        "that the next run that needs it makes it again.",
    )
    parser.add_argument("verb", choices=["verify"])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("outputs/.store"), help="(default: outputs/.store)"
    )
    print(verify(parser.parse_args(arguments).folder))


def verify(root: Path) -> str:
    """Check every result below a store's folder; what to say when all is well."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the folder of a store, such as outputs/.store")
    found = sorted(p for p in root.glob("*/*") if p.is_dir() and RESULT.fullmatch(p.name))
    whole = [p for p in found if p.suffix not in (PARTIAL, DAMAGED)]
    damaged = [p for p in whole if (why := fault(p, Digests())) and set_aside(p, why)]
    left = {kind: sum(p.suffix == kind for p in found) for kind in (PARTIAL, DAMAGED)}
    said = f"{len(whole)} results; {left[PARTIAL]} unfinished, {left[DAMAGED]} set aside earlier"
    if damaged:
        raise StageError(f"{len(damaged)} of {said}; a run that needs one of the damaged makes it again")
    return f"{said}; every byte of the results is what was stored"
