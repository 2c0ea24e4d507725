"""A tiny random model with a tokenizer of characters, made in a second: what the training tests train."""

from __future__ import annotations

import string
from pathlib import Path

LAB = (
    "{% for m in messages %}{% if m['role'] == 'user' %}Q:{{ m['content'] }}{% elif m['role'] == 'assistant' %}A:{{ m['content'] }}<eos>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "<bos>{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
SPECIAL = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
)


def tokenizer(template: str = LAB):
    """One token per printable character, and the special tokens of three templates."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = [*SPECIAL, *string.printable]
    raw = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<pad>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    raw.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
    made.add_special_tokens({"additional_special_tokens": list(SPECIAL[2:])})
    made.chat_template = template
    return made


def model(folder: Path, template: str = LAB, tied: bool = True, seed: int = 0, **sizes: int) -> Path:
    """A folder with a random Qwen2 in float32 (hidden 32, 2 layers) and that tokenizer."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    made = tokenizer(template)
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    } | sizes
    torch.manual_seed(seed)
    net = Qwen2ForCausalLM(
        Qwen2Config(vocab_size=len(made), tie_word_embeddings=tied, max_position_embeddings=256, **shape)
    )
    for (
        parameter
    ) in net.parameters():  # the default initialisation leaves attention almost uniform, hiding leaks between examples
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    net.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder
