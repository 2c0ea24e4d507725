"""`python -m limo export outputs/<name> --pack <name>.tar`: a run or a sweep with all its results in one file, for another machine.

Unpacked in a folder `outputs`, its report can be made and the same commands find its results in `outputs/.store`.
"""

from __future__ import annotations

import argparse
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from limo import UserError
from limo.records import replacing
from limo.report.runs import find

STORE = PurePosixPath(".store")


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there is no run, one whose results are gone or damaged, or no room for the file."""
    parser = argparse.ArgumentParser(prog="python -m limo export", description="Take runs to another machine.")
    parser.add_argument("folder", type=Path, help="folder of a run or of a sweep, such as outputs/lab")
    parser.add_argument("--pack", type=Path, required=True, metavar="FILE", help="a .tar, or .tar.gz, to write")
    given = parser.parse_args(arguments)
    try:
        print(pack(given.folder, given.pack))
    except OSError as error:
        raise UserError(f"{error.filename or given.pack}: {error.strerror}; give another file with --pack") from None


def pack(folder: Path, out: Path) -> str:
    """Write the runs at or below `folder` and, once each, the results that they link to; what to do with the file."""
    find([folder])  # refuses what is not whole
    folder = folder.absolute()
    mode = "w:gz" if out.name.endswith("gz") else "w"
    taken: set[PurePosixPath] = set()
    with replacing(out) as fresh, tarfile.open(fresh, mode) as tar:  # type: ignore[call-overload]
        for path in _below(folder):
            name = PurePosixPath(folder.name) / path.relative_to(folder).as_posix()
            if not (path.is_symlink() and path.is_dir()):
                tar.add(path, name, recursive=False)
                continue
            result = path.resolve()
            place = STORE / result.parent.name / result.name
            link = tarfile.TarInfo(str(name))
            link.type, link.linkname = tarfile.SYMTYPE, os.path.relpath(place, name.parent)
            tar.addfile(link)
            if place not in taken:
                tar.add(result, str(place))
                taken.add(place)
    return f"{out}: {len(taken)} results, {out.stat().st_size / 2**20:.1f} MiB; unpack with: tar -xf {out} -C outputs"


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder, links not followed; what a sweep that still runs keeps there is left out."""
    for place, below, files in os.walk(folder):
        here = Path(place)
        below[:] = sorted(name for name in below if not name.startswith(".sweep"))
        yield from (here / name for name in below if (here / name).is_symlink())
        yield from (here / name for name in sorted(files))
