"""A stage: a choice whose verb is `run(folder)`; each runs as its own process, `python -m limo.<stage> <folder>`, without Hydra."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, cast

from pydantic import TypeAdapter, WrapValidator

from limo import StageError, UserError
from limo.config import component, runtime
from limo.process import environment
from limo.records import LastWord, read_record, write_record
from limo.serial import dump, load

T = TypeVar("T")

SENTENCES = TypeAdapter(list[str])
REQUEST = "stage.json"
SUMMARY = "summary.json"
TOLD = "last_word.json"
"""A `LastWord`, where a stage's process ends early."""
END = "end"
"""A file by which a stage's parent asks its process to end: signals do not reach every rank on every machine."""
FULL = {errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EFBIG: "let files grow larger (ulimit -f)"}
"""Errors of what finds no room on a disk, and what mends them."""
MISSING = "--missing"
"""In place of the folder: a stage comes over standard input, what its Python lacks goes out."""


@dataclass(frozen=True)
class Pending:
    """What another task of the same run is still to make, in place of a path to it; no key and no request can hold one."""

    task: str
    identity: str = ""
    """What tells it from the same task of another run, where somebody asks."""

    @classmethod
    def at(cls, task: str, identity: str = "") -> Path:
        """Typed as the path that it stands for, as fields of the kind `Input` take it."""
        return cast(Path, cls(task, identity))

    def __truediv__(self, name: str) -> Pending:
        return replace(self, task=f"{self.task}/{name}")

    def fingerprint(self, digest: Callable[[Path], str]) -> str:
        if not self.identity:
            raise TypeError(f"{self.task} is still to be made: it has no fingerprint yet")
        return f"{self.task}@{self.identity}"


def pending(value: object) -> bool:
    """Whether something in a stage is still to be made."""
    if isinstance(value, Pending):
        return True
    if isinstance(value, Mapping):
        return any(map(pending, value.values()))
    return is_dataclass(value) and any(pending(getattr(value, f.name)) for f in fields(value))


def _awaited(value: object, check: Callable[[object], Path]) -> object:
    return value if isinstance(value, Pending) else check(value)


Input = Annotated[Path, WrapValidator(_awaited)]
"""A file or folder that an earlier task makes; `Pending` until then."""


@component
class Stage:
    """A kind of work. Fields are its config and inputs (a Path field counts by its content); `run` writes its product."""

    module: ClassVar[str]
    """Run as `python -m <module> <folder>`."""
    version: ClassVar[int]
    """Raised when the same inputs would give another result."""
    accelerated: ClassVar[bool] = False
    """Whether it computes on GPUs where there are some."""
    products: ClassVar[tuple[str, ...]]
    """Files and folders that a finished result has, beside `summary.json`."""

    store: Path = runtime(default=Path("outputs/.store"))
    """Where results lie, and beside them what stages keep between runs: completions, token ids."""

    @property
    def ranks(self) -> int:
        """How many processes torchrun starts on each machine; 1 on one machine runs the module directly."""
        return 1

    @property
    def nodes(self) -> int:
        """On how many machines it runs."""
        return 1

    @property
    def environment(self) -> dict[str, str]:
        """What its libraries are told by environment variables; what the user set there stays."""
        return {}

    @property
    def grace(self) -> float:
        """Seconds that it has to come to a point from which it goes on, when `END` asks it to; without any it is ended at once."""
        return 0.0

    def missing(self) -> list[str]:
        """What this machine lacks to run it, one sentence each; asked before any work."""
        return []

    def notes(self) -> list[str]:
        """What will go otherwise than one may expect, one sentence each; said before any work, and nothing is refused."""
        return []

    def run(self, folder: Path) -> None:
        """Make the product inside `folder`; what an interrupted run left there may be used. Writes `summary.json`."""
        raise NotImplementedError


def request(stage: Stage, folder: Path) -> None:
    """Write the work for a stage process into its folder."""
    (folder / REQUEST).write_text(json.dumps(dump(stage), indent=1, ensure_ascii=False), encoding="utf-8")


