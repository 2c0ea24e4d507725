"""Our trainer, a bare PyTorch loop, Hugging Face Trainer and TRL's SFTTrainer on the same weights and examples: tokens per second, memory.

    python benchmarks/training.py <model folder> --data ragged --examples 16      # all of them, each in a process of its own
    python benchmarks/training.py <model folder> --data uneven --examples 64      # 32 short and 32 long, in a quarter of an hour
    python benchmarks/training.py --loss 2048                                     # peak memory of the loss at vocabulary 151,936

`trl` is needed for its row only (pip install trl). Rates count real tokens, never padding. CPU seconds are shown beside wall seconds,
because a shared machine makes the latter noisy.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from limo.models import Model, load_tokenizer
from limo.models.encode import Encoded, encode
from limo.records import Example, write

TEXT = (
    "so we add the two numbers and then take half of what is left because each box holds seven more apples 12 30 45 7"
)
TRAINERS = ("ours", "padded", "loop", "hf", "trl")
RATE = 1e-5


def examples(kind: str, count: int) -> list[Example]:
    """`short`: like GSM8K, 190 to 370 tokens; `long`: 1.3k to 2.4k tokens; `ragged`: half of each, mixed; `uneven`: with 340 to 720 tokens
    for the long ones, so that the four systems take 32 + 32 of them in a quarter of an hour on two cores.
    """
    rng = random.Random(0)
    short, long, middle = (80, 200), (900, 1850), (200, 500)
    sizes = {"short": [short], "long": [long], "ragged": [short, long], "uneven": [short, middle]}[kind]
    rows = []
    for i in range(count):
        low, high = sizes[i % len(sizes)]
        solution = " ".join(rng.choices(TEXT.split(), k=rng.randint(low, high)))
        question = " ".join(rng.choices(TEXT.split(), k=45))
        rows.append(Example(id=f"e{i}", problem=f"p{i}", question=question, answer="7", solution=solution))
    rng.shuffle(rows)
    return rows


class Clock:
    """Wall and CPU seconds since `start`, as of the last `tick`."""

    def start(self) -> None:
        self.zero = (time.perf_counter(), time.process_time())

    def tick(self) -> None:
        self.wall, self.cpu = time.perf_counter() - self.zero[0], time.process_time() - self.zero[1]


def ours(model: Model, rows: list[Example], batch: int, bf16: bool, clock: Clock, packing: bool = True) -> None:
    from limo.optimizers import AdamW, Schedule
    from limo.training import Training, TrainingStage
    from limo.training.step_log import StepLog

    before, after = StepLog.on_train_start, StepLog.on_train_batch_end
    StepLog.on_train_start = lambda *a, **k: (before(*a, **k), clock.start())[0]  # type: ignore[method-assign, func-returns-value]
    StepLog.on_train_batch_end = lambda *a, **k: (after(*a, **k), clock.tick())[0]  # type: ignore[method-assign, func-returns-value]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "examples.jsonl", rows)
        how = Training(
            epochs=1,
            global_batch=batch,
            max_length=4096,
            precision="bf16-mixed" if bf16 else "32-true",
            packing=packing,
            micro_batch=None if packing else batch,
        )
        stage = TrainingStage(
            training=how,
            model=model,
            optimizer=AdamW(lr=RATE, schedule=Schedule(shape="constant")),
            examples=folder / "examples.jsonl",
            seed=0,
            store=folder / "store",
        )
        stage.run(folder)


def padded(model: Model, rows: list[Example], batch: int, bf16: bool, clock: Clock) -> None:
    ours(model, rows, batch, bf16, clock, packing=False)


def loop(model: Model, rows: list[Example], batch: int, bf16: bool, clock: Clock) -> None:
    """What one writes by hand: padded rows in the given order, all logits at once, the loss of transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = load_tokenizer(model)
    net = AutoModelForCausalLM.from_pretrained(model.folder(), dtype=torch.float32).to(device).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, foreach=True)
    encoded = [encode(tokenizer, model, row) for row in rows]
    clock.start()
    for start in range(0, len(encoded), batch):
        ids, mask, labels = _padded(encoded[start : start + batch], int(tokenizer.pad_token_id))
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            net(
                input_ids=ids.to(device), attention_mask=mask.to(device), labels=labels.to(device), use_cache=False
            ).loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        _wait()
        clock.tick()


def _padded(members: list[Encoded], pad: int) -> tuple[Any, Any, Any]:
    import torch

    longest = max(len(m.tokens) for m in members)
    ids = torch.tensor([[*m.tokens, *[pad] * (longest - len(m.tokens))] for m in members])
    mask = torch.tensor([[1] * len(m.tokens) + [0] * (longest - len(m.tokens)) for m in members])
    labels = ids.clone()
    for row, member in enumerate(members):
        labels[row, : member.prompt] = -100
        labels[row, len(member.tokens) :] = -100
    return ids, mask, labels


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _callback(clock: Clock) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            clock.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            _wait()
            clock.tick()

    return Watch()


def _settings(batch: int, bf16: bool, folder: str) -> dict[str, Any]:
    work = {"per_device_train_batch_size": batch, "num_train_epochs": 1, "bf16": bf16, "gradient_checkpointing": False}
    rate = {"learning_rate": RATE, "lr_scheduler_type": "constant", "optim": "adamw_torch"}
    quiet = {"save_strategy": "no", "logging_strategy": "no", "report_to": [], "disable_tqdm": True}
    return work | rate | quiet | {"output_dir": folder, "dataloader_pin_memory": False}


