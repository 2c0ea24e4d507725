"""A model of a recipe's own architecture at a small width, weights by chance: `python -m limo.rehearse.weights <request.json>`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LAYERS = 2
HEAD = 64
"""Width of an attention head, for which every engine has a kernel."""


def write(folder: Path, source: str, revision: str | None, sizes: dict[str, Any] | None, split: int) -> None:
    """Write config, weights and the tokenizer of `source` into `folder`; `split`: GPUs that must divide its heads.

    `sizes` stand for the config.json of the source where its weights are not at hand: then the model is shaped as Qwen2.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, Qwen2Config

    from limo.training.export import save_weights

    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, trust_remote_code=False)
    config = (
        Qwen2Config(**sizes)
        if sizes
        else AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    )
    grouped = config.num_key_value_heads < config.num_attention_heads
    heads = 4 * split
    small = {
        "hidden_size": heads * HEAD,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2 if grouped else heads,
        "intermediate_size": 2 * heads * HEAD,
        "num_hidden_layers": LAYERS,
        "layer_types": config.layer_types[:LAYERS] if getattr(config, "layer_types", None) else None,
        "head_dim": HEAD,
        "max_window_layers": LAYERS,
        "vocab_size": len(tokenizer) if sizes else config.vocab_size,
        "eos_token_id": tokenizer.eos_token_id if sizes else config.eos_token_id,
        "bos_token_id": None if sizes else config.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    for name, value in small.items():
        if hasattr(config, name):
            setattr(config, name, value)
    net = AutoModelForCausalLM.from_config(config, trust_remote_code=False).bfloat16()
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(net, folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    write(Path(asked.pop("folder")), **asked)