def lacks(stage: Stage, python: str) -> list[str]:
    """What a stage lacks, as the Python that will run it says: another one has other packages. One sentence each."""
    if shutil.which(python) in (None, shutil.which(sys.executable)):
        return stage.missing()
    given: dict[str, Any] = {f.name: _named(getattr(stage, f.name)) for f in fields(stage) if f.init}
    asked = json.dumps(dump(replace(stage, **given)))
    command = [python, "-m", stage.module, MISSING]
    child = subprocess.run(command, input=asked, env=environment(), capture_output=True, text=True, check=False)
    if not child.returncode:
        return SENTENCES.validate_json(child.stdout.splitlines()[-1])
    last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
    return [
        f"{python} cannot run {stage.module} ({last[:300]}); install this version of limo and what the stage needs there"
    ]


def _named(value: object) -> object:
    """A field of a stage with the names of tasks in place of what they are still to make."""
    if isinstance(value, Mapping):
        return {name: _named(one) for name, one in value.items()}
    return Path(value.task) if isinstance(value, Pending) else value


def summarise(folder: Path, summary: object) -> None:
    """Write what a stage did (counts, shares, times) as `summary.json`, a record of `limo.records`; its last word."""
    write_record(folder / SUMMARY, summary)


def summary(folder: Path, kind: type[T]) -> T:
    """What a finished stage said of itself. Raises UserError where it said nothing."""
    return read_record(folder / SUMMARY, kind)


def tell(folder: Path, code: int, sentence: str) -> bool:
    """Leave the sentence with which a stage ends for its parent; on a full disk at least the empty file, which says as much.

    Whether this process was the one to say it: of several ranks the first is heard.
    """
    try:
        with (folder / TOLD).open("x", encoding="utf-8") as handle, suppress(OSError):
            json.dump(dataclasses.asdict(LastWord(code, sentence)), handle)
    except OSError:
        return False
    return True


def last_word(folder: Path) -> LastWord | None:
    """What the stage's process said when it ended early."""
    path = folder / TOLD
    if not path.is_file():
        return None
    if not path.stat().st_size:
        return LastWord(2, f"{folder}: {os.strerror(errno.ENOSPC)}; make room and run the same command again")
    return read_record(path, LastWord)


def main() -> None:
    """Entry point of every stage process.

    Exit code 0 done, 2 the user's mistake (one sentence), 143 told to end (one sentence), 1 a defect (traceback).
    """
    if sys.argv[1:] == [MISSING]:
        asked: Stage = load(json.load(sys.stdin))
        print(json.dumps(asked.missing()))
        return
    folder = Path(*sys.argv[1:])
    if len(sys.argv) != 2 or not (folder / REQUEST).is_file():
        name = Path(sys.argv[0]).parent.name
        print(
            f"limo: python -m limo.{name} is the {name} stage as a run starts it, on a folder that holds {REQUEST}; "
            f"use python -m limo stages=[…], and python -m limo --help names every command",
            file=sys.stderr,
        )
        sys.exit(2)
    first = os.environ.get("RANK", "0") == "0"
    _log(folder, first)
    try:
        stage = load(json.loads((folder / REQUEST).read_text(encoding="utf-8")))
        stage.run(folder)
    except UserError as mistake:
        if first:
            tell(folder, 2, str(mistake))
        sys.exit(2)
    except StageError as ended:
        tell(folder, ended.code, str(ended))
        sys.exit(ended.code)
    except SystemExit as ended:  # no stage ends so: a library, told by SIGTERM to end, may call that success
        sys.exit(ended.code or 143)
    except Exception as error:
        if sentence := _of_the_disk(error, folder):
            tell(folder, 2, sentence)
            sys.exit(2)
        logging.getLogger(__name__).error(traceback.format_exc())
        sys.exit(1)


def _log(folder: Path, first: bool) -> None:
    """What the process says: all of it, and into the folder too, where it is the first rank; else warnings alone."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if first:
        handlers.append(logging.FileHandler(folder / "log.txt", encoding="utf-8"))
    level = logging.INFO if first else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", handlers=handlers, force=True)
    logging.raiseExceptions = False  # a log that finds no room is no reason to print how it failed
    for noisy in ("httpx", "filelock", "transformers", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _of_the_disk(error: BaseException, folder: Path) -> str | None:
    """What of a file or a disk broke a stage off, where the user can mend it; libraries may hide a full disk in other words."""
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return f"{error.filename}: {error.strerror}; mend that and run the same command again"
    cause: BaseException | None = error
    while cause is not None:
        for number, remedy in FULL.items():
            if (full := os.strerror(number)) in str(cause):
                return f"{folder}: {full}; {remedy} and run the same command again"
        cause = cause.__cause__ or cause.__context__
    return None
