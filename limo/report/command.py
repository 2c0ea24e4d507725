"""`python -m limo report outputs/<name> [outputs/…] [--out page.html]`: the table, and the page over all runs below
these folders.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from limo.report import PAGE, read, table, write


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there is nothing to report on."""
    parser = argparse.ArgumentParser(
        prog="python -m limo report", description="Tables, curves and a web page over runs."
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folder of a run or of a sweep, such as outputs/lab")
    parser.add_argument("--out", type=Path, help=f"the page or the folder for it (default: {PAGE} in the first folder)")
    given = parser.parse_args(arguments)
    settings = read(given.folders)
    page = write(settings, given.out or given.folders[0])
    print(f"{table(settings)}\n\nreport: {os.path.relpath(page)}")
