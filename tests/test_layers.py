"""What keeps the program quick to answer and its parts apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "vllm", "pytorch_lightning", "deepspeed", "datasets", "sympy", "matplotlib", "scipy")


def heavy_imports(code: str) -> str:
    """Run code in a fresh interpreter; which of the heavy libraries it brought in."""
    report = f"{code}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def test_the_door_imports_nothing_heavy() -> None:
    assert heavy_imports("import limo.__main__") == ""


def test_composing_and_building_the_papers_run_imports_nothing_heavy() -> None:
    assert heavy_imports("from limo.compose import compose\ncompose(['+experiment=limo817'])") == ""


def test_a_heavy_import_would_be_noticed() -> None:
    assert heavy_imports("import limo.__main__\nimport torch").split()[0] == "torch"


def test_the_import_arrows_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_stage_processes_know_no_hydra() -> None:
    modules = "limo.data, limo.attempts, limo.selection, limo.training, limo.evaluation, limo.grading, limo.engine"
    code = f"import {modules}, sys\nprint('hydra' in sys.modules or 'omegaconf' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
