"""Which GPUs a process may use, as CUDA reads its environment and as the driver tells them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from limo import hardware
from limo.hardware import Gpu, visible
from tests.command import started

GIB = 2**30
EIGHT = tuple(Gpu("NVIDIA H100 80GB HBM3", 80 * GIB, f"GPU-{n}{n}{n}a-0000") for n in range(8))
SLICED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa)
  MIG 3g.20gb     Device  0: (UUID: MIG-b1)
  MIG 1g.5gb      Device  1: (UUID: MIG-c2)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bb)"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    hardware.gpus.cache_clear()
    yield
    hardware.gpus.cache_clear()


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str, listed: str = "") -> None:
    """A program nvidia-smi that answers with these lines, first in PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] && cat <<'A' || cat <<'B'\n{listed}\nA\n{lines}\nB\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ("-1", []),
        ("9", []),
        ("0,9,1", [0]),
        ("2,-1,3", [2]),
        ("NoDevFiles", []),
        ("", []),
        ("none", []),
        ("4,5", [4, 5]),
        (" 3 , 1", [3, 1]),
        ("1gpu2,2", [1, 2]),
        ("1,,2", [1]),
        ("1,1", []),
        ("0,1,0", []),
        ("GPU-222", [2]),
        ("GPU-222a-0000,GPU-1", [2, 1]),
        ("GPU-222,GPU-nobody,GPU-1", [2]),
        ("GPU-222,1", [2]),
        ("GPU-", []),
        ("GPU-222,GPU-222", []),
        ("2,GPU-1", [2]),
        ("MIG-b1", []),
    ],
)
def test_visible_devices_are_read_as_cuda_reads_them(asked: str, seen: list[int]) -> None:
    assert visible(asked, EIGHT) == tuple(EIGHT[n] for n in seen)


def test_memory_in_use_is_that_of_the_fullest_gpu_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    kinds = ("GPU-a", 100, 7), ("GPU-b", 100, 9), ("GPU-c", 100, 90), ("GPU-d", 100, "[N/A]")
    listed = "\n".join(f"X, {size}, {name}" for name, size, _ in kinds)
    used = "\n".join(f"{name}, {now}" for name, _, now in kinds)
    program.write_text(f"#!/bin/sh\ncase \"$1\" in *used*) cat <<'A' ;; *) cat <<'B' ;; esac\n{used}\nA\n{listed}\nB\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,3")
    assert hardware.used() == 9 << 20
    hardware.gpus.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert hardware.used() == 0


@pytest.mark.parametrize("asked", ["-1", "0,9,1", "NoDevFiles", "1,1", "4,5", "1gpu2,2", "1,,2", "none", ""])
def test_torch_counts_the_same_numbers(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    theirs = torch.cuda._parse_visible_devices()
    inside = (
        [n for n in theirs if n < 8]
        if not any(n >= 8 for n in theirs)
        else theirs[: next(i for i, n in enumerate(theirs) if n >= 8)]
    )
    assert [EIGHT.index(gpu) for gpu in visible(asked, EIGHT)] == inside


def test_the_gpus_of_the_driver_are_counted_under_what_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver(tmp_path, monkeypatch, "NVIDIA H100 PCIe, 81559, GPU-a\nNVIDIA L4, 23034, GPU-b")
    assert [gpu.name for gpu in hardware.gpus()] == ["NVIDIA H100 PCIe", "NVIDIA L4"]
    assert hardware.gpus()[1].memory == 23034 * 2**20 and hardware.handles() == ["0", "1"]
    hardware.gpus.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,7")
    assert [gpu.name for gpu in hardware.gpus()] == ["NVIDIA L4"] and hardware.handles() == ["1"]


@pytest.mark.parametrize("word", ["[N/A]", "[Not Supported]", ""])
def test_a_gpu_that_shares_main_memory_has_that(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, f"NVIDIA GB10, {word}, GPU-a")
    assert hardware.gpus() == (Gpu("NVIDIA GB10", hardware.memory(), "GPU-a"),)


def test_a_slice_has_the_memory_of_its_profile_and_cuda_shows_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "NVIDIA A100-SXM4-40GB, 40960, GPU-aa\nNVIDIA A100-SXM4-40GB, 40960, GPU-bb"
    driver(tmp_path, monkeypatch, lines, SLICED)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-c2,MIG-b1")
    assert hardware.gpus() == (Gpu("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5 * GIB, "MIG-c2"),)
    assert hardware.handles() == ["MIG-c2"]


def test_without_a_driver_there_are_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, "")
    assert hardware.gpus() == ()
    hardware.gpus.cache_clear()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("nothing may be asked"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert hardware.gpus() == ()


@pytest.mark.parametrize(
    ("usable", "said"), [("2", ""), ("0", "can use none of them"), ("1", "can use 1 of them"), ("", "does not start")]
)
def test_gpus_that_torch_cannot_use_are_no_reason_to_compute_on_the_cpu(
    usable: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\n" + (f"printf 'torch 2.13.0 for CUDA 13.0\\t{usable}\\n'" if usable else "exit 1"))
    python.chmod(0o755)
    assert hardware.unusable(str(python)) == []
    driver(tmp_path, monkeypatch, "NVIDIA L4, 23034, GPU-a\nNVIDIA L4, 23034, GPU-b")
    hardware.gpus.cache_clear()
    (sentence,) = hardware.unusable(str(python)) or [""]
    assert said in sentence and (not said or "the driver shows 2 GPUs (NVIDIA L4)" in sentence)


def test_the_command_refuses_gpus_that_torch_cannot_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, "NVIDIA L4, 23034, GPU-a\nNVIDIA L4, 23034, GPU-b")
    done = started("stages=[data,selection,training]", "attempts=none", cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stdout + done.stderr
    assert "the driver shows 2 GPUs (NVIDIA L4) and torch" in done.stdout + done.stderr
