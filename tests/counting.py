"""A stage for the tests of the pipeline: counts its runs, can be held up, can fail, resumes what an interrupted run left."""

from __future__ import annotations

import errno
import os
import resource
import sys
import time
from pathlib import Path
from typing import ClassVar

from limo import UserError
from limo.config import component, runtime
from limo.records import record
from limo.stage import Stage, main, summarise


@record
class Counted:
    """How far it counted."""

    steps: int


@component
class Counting(Stage):
    module: ClassVar[str] = "tests.counting"
    version: ClassVar[int] = 1
    products: ClassVar[tuple[str, ...]] = ("lines.txt",)

    steps: int = 3
    text: str = "x"
    source: Path | None = None
    gate: Path | None = runtime(default=None)
    """After two lines it waits for this file."""
    fail: str = runtime(default="")
    diary: Path = runtime(default=Path("/dev/null"))

    def run(self, folder: Path) -> None:
        if self.fail == "mistake":
            raise UserError("tests: the text does not fit; give another")
        if self.fail == "crash":
            raise RuntimeError("a defect")
        if self.fail == "die":
            os.abort()
        if self.fail == "leave":  # as a library does that takes SIGTERM for a good end
            sys.exit(0)
        if self.fail == "vanish":
            os._exit(0)
        if self.fail == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # files can be opened and hold nothing
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.fail == "limited":
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
            (folder / "large").write_bytes(bytes(8192))
        done = folder / "lines.txt"
        with done.open("a") as lines, self.diary.open("a") as diary:
            for step in range(len(done.read_text().splitlines()), self.steps):
                while step >= 2 and self.gate and not self.gate.exists():
                    time.sleep(0.01)
                lines.write(f"{self.text}{step}\n")
                lines.flush()
                diary.write(f"{self.text}{step}\n")
                diary.flush()
        summarise(folder, Counted(self.steps))


if __name__ == "__main__":
    main()
