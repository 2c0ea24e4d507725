"""What settings and runs are called: what tells one from the others; what all have in common is said once, apart."""

from __future__ import annotations

from collections.abc import Sequence

from limo.report.runs import Run
from limo.report.settings import Base, Setting


def called(settings: Sequence[Setting]) -> dict[Setting, str]:
    """Each setting in a few words, its size included where others have another."""
    sized = len(settings) == 1 or len({s.size for s in settings}) > 1
    return {s: f"{s.label}, {s.size:,} examples" if sized and s.size else s.label for s in settings}


def describe(settings: Sequence[Setting]) -> dict[Run, str]:
    """Each run in a few words, as its setting is called; its seed included where others have another."""
    runs = {run: name for setting, name in called(settings).items() for run in setting.runs}
    seeded = len(runs) == 1 or len({run.seed for run in runs}) > 1
    return {run: f"{name}, seed {run.seed}" if seeded and run.seed is not None else name for run, name in runs.items()}


def common(settings: Sequence[Setting]) -> str:
    """What all settings have and none is told by: `quality, 300 examples, seed 0`."""
    strategies, sizes = {s.strategy for s in settings}, {s.size for s in settings}
    seeds, counts = {run.seed for s in settings for run in s.runs}, {len(s.tuned) for s in settings}
    parts = [*strategies] if len(strategies) == 1 else []
    parts += [f"{size:,} examples" for size in sizes if size and len(sizes) == 1]
    if len(seeds) == 1:
        parts += [f"seed {seed}" for seed in seeds if seed is not None]
    elif len(counts) == 1:
        parts += [f"{count} seed{'s' if count > 1 else ''}" for count in counts if count]
    return ", ".join(filter(None, parts))


def count(setting: Setting) -> str:
    return "—" if setting.size is None else f"{setting.size:,}"


def apart(settings: Sequence[Setting]) -> tuple[list[str], dict[Setting, list[str]]]:
    """What tells settings from each other, as columns: their heads, and the cells of each. The first names a row."""
    every = {
        "setting": [s.label for s in settings],
        "examples": [count(s) for s in settings],
        "seeds": [str(len(s.tuned)) for s in settings],
    }
    heads = [head for head, cells in every.items() if len(set(cells)) > 1] or ["setting"]
    return heads, {s: [every[head][i] for head in heads] for i, s in enumerate(settings)}


def named(base: Base, heads: Sequence[str]) -> list[str]:
    """The cells of a base in the columns that tell settings apart."""
    return [base.label, *[""] * (len(heads) - 1)]
