"""`python -m limo replay outputs/<name>/<overrides>`: the same config run again from nothing; which results are the same, byte for byte."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from limo import StageError, UserError, pipeline
from limo.diff import version_rows
from limo.loaded import Loaded, load
from limo.products import differences, products
from limo.records import Status, write_record
from limo.tasks import made
from limo.terminal import fold, table, width

STORE, RUN = ".store", "run"


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there is nothing to repeat, StageError where a stage broke off or a result is another."""
    parser = argparse.ArgumentParser(
        prog="python -m limo replay",
        description="Run the config of a run again with a store of its own, so that nothing is taken from before; say of each "
        "result whether it is the same, byte for byte, times and places aside. Call it where the run was started: relative paths of "
        "its config count from there.",
    )
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument(
        "--out", type=Path, help="folder for the new run and its store (outputs/replay/<name>/<folder>)"
    )
    given = parser.parse_args(arguments)
    before = load(given.run)
    if not before.manifests:
        raise UserError(f"{before.folder}: it has no result yet, so there is nothing to compare with; run it first")
    out = given.out or Path("outputs/replay", before.run.name, before.folder.absolute().name)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    after = load(again(before, out))
    off = others(before.folder, after.folder)
    print(text(before, after, off))
    if off:
        raise StageError(f"{len(off)} of {len(before.manifests)} results are not the same: {', '.join(off)}")


def again(before: Loaded, out: Path) -> Path:
    """Run a config again below `out`; the folder of the new run, which reads as any other. Raises UserError, StageError."""
    from limo.compose import rebuild

    store, folder = out.absolute() / STORE, out / RUN
    if folder.resolve() == before.folder.resolve():
        raise UserError(f"--out {out}: the run to be repeated is there; give another folder")
    config = {**before.config, "store": str(store)}
    built = rebuild(config)
    status = Status(overrides=before.run.overrides, began=time.time())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(
            yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        if (asked := before.folder / "run.json").is_file():
            shutil.copyfile(asked, folder / asked.name)
        write_record(folder / "status.json", status)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror}; give another folder with --out") from None
    pipeline.run(built, folder)
    seconds = round(time.time() - status.began, 1)
    write_record(folder / "status.json", dataclasses.replace(status, state="done", code=0, seconds=seconds))
    return folder


def text(before: Loaded, after: Loaded, off: Mapping[str, Sequence[str]]) -> str:
    """Each result: the same, or which of its files are not; then what else was different in the making."""
    rows = [_row(task, before, after, off) for task in before.manifests]
    parts = [table(["result", "bytes", "then, s", "now, s"], rows, words=2)]
    for task, names in off.items():
        files = ", ".join(name.removeprefix(f"{task}/") for name in names if name != task)
        why = "; made from other inputs, settings or code" if task in names else ""
        parts += fold(f"{task}: not as before: {files or 'nothing but its key'}{why}", width())
    if versions := version_rows(before.manifests, after.manifests):
        parts += ["", table(["made with", "then", "now", "of"], versions, words=4)]
    return "\n".join([*parts, "", f"replay: {os.path.relpath(after.folder)}"])


def _row(task: str, before: Loaded, after: Loaded, off: Mapping[str, Sequence[str]]) -> list[str]:
    made = [f"{run.manifests[task].seconds:.1f}" if task in run.manifests else "" for run in (before, after)]
    return [task, "not made" if not made[1] else "others" if task in off else "the same", *made]


def others(folder: Path, again: Path) -> dict[str, list[str]]:
    """Task of the first run -> its products that the second lacks or has otherwise; where there are any."""
    off = differences(products(again), products(folder))
    tasks = {task: [n for n in off if n == task or n.startswith(f"{task}/")] for task in made(folder)}
    return {task: names for task, names in tasks.items() if names}
