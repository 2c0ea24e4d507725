"""The trained model of a run in a folder of its own: weights, tokenizer, template, a card, and the way to serve it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from limo import UserError
from limo.export.examples import system
from limo.records import Manifest, Results, read_record, read_results


def write_model(run: Path, out: Path) -> str:
    """Copy the weights and write the card; what to do with it. Raises UserError where the run trained none."""
    source = run / "training" / "model"
    if not (source / "config.json").is_file() and not (source / "adapter_config.json").is_file():
        raise UserError(f"{run}: no training/model in it; give the folder of one run that trains")
    if out.exists():
        raise UserError(f"{out}: is there already; remove it, or give another folder with --out")
    shutil.copytree(source, out, symlinks=False)
    (out / "README.md").write_text(_card(run, out), encoding="utf-8")
    return f"{out}: its README.md says how it was trained and how to serve it"


def _card(run: Path, out: Path) -> str:
    manifest = read_record(run / "training" / "manifest.json", Manifest)
    base = (manifest.config or {}).get("model", {}).get("path", "")
    commit = manifest.hub.get(base)
    prompt = system(run)
    turns = [{"role": "system", "content": prompt}] if prompt is not None else []
    asked = json.dumps([*turns, {"role": "user", "content": "What is 6 times 7?"}], ensure_ascii=False)
    scores = [_scores(name, run / "evaluation" / kind) for kind, name in (("base", "before"), ("tuned", "after"))]
    told = "\n".join(score for score in scores if score) or "It was not evaluated."
    return f"""\
---
base_model: {base}
library_name: transformers
pipeline_tag: text-generation
tags: [math, reasoning, limo]
---
# {run.name}

Trained from {base}{f" at {commit}" if commit else ""} by limo {manifest.versions.get("limo")}, commit {manifest.git}; key {manifest.key}.

System prompt of the training; ask with the same: {f"`{prompt}`" if prompt is not None else "none"}

{told}

```python
from vllm import LLM, SamplingParams

model = LLM({str(out)!r})
print(model.chat({asked}, SamplingParams(temperature=0.6, top_p=0.95, max_tokens=32768))[0].outputs[0].text)
```
"""


def _scores(name: str, folder: Path) -> str:
    path = folder / "results.json"
    if not path.is_file():
        return ""
    results: Results = read_results(path)
    told = ", ".join(f"{bench} {100 * one.accuracy:.1f} of {one.n}" for bench, one in results.benchmarks.items())
    return f"- {name}: {told}"
