"""A tiny random model with a tokenizer of characters, made in a second: what the training tests train."""

from __future__ import annotations

import gc
import os
import random
import string
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limo.config import component
from limo.models import Model
from limo.optimizers import AdamW, Named, Optimizer, Schedule
from limo.records import Example, write
from limo.training import Training, TrainingStage
from limo.training.strategies import Zero

if TYPE_CHECKING:
    import torch

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


def capped(folder: Path) -> Path:
    """A folder with a random Gemma 2 whose attention caps its logits, which packing does not cover, and whose head does not."""
    import torch
    from transformers import Gemma2Config, Gemma2ForCausalLM

    made = tokenizer()
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "attn_logit_softcapping": 1.0}
    ends = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": None}
    net = Gemma2ForCausalLM(Gemma2Config(vocab_size=len(made), final_logit_softcapping=None, **sizes, **heads, **ends))
    net.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def examples(count: int = 12, seed: int = 0) -> list[Example]:
    """Sums with answers of very different lengths."""
    draw = random.Random(seed)
    return [
        Example(
            id=f"e{i}",
            problem=f"p{i}",
            question=f"{i}+{i}=?" * draw.randint(1, 3),
            answer=str(2 * i),
            solution=f"so {2 * i}." * draw.randint(1, 9),
        )
        for i in range(count)
    ]


@component
class Sgd(Optimizer):
    """One step at rate 1 moves the weights by the gradient, so two runs compare their gradients by comparing weights."""

    def open(self, named: Named) -> torch.optim.Optimizer:
        import torch

        return torch.optim.SGD([p for _, p in named], lr=self.lr)


@component
class Slow(AdamW):
    """Takes its time over a step; waits in one while the path HALT_AFTER of the environment exists, so that a test finds it there.

    Of a folder HURRY: a rank that waits puts its number there; once there is `go` it goes on, without patience for ranks that do not.
    """

    def open(self, named: Named) -> torch.optim.Optimizer:
        live = super().open(named)
        step = live.step

        def slow(closure=None):
            time.sleep(0.1)
            halt, hurry = (Path(os.environ.get(name, "never")) for name in ("HALT_AFTER", "HURRY"))
            while halt.exists() and not (hurry / "go").exists():
                if hurry.is_dir():
                    (hurry / os.environ["RANK"]).touch()
                time.sleep(0.01)
            if (hurry / "go").exists():
                impatient()
            return step(closure)

        live.step = slow
        return live


def impatient() -> None:
    """Let the watch of this process bear no more than its twenty median steps."""
    from limo.training.watch import Watch

    for watch in [one for one in gc.get_objects() if type(one) is Watch]:
        watch.patience = 0.0


@component
class Scaled(Zero):
    """ZeRO-3 as on GPUs, fetching ahead and reusing what it has fetched, with limits that are to a tiny model as DeepSpeed's are to 32B.

    `GATHERED` of the environment names a file: how its trace stood and how often it gathered the head, in each forward and backward.
    """

    def settings(self) -> dict[str, Any]:
        from deepspeed.runtime.zero.partitioned_param_coordinator import PartitionedParameterCoordinator as Coordinator

        gather, reset, rows, count = (
            Coordinator._PartitionedParameterCoordinator__all_gather_params_,
            Coordinator.reset_step,
            [],
            [0],
        )

        def counting(self, params, *how, **more):
            count[0] += sum(p.ds_numel == 108 * 32 and p.ds_status.name == "NOT_AVAILABLE" for p in params)
            return gather(self, params, *how, **more)

        def noting(self):
            names = {
                "complete": self.is_complete_trace(),
                "record": self.is_record_trace(),
                "invalid": self.is_invalid_trace(),
            }
            rows.append(f"{next(name for name, now in names.items() if now)} {count[0]}")
            count[0] = 0
            if os.environ.get("RANK") == "0":
                Path(os.environ["GATHERED"]).write_text("\n".join(rows))
            return reset(self)

        Coordinator._PartitionedParameterCoordinator__all_gather_params_, Coordinator.reset_step = counting, noting
        limits = {"max_live_parameters": 900, "max_reuse_distance": 900, "prefetch_bucket_size": 45}
        return super().settings() | {f"stage3_{name}": value for name, value in limits.items()}


def stage(
    folder: Path, base: Path, rows: list[Example] | None = None, optimizer: Optimizer | None = None, **how: object
) -> TrainingStage:
    """A training stage in float32 over `rows`; `how` overrides fields of Training, or `seed`, `logger`, `model`."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "examples.jsonl", rows or examples())
    about = {name: how.pop(name) for name in ("seed", "logger", "model") if name in how}
    usual = {
        "steps": 4,
        "global_batch": 8,
        "max_length": 200,
        "precision": "32-true",
        "export": "float32",
        "logit_chunks": 3,
    }
    if "epochs" in how:
        usual["steps"] = None
    return TrainingStage(
        **{"seed": 0, "model": Model(path=str(base))} | about,
        training=Training(**usual | how),
        optimizer=optimizer or AdamW(lr=1e-3, schedule=Schedule(shape="linear", warmup=2, final=0.1)),
        examples=folder / "examples.jsonl",
        store=folder.parent / "store",
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model" / "model.safetensors")


def furthest(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> float:
    """Largest difference between two sets of weights of the same names."""
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).detach().abs().max()) for name in one)
