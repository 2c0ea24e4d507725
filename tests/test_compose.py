"""From overrides to a live Config: what a config may name, and what is wrong with it in one sentence."""

from __future__ import annotations

import re

from limo.compose import run_dirname


def test_runs_that_differ_in_a_path_have_folders_of_their_own() -> None:
    ours = "model.path=/a/weights,selection.size=3,stages=[data,selection],training/strategy=ddp"
    folder = run_dirname(ours)
    assert re.fullmatch(
        r"model\.path=weights~\w{6},selection\.size=3,stages=\[data,selection\],training_strategy=ddp", folder
    )
    assert run_dirname(ours) == folder != run_dirname(ours.replace("/a/", "/b/"))
    long = [run_dirname(f"key=…{'ü' * 300}{end}") for end in "ab"]
    assert long[0] != long[1]
    assert all(len(name.encode()) < 255 for name in long)
