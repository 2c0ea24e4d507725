"""A run or a sweep with all its results in one file, for another machine: unpacked in a folder `outputs` its report can be made and
the same commands find its results in `outputs/.store`.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from limo.records import replacing

STORE = PurePosixPath(".store")


def pack(folder: Path, out: Path) -> str:
    """Write the runs at or below `folder` and, once each, the results that they link to; what to do with the file."""
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
