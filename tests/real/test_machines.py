"""Two machines, played by one: the weights of one process, under a SLURM that submitit drives and by torchrun with hands."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("deepspeed", reason="DeepSpeed runs on Linux only")
sys.path.insert(0, str(Path(__file__).parents[1]))

import slurm
import tiny
from waiting import LAST, until

from limo.records import TrainingSummary
from limo.stage import summary

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
TWO = ["training/strategy=zero2", "training.strategy.nodes=2", "training.strategy.devices=1"]
SUBMIT = ["-m", "hydra/launcher=submitit_slurm", "hydra.launcher.nodes=2", "hydra.launcher.tasks_per_node=1"]
# a large eps keeps rounding errors of small gradients small
OPTIMIZER = ["optimizer=adamw", "optimizer.lr=0.01", "optimizer.eps=0.01"]
SLOW = ["plugins=[tests.]", "optimizer._target_=tests.tiny.Slow", "training.steps=30", "training.checkpoint_every=2"]


@pytest.fixture(scope="module")
def how(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Overrides of a run that trains a tiny model for three steps on twelve examples."""
    folder = tmp_path_factory.mktemp("inputs")
    rows = [
        {"question": e.question, "answer": e.answer, "solution": f"{e.solution} \\boxed{{{e.answer}}}"}
        for e in tiny.examples()
    ]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "data=files", f"data.path={folder / 'pool.jsonl'}", "data.solution=solution", "attempts=none", "evaluation=none",
        "selection=all", "selection.size=null", "stages=[data,selection,training]", f"model.path={tiny.model(folder / 'base')}",
        "training=full", "training.epochs=null", "training.steps=3", "training.global_batch=8", "training.micro_batch=2",
        "training.max_length=200", "training.precision=32-true", "training.export=float32", *OPTIMIZER,
    ]  # fmt: skip


def start(arguments: list[str], cwd: Path, **env: str) -> subprocess.Popen[str]:
    cwd.mkdir(exist_ok=True)
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | env
    with (cwd / "output.txt").open("w") as output:
        command = [sys.executable, "-u", "-m", "limo", *arguments]
        return subprocess.Popen(
            command, cwd=cwd, env=env, stdout=output, stderr=output, text=True, start_new_session=True
        )


def finish(run: subprocess.Popen[str], cwd: Path) -> Path:
    """The folder of the training stage of the only run below `cwd`."""
    code = run.wait(LAST)
    logs = [cwd / "output.txt", *cwd.glob("outputs/lab/.submitit/*/*.out"), *cwd.glob("outputs/lab/.submitit/*/*.err")]
    assert code == 0, "\n".join(log.read_text()[-4000:] for log in logs)
    (status,) = cwd.glob("outputs/lab/*/status.json")
    return status.parent / "training"


@pytest.fixture(scope="module")
def alone(how: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    return finish(start([*how, "training/strategy=single"], folder), folder)


def test_a_submitit_job_of_two_nodes_ends_with_the_weights_of_one_process(
    how: list[str], alone: Path, tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
    run = start([*SUBMIT, *how, *TWO], tmp_path, **slurm.install(tmp_path / "slurm"))
    ended.append(run)
    trained = finish(run, tmp_path)
    assert (summary(trained, TrainingSummary).ranks, summary(trained, TrainingSummary).strategy) == (2, "zero2")
    assert tiny.furthest(tiny.weights(alone), tiny.weights(trained)) < 1e-5
    steps = [file.read_text().splitlines() for file in sorted(tmp_path.glob("slurm/*.srun"))]
    assert len(steps) == 2, "one step of submitit's, one of ours for training"
    assert {"--overlap", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--kill-on-bad-exit=1"} <= set(steps[1])
    outputs = [file.read_text() for file in sorted(tmp_path.glob("outputs/lab/.submitit/*/*_log.out"))]
    assert [text.count("training …") for text in outputs] == [1, 0], "the road runs on the first node only"
    again = start([*how, *TWO], tmp_path, SLURM_JOB_ID="7", SLURM_JOB_NUM_NODES="1")
    assert again.wait(LAST) == 0, "what is in the store needs no second node"
    assert "training: from the store" in (tmp_path / "output.txt").read_text()


def test_one_process_in_a_job_of_two_nodes_is_one_process(
    how: list[str], alone: Path, tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    """Lightning takes its ranks from SLURM's variables where it finds them."""
    pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
    run = start([*SUBMIT, *how, *TWO, "training.strategy.nodes=1"], tmp_path, **slurm.install(tmp_path / "slurm"))
    ended.append(run)
    trained = finish(run, tmp_path)
    assert summary(trained, TrainingSummary).ranks == 1
    assert tiny.furthest(tiny.weights(alone), tiny.weights(trained)) < 1e-5


def test_a_preempted_job_is_queued_again_and_goes_on_from_its_checkpoint(
    how: list[str], tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
    whole = finish(start([*how, *SLOW, "training/strategy=single"], tmp_path / "whole"), tmp_path / "whole")
    cluster, cut = slurm.install(tmp_path / "slurm"), tmp_path / "cut"
    run = start([*SUBMIT, *how, *TWO, *SLOW], cut, **cluster)
    ended.append(run)

    def rows() -> int:
        return sum(
            len(file.read_text().splitlines()) for file in cut.glob("outputs/.store/training/*.partial/metrics.csv")
        )

    def cancel(signal: str) -> None:
        (script,) = tmp_path.glob("slurm/*.sh")
        subprocess.run([tmp_path / "slurm/scancel", f"--signal={signal}", script.stem], check=True)

    until("a checkpoint", lambda: rows() > 4, lambda: run.poll() is None)
    before = rows()
    cancel("TERM")
    until("a step after SIGTERM", lambda: rows() > before + 2, lambda: run.poll() is None)
    cancel("USR2")
    trained = finish(run, cut)
    said = "".join(file.read_text() for file in cut.glob("outputs/lab/.submitit/*/*_0_log.out"))
    assert "Requeued job" in said
    assert "going on from step" in (trained / "log.txt").read_text()
    assert "did not finish" not in (cut / "outputs/lab/report.html").read_text()
    assert tiny.furthest(tiny.weights(whole), tiny.weights(trained)) < 1e-5


def test_without_slurm_the_printed_command_makes_another_machine_the_second(
    how: list[str], alone: Path, tmp_path: Path, ended: list[subprocess.Popen[str]]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run = start([*how, *TWO], tmp_path, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    ended.append(run)
    output, mark = tmp_path / "output.txt", "waiting for the other machine to run: "
    until("the command", lambda: mark in output.read_text(), lambda: run.poll() is None)
    command = output.read_text().partition(mark)[2].splitlines()[0]
    assert shlex.split(command)[:3] == ["cd", str(tmp_path), "&&"]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    second = subprocess.Popen(["sh", "-c", command], cwd="/", env=env, text=True, start_new_session=True)
    ended.append(second)
    trained = finish(run, tmp_path)
    assert second.wait(LAST) == 0
    assert summary(trained, TrainingSummary).ranks == 2
    assert tiny.furthest(tiny.weights(alone), tiny.weights(trained)) < 1e-5
