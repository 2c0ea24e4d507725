"""`python -m limo export outputs/<name>/<overrides>`: the examples of a run for other trainers, its model with a card, or all of it.

--as trl|llama-factory|sharegpt|parquet    the examples, with a dataset card
--model                                    the trained weights, with a card and the way to serve them
--pack lab.tar                             a run or a sweep with its results, for another machine
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from limo import UserError
from limo.export.examples import FORMATS, write_examples
from limo.export.model import write_model
from limo.export.pack import pack
from limo.report.runs import find


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there is no run, one whose results are gone or damaged, or no room for the file."""
    parser = argparse.ArgumentParser(
        prog="python -m limo export", description="Take runs, their examples or their model elsewhere."
    )
    parser.add_argument("folder", type=Path, help="folder of a run, with --pack of a sweep too, such as outputs/lab")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pack", type=Path, metavar="FILE", help="all of it: a .tar, or .tar.gz, to write")
    what.add_argument("--as", dest="form", choices=FORMATS, help="the chosen examples as this trainer reads them")
    what.add_argument("--model", action="store_true", help="the trained weights")
    parser.add_argument("--out", type=Path, help="folder to write (<folder>/export/<what>)")
    given = parser.parse_args(arguments)
    out = given.out or given.folder / "export" / (given.form or "model")
    find([given.folder])  # refuses what is not whole
    try:
        if given.pack:
            print(pack(given.folder, given.pack))
        elif given.form:
            print(write_examples(given.folder, given.form, out))
        else:
            print(write_model(given.folder, out))
    except OSError as error:
        place = error.filename or given.pack or out
        raise UserError(f"{place}: {error.strerror}; give another place with --pack or --out") from None
