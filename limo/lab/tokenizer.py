"""The lab's tokenizer: bytes and fused tokens, a Hugging Face fast tokenizer whose chat template asks `Q:…A:`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limo.lab.problems import CONSTANTS, LETTERS, MODULUS, WAIT, WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, END = "<pad>", "<eos>"
HEADS = ("Q:", "A:", "Find:", "Facts:", "Needs:", "Notes:", "Check:", WAIT, "What is ")
MAX_LENGTH = 512

TEMPLATE = """\
{%- for message in messages -%}
{%- if message['role'] == 'assistant' -%}
{{- 'A:' + message['content'] + eos_token -}}
{%- elif message['role'] == 'user' -%}
{{- 'Q:' + message['content'] -}}
{%- else -%}
{{- raise_exception('the lab model takes no ' + message['role'] + ' prompt; leave model.system null') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- 'A:' -}}
{%- endif -%}
"""
"""`Q:` question `A:` solution, end token."""


def fused() -> list[str]:
    """The tokens of several characters.

    A name fuses with what follows it (`b=`, `b is `, `b<`, `b;`), an operator with its constant, a result with its sign and end, and a
    value is one token, so that a look-up is a match on one token.
    """
    names = [form for n in LETTERS for form in (f"{n}=", f"{n} is ", f"{n}<", f"{n};")]
    values = [*(str(v) for v in range(10, MODULUS)), *(f"={v};" for v in range(MODULUS))]
    steps = [f"{sign}{k}" for o, ks in CONSTANTS.items() for k in ks for sign in (o, WORDS[o])]
    return [*names, *values, *steps, ". ", *HEADS, "\\boxed{", "ok "]


def make() -> PreTrainedTokenizerFast:
    """The tokenizer: single bytes and fused tokens, so every text comes back from its ids unchanged.

    transformers loads the tokenizer of any Qwen2 model as its own Qwen2Tokenizer and replaces the splitting rule that was
    saved; tokens that must survive this are added tokens, which are matched before any splitting.
    """
    from tokenizers import AddedToken
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    singles = [PAD, END, *sorted(ByteLevel.alphabet())]
    tokenizer = Qwen2Tokenizer(
        vocab={token: i for i, token in enumerate(singles)},
        merges=[],
        pad_token=PAD,
        eos_token=END,
        unk_token=None,
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in fused()])
    tokenizer.chat_template = TEMPLATE
    return tokenizer
