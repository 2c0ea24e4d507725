"""`python -m limo report outputs/<name> [outputs/…] [--out page.html]`: the table, and the page over all runs below
these folders.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from limo.report import PAGE, publish


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there is nothing to report on."""
    parser = argparse.ArgumentParser(
        prog="python -m limo report", description="Tables, curves and a web page over runs."
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folder of a run or of a sweep, such as outputs/lab")
    parser.add_argument("--out", type=Path, help=f"the page or the folder for it (default: {PAGE} in the first folder)")
    parser.add_argument("--against", help="strategy or setting that others are compared with (default: random)")
    given = parser.parse_args(arguments)
    print(publish(given.folders, given.out or given.folders[0], given.against))