def hf(model: Model, rows: list[Example], batch: int, bf16: bool, clock: Clock) -> None:
    import torch
    from transformers import AutoModelForCausalLM, DataCollatorForSeq2Seq, Trainer, TrainingArguments

    tokenizer = load_tokenizer(model)
    net = AutoModelForCausalLM.from_pretrained(model.folder(), dtype=torch.float32)
    encoded = [encode(tokenizer, model, row) for row in rows]
    data = [{"input_ids": list(e.tokens), "labels": [-100] * e.prompt + list(e.tokens[e.prompt :])} for e in encoded]
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=net,
            args=TrainingArguments(**_settings(batch, bf16, folder)),
            train_dataset=data,
            data_collator=DataCollatorForSeq2Seq(tokenizer),
            callbacks=[_callback(clock)],
        ).train()


def trl(model: Model, rows: list[Example], batch: int, bf16: bool, clock: Clock) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    net = AutoModelForCausalLM.from_pretrained(model.folder(), dtype=torch.float32)
    turns = [{"prompt": _turn("user", r.question), "completion": _turn("assistant", r.solution)} for r in rows]
    with tempfile.TemporaryDirectory() as folder:
        SFTTrainer(
            model=net,
            args=SFTConfig(**_settings(batch, bf16, folder), max_length=4096),
            train_dataset=Dataset.from_list(turns),
            processing_class=load_tokenizer(model),
            callbacks=[_callback(clock)],
        ).train()


def _turn(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """One trainer in this process."""
    import torch

    clock, model = Clock(), Model(path=args.model)
    rows = examples(args.data, args.examples)
    tokenizer = load_tokenizer(model)
    encoded = [encode(tokenizer, model, row) for row in rows]
    start = _resident()
    globals()[name](model, rows, args.batch, args.bf16, clock)
    tokens, supervised = sum(len(e.tokens) for e in encoded), sum(e.supervised for e in encoded)
    found = {"wall": clock.wall, "cpu": clock.cpu, "tokens": tokens, "supervised": supervised}
    if not torch.cuda.is_available():
        return found | {"peak": _resident() - start}
    weights = sum(p.numel() for p in _parameters(model))
    return found | {"peak": torch.cuda.max_memory_allocated(), "flops": 6 * weights * tokens / clock.wall}


def _resident() -> int:
    """Most bytes of main memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _parameters(model: Model) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        return list(AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model.folder())).parameters())


def loss(tokens: int, chunks: int, hidden_size: int) -> float:
    """Peak extra bytes of head and cross-entropy, forward and backward, at vocabulary 151,936; 0 chunks is the plain loss."""
    import torch
    from torch.utils.checkpoint import checkpoint

    from limo.training.module import weighted

    head = torch.nn.Linear(hidden_size, 151_936, bias=False)
    head.weight.grad = torch.zeros_like(head.weight)
    hidden = torch.randn(tokens, hidden_size, requires_grad=True)
    targets, weights = torch.randint(0, 151_936, (tokens,)), torch.full((tokens,), 1 / tokens)
    # both accumulate one more copy of the head's gradient: made once here, so that it is not counted
    weighted(head, hidden[:8], targets[:8], weights[:8])[0].backward()
    start = _resident()
    if chunks == 0:
        torch.nn.functional.cross_entropy(head(hidden).float(), targets).backward()
    else:
        pieces = zip(*(tensor.tensor_split(chunks) for tensor in (hidden, targets, weights)), strict=True)
        torch.stack([checkpoint(weighted, head, *piece, use_reentrant=False)[0] for piece in pieces]).sum().backward()
    return float(_resident() - start)


def child(*arguments: str) -> Any:
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare_losses(tokens: int, hidden_size: int) -> None:
    same = ("--loss", str(tokens), "--hidden", str(hidden_size), "--child")
    plain, chunked = child(*same, "0") / 2**30, child(*same, "16") / 2**30
    print(
        f"peak memory of the loss at {tokens} tokens: plain {plain:.2f} GiB, ours {chunked:.2f} GiB ({chunked / plain:.2f})"
    )


def compare_trainers(names: list[str], args: argparse.Namespace) -> None:
    print(
        "| trainer | tokens/s | supervised/s | tokens per CPU second | seconds | peak GiB |\n|---|---|---|---|---|---|"
    )
    same = [args.model, "--data", args.data, "--examples", str(args.examples), "--batch", str(args.batch)]
    for name in names:
        got = child(*same, *(["--bf16"] if args.bf16 else []), "--child", name)
        speed = (got["tokens"] / got["wall"], got["supervised"] / got["wall"], got["tokens"] / got["cpu"])
        flops = f" ({got['flops'] / 1e12:.0f} TFLOP/s)" if "flops" in got else ""
        cells = [f"{v:.2f}" if v < 100 else f"{v:.0f}" for v in (*speed, got["wall"], got["peak"] / 2**30)]
        print(f"| {name}{flops} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--data", choices=("short", "long", "ragged", "uneven"), default="ragged")
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--trainers", default=",".join(TRAINERS))
    parser.add_argument("--loss", type=int, metavar="TOKENS")
    parser.add_argument(
        "--hidden", type=int, default=896, help="width of the head for --loss; fewer is faster, the logits are as large"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(loss(args.loss, int(args.child), args.hidden) if args.loss else measure(args.child, args)))
    elif args.loss:
        compare_losses(args.loss, args.hidden)
    elif args.model is None:
        parser.error("give a model folder")
    elif unknown := set(args.trainers.split(",")) - set(TRAINERS):
        parser.error(f"--trainers: there is no {', '.join(unknown)}; choose of {', '.join(TRAINERS)}")
    else:
        compare_trainers(args.trainers.split(","), args)


if __name__ == "__main__":
    main()
