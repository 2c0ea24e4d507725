"""The examples of a run as other trainers read them, each with the system prompt that this run trains with, and a dataset card."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from limo import UserError
from limo.records import Example, Manifest, read, read_record

NAME = "examples"
Row = dict[str, Any]


def write_examples(run: Path, form: str, out: Path) -> str:
    """Write them and the card into `out`; what to do with it. Raises UserError where the run chose none."""
    path = run / "selection" / "examples.jsonl"
    if not path.is_file():
        raise UserError(f"{run}: no selection/examples.jsonl in it; give the folder of one run that selects examples")
    examples, prompt = list(read(path, Example)), system(run)
    out.mkdir(parents=True, exist_ok=True)
    rows = [FORMATS[form](example, prompt) for example in examples]
    if form == "parquet":
        import datasets

        file = out / f"{NAME}.parquet"
        datasets.Dataset.from_list(rows).to_parquet(file)
    else:
        file = out / f"{NAME}.jsonl"
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    if form == "llama-factory":
        (out / "dataset_info.json").write_text(json.dumps(INFO, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(_card(run, file, examples, prompt), encoding="utf-8")
    return f"{file}: {len(rows)} examples; {USE[form].format(out=out, file=file)}"


def messages(example: Example, prompt: str | None) -> list[Row]:
    """The dialogue of a training, in the words of OpenAI."""
    head = [{"role": "system", "content": prompt}] if prompt is not None else []
    return [
        *head,
        {"role": "user", "content": example.question},
        {"role": "assistant", "content": example.solution},
    ]


def _trl(example: Example, prompt: str | None) -> Row:
    *asked, answer = messages(example, prompt)
    return {"prompt": asked, "completion": [answer]}  # the loss is then on the completion alone, as here


def _llama_factory(example: Example, prompt: str | None) -> Row:
    return {"messages": messages(example, prompt)}


def _sharegpt(example: Example, prompt: str | None) -> Row:
    turns = [{"from": "human", "value": example.question}, {"from": "gpt", "value": example.solution}]
    return {"conversations": turns, "system": prompt or ""}


def _parquet(example: Example, prompt: str | None) -> Row:
    row = dataclasses.asdict(example)
    for name in ("scores", "meta"):  # their keys differ from row to row, which a column cannot
        row[name] = json.dumps(row[name], ensure_ascii=False)
    return {**row, "messages": messages(example, prompt)}


FORMATS: dict[str, Callable[[Example, str | None], Row]] = {
    "trl": _trl,
    "llama-factory": _llama_factory,
    "sharegpt": _sharegpt,
    "parquet": _parquet,
}
USE = {
    "trl": "SFTTrainer(train_dataset=datasets.load_dataset('json', data_files='{file}', split='train'))",
    "llama-factory": "llamafactory-cli train … dataset_dir={out} dataset=examples",
    "sharegpt": "turns under conversations, the system prompt beside them",
    "parquet": "datasets.load_dataset('{out}') reads it",
}
INFO = {
    NAME: {
        "file_name": f"{NAME}.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
}
"""What LLaMA-Factory knows a data set by (`data/README.md` there, OpenAI format)."""


def system(run: Path) -> str | None:
    """The system prompt that a run trains or asks with; None without one."""
    for task in ("training", "evaluation/tuned", "evaluation/base"):
        path = run / task / "manifest.json"
        config = read_record(path, Manifest).config if path.is_file() else None
        if config and isinstance(model := config.get("model"), dict):
            prompt: str | None = model.get("system")
            return prompt
    return None


def _card(run: Path, file: Path, examples: Sequence[Example], prompt: str | None) -> str:
    sources = (
        read_record(run / "data" / "manifest.json", Manifest).hub if (run / "data/manifest.json").is_file() else {}
    )
    read_from = ", ".join(f"{name} at {commit}" for name, commit in sources.items()) or "local files"
    own = sum(example.origin == "source" for example in examples)
    told = f"`{prompt}`" if prompt is not None else "none"
    return f"""\
---
configs:
- config_name: default
  data_files: {file.name}
size_categories: [{_category(len(examples))}]
tags: [math, reasoning]
---
# {run.name}

{len(examples)} examples, chosen by limo from {read_from}. `selection/dropped.jsonl` of the run names what was left out and why.

- System prompt of the training: {told}
- Solutions: {own} of the source, {len(examples) - own} sampled from a model
- The licence is that of the sources.
"""


def _category(count: int) -> str:
    return (
        "n<1K" if count < 1000 else "1K<n<10K" if count < 10_000 else "10K<n<100K" if count < 100_000 else "100K<n<1M"
    )
