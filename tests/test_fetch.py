from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from limo.config import PACKAGE
from limo.records import Manifest, read_record
from tests.command import started
from tests.fake_hub import COMMIT, Hub, serving, silent

CARD = """\
---
configs:
- {config_name: easy, data_files: [{split: train, path: easy/train-*}, {split: test, path: easy/test-*}]}
- {config_name: hard, data_files: [{split: train, path: hard/*}]}
---
"""
RUN = (
    "stages=[data,evaluation]",
    *(
        "model=smollm2-135m",
        "model.path=some/model",
        f"model.revision={COMMIT}",
        "model.architecture=null",
        "model.system=null",
    ),
    *("data=gsm8k", "data.repo=some/pool", "data.revision=null", "data.subset=easy"),
    *("attempts=none", "evaluation=gsm8k", "engine=transformers", "evaluation.max_tokens=4"),
    *(
        f"evaluation.benchmarks.gsm8k.source.{word}"
        for word in ("repo=some/bench", f"revision={COMMIT}", "remote=test.jsonl", "rows=2", "digest=null")
    ),
)


def rows(path: Path, *numbers: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ({"question": f"What is {n} + 1?", "answer": f"It is.\n#### {n + 1}"} for n in numbers)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def repositories(tmp_path: Path) -> dict[str, Path]:
    """A model, a pool in two parts and a benchmark."""
    root = tmp_path / "repositories"
    shutil.copytree(PACKAGE / "lab/bases/early", root / "model")
    for name, numbers in {"easy/train-0": (1, 2, 3), "easy/test-0": (4,), "hard/a": (5,)}.items():
        rows(root / f"pool/{name}.jsonl", *numbers)
    (root / "pool/README.md").write_text(CARD)
    rows(root / "bench/test.jsonl", 6, 7)
    return {
        "some/model": root / "model",
        "datasets/some/pool": root / "pool",
        "datasets/some/bench": root / "bench",
    }


def places(folder: Path) -> dict[str, str]:
    return {"HF_HOME": str(folder / "hf"), "XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "0"}


def files(hub: Hub) -> set[str]:
    return {path.rpartition("/")[2] for path in hub.asked if "/resolve/" in path}


def test_what_is_fetched_is_all_that_the_run_reads_and_then_no_host_is_asked(
    tmp_path: Path, repositories: dict[str, Path]
) -> None:
    with serving(repositories) as hub:
        done = started("fetch", *RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
        assert done.returncode == 0, done.stderr
        assert f"datasets/some/pool  {COMMIT[:12]}" in done.stdout and "3 of 3 fetched" in done.stdout
        assert {"train-0.jsonl", "test.jsonl", "model.safetensors"} <= files(hub)
        assert not {"test-0.jsonl", "a.jsonl", "curve.csv"} & files(
            hub
        )  # of other splits and subsets, or no part of a model
        hub.asked.clear()
        again = started("fetch", *RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
        assert "0 of 3 fetched" in again.stdout and not hub.asked
    with silent() as (url, callers):
        ran = started(*RUN, cwd=tmp_path, HF_ENDPOINT=url, **places(tmp_path))
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert not callers
    (data,) = tmp_path.glob("outputs/.store/data/*/manifest.json")
    (evaluation,) = tmp_path.glob("outputs/.store/evaluation/*/manifest.json")
    bench = {"datasets/some/bench": COMMIT}
    assert read_record(data, Manifest).hub == {"datasets/some/pool": COMMIT} | bench
    assert read_record(evaluation, Manifest).hub == {"some/model": COMMIT} | bench


def test_a_list_asks_no_host_and_says_what_is_here(tmp_path: Path, repositories: dict[str, Path]) -> None:
    more = ("attempts=limo_coarse", "stages=[data,attempts,evaluation]")
    with silent() as (url, callers):
        told = started("fetch", "--list", *RUN, *more, cwd=tmp_path, HF_ENDPOINT=url, **places(tmp_path)).stdout
        assert not callers
    coarse = "ef9926d75ab1d54532f6a30dd5e760355eb9aa4d"
    assert f"hf download some/model --revision {COMMIT} --include '*.safetensors'" in told
    assert "hf download some/pool --repo-type dataset\n" in told
    assert f"hf download some/bench test.jsonl --repo-type dataset --revision {COMMIT}" in told
    assert re.search(rf"^Qwen/Qwen2.5-Math-7B-Instruct +{coarse[:12]} +model +~14.2 GiB$", told, re.MULTILINE), told
    assert f"copy {tmp_path / 'hf/hub'} and {tmp_path / 'cache'}/limo to the same places" in told
    with serving(repositories) as hub:
        started("fetch", *RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
    assert "all of it is here" in started("fetch", "--list", *RUN, cwd=tmp_path, **places(tmp_path)).stdout


def test_a_silent_hub_is_asked_once_and_one_sentence_says_so(tmp_path: Path) -> None:
    for verb in ([], ["fetch"]):
        with silent() as (url, callers):
            done = started(*verb, *RUN, cwd=tmp_path, HF_ENDPOINT=url, **places(tmp_path))
            assert done.returncode == 2 and len(callers) == 1
    (told,) = done.stderr.splitlines()
    assert told == (
        f"limo: datasets/some/pool, some/model: not in the local Hugging Face cache, and {url} cannot be reached; "
        f"datasets/some/bench: cannot be reached at {url}; run it where there is network (--list names the commands)"
    )


def test_a_hub_that_refuses_says_why(tmp_path: Path, repositories: dict[str, Path]) -> None:
    wrong = ("data.repo=some/other", f"model.revision={'d' * 40}")
    with serving(repositories) as hub:
        told = started("fetch", *RUN, *wrong, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path)).stderr
    assert "datasets/some/other: not in the local Hugging Face cache, and the hub has none of that name" in told
    assert f"some/model: no commit {'d' * 40} on the hub; set its revision" in told


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("pool", "data: some/pool [train], row 4: column 'question' holds no question"),
        ("bench", "evaluation.benchmarks.gsm8k: some/bench/test.jsonl: 1 rows, not 2"),
    ],
)
def test_a_data_set_of_the_cache_and_a_file_still_to_be_fetched_are_read_before_any_work(
    harm: str, sentence: str, tmp_path: Path, repositories: dict[str, Path]
) -> None:
    if harm == "pool":
        with (repositories["datasets/some/pool"] / "easy/train-0.jsonl").open("a") as handle:
            handle.write('{"question": "", "answer": "#### 1"}\n')
    else:
        rows(repositories["datasets/some/bench"] / "test.jsonl", 1)
    with serving(repositories) as hub:
        if harm == "pool":
            started("fetch", *RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
        done = started(*RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
    assert done.returncode == 2 and sentence in done.stdout + done.stderr
    assert not list(tmp_path.glob("outputs/.store/*/*"))


def test_a_download_that_was_broken_off_goes_on(tmp_path: Path, repositories: dict[str, Path]) -> None:
    with serving(repositories) as hub:
        started("fetch", *RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
        (part,) = tmp_path.glob("hf/hub/datasets--some--pool/snapshots/*/easy/train-0.jsonl")
        part.unlink()
        assert "here" not in started("fetch", "--list", *RUN, cwd=tmp_path, **places(tmp_path)).stdout.splitlines()[1]
        done = started("fetch", *RUN, cwd=tmp_path, HF_ENDPOINT=hub.url, **places(tmp_path))
    assert "1 of 3 fetched" in done.stdout and part.is_file()
