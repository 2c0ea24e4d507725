"""Model folders from a stranger, made from the lab's own base: no code in them runs, and what is broken is said before it is used."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.case import Case, Fault
from benchmarks.faults.ends import LostError, last, refused
from benchmarks.faults.texts import PWNED, harmless
from limo.models import Model

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
ESCAPE = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.popen('touch PWNED').read() }}"
)


INVITING = ("weights_only", "trust_remote_code", "custom code", "inspect the repo")
"""Words with which libraries send a reader to an unsafe load."""


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {PWNED}",)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Evil()))


def remote(folder: Path) -> None:
    code = f"open('{PWNED}', 'w')\nfrom transformers import LlamaConfig, LlamaForCausalLM\n"
    (folder / "modeling_evil.py").write_text(code, encoding="utf-8")
    names = {"AutoConfig": "modeling_evil.LlamaConfig", "AutoModelForCausalLM": "modeling_evil.LlamaForCausalLM"}
    edit(folder / "config.json", auto_map=names, model_type="evil", architectures=["LlamaForCausalLM"])


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def template(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "chat_template.jinja").write_text(text, encoding="utf-8")


def half(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def long_header(folder: Path) -> None:
    """A file that claims a header of 2**62 bytes."""
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])


def tensors(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    from safetensors.torch import load_file, save_file

    found = load_file(folder / "model.safetensors")
    change(found)  # type: ignore[arg-type]
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})


def infinite(folder: Path) -> None:
    tensors(folder, lambda found: next(iter(found.values())).fill_(float("nan")))  # type: ignore[attr-defined]


def headless(folder: Path) -> None:
    tensors(folder, lambda found: found.pop(sorted(found)[0]))


def adapter(folder: Path) -> None:
    """A full model in which somebody left an adapter, which transformers would take up."""
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x", "r": 4}), encoding="utf-8"
    )
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Evil()))


def emptied_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_bytes(b"")


HARMS: dict[str, Callable[[Path], object]] = {
    "weights that are a pickle": pickled,
    "code of its own": remote,
    "a template that never ends": template(ENDLESS),
    "a template that takes all memory": template("{{ 'a' * 3000000000 }}"),
    "a template that leaves its sandbox": template(ESCAPE),
    "a template that is no template": template("{% for m in %}"),
    "half of the weights": half,
    "a header longer than the file": long_header,
    "weights that are no numbers": infinite,
    "a tensor that is not there": headless,
    "an adapter among the weights": adapter,
    "a config that is no JSON": lambda folder: (folder / "config.json").write_text("{", encoding="utf-8"),
    "a config of 10^12 weights": lambda folder: edit(
        folder / "config.json", hidden_size=1 << 20, intermediate_size=1 << 22
    ),
    "an empty tokenizer": lambda folder: (folder / "tokenizer.json").write_bytes(b""),
    "an empty tokenizer_config": lambda folder: (folder / "tokenizer_config.json").write_bytes(b""),
    "a generation_config that is no JSON": lambda folder: (folder / "generation_config.json").write_bytes(b"{"),
    "a special_tokens_map that is a list": lambda folder: (folder / "special_tokens_map.json").write_bytes(b"[]"),
    "a tokenizer of lists in lists": lambda folder: (folder / "tokenizer.json").write_bytes(b"[" * 100_000),
    "an empty index of the weights": emptied_index,
}


def faults() -> list[Fault]:
    return [
        Fault("hostile models", name, _refused(harm), short=name == "weights that are a pickle")
        for name, harm in HARMS.items()
    ]


def _refused(harm: Callable[[Path], object]) -> Callable[[Case], str]:
    def tried(case: Case) -> str:
        case.copy()
        folder = case.folder / "model"
        base = Model(path="lab:base").local
        assert base is not None
        shutil.copytree(base, folder)
        harm(folder)
        done = case.run("stages=[evaluation]", f"model.path={folder}")
        harmless(case, done.peak)
        refused(done)
        if not re.search(r"model\.path=|engine[=:]", done.text):
            raise LostError(f"its sentence speaks of something else: {last(done.text)}")
        if any(words in done.text for words in INVITING):
            raise LostError(f"it advises to load it unsafely: {last(done.text)}")
        return last(done.text)[:80]

    return tried
