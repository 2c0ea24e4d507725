"""Our sampling and raw vLLM on the same weights, prompts, seeds and lengths: tokens per second once the engine is up.

    python benchmarks/serving.py <model folder> <questions.jsonl> --questions 64 --max-tokens 128 --rounds 2

Raw is `LLM.generate` on all requests at once, with the same engine arguments; ours is what a run does with them: a process of its own
that is fed as it answers, the text of each answer checked, written and synced to the log of completions. Neither has its start counted.
The two take turns, each in a process of its own; a shared machine makes wall seconds noisy, so the processor's seconds of all processes
at work stand beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limo.engine import Sampling
from limo.engine.vllm import Vllm
from limo.models import Model

SYSTEMS = ("raw", "ours")


class Clock:
    """Wall and processor's seconds of this process and all below it, from `start` to the last `tick`."""

    def start(self) -> None:
        self.zero = self.now()

    def tick(self) -> None:
        self.end = self.now()

    def now(self) -> tuple[float, float]:
        return time.perf_counter(), sum(_seconds(os.getpid()))

    @property
    def took(self) -> dict[str, float]:
        return {"wall": self.end[0] - self.zero[0], "cpu": self.end[1] - self.zero[1]}


def _seconds(process: int) -> Iterator[float]:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        below = [c for f in Path(f"/proc/{process}/task").glob("*/children") for c in f.read_text().split()]
    except OSError:  # it has just ended
        return
    yield (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    for child in map(int, below):
        yield from _seconds(child)


def questions(path: Path, count: int) -> list[tuple[str, str]]:
    rows = path.read_text(encoding="utf-8").splitlines()[:count]
    return [(str(n), json.loads(row)["question"]) for n, row in enumerate(rows)]


def ours(model: Model, asked: list[tuple[str, str]], sampling: Sampling, clock: Clock) -> int:
    from limo.engine.completions import Writer
    from limo.engine.replicas import Fleet
    from limo.engine.sampling import sample

    hear, append = Fleet.hear, Writer.append

    def ready(fleet: Fleet, replica: Any, said: Any) -> Any:
        if said.window is not None:
            clock.start()
        return hear(fleet, replica, said)

    def written(writer: Writer, *answer: Any) -> None:
        append(writer, *answer)
        clock.tick()

    Fleet.hear, Writer.append = ready, written  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as store:
        return sum(one.tokens for one in sample(Vllm(), model, asked, sampling, 0, "bench", Path(store)))


def raw(model: Model, asked: list[tuple[str, str]], sampling: Sampling, clock: Clock) -> int:
    """The same engine arguments and parameters, as `Vllm.open` gives them, and nothing of ours around the generating."""
    from limo.engine.asking import seed_of
    from limo.engine.protocol import Request
    from limo.engine.vllm import _parameters
    from limo.models import end_ids, load_tokenizer, prompt_ids

    tokenizer = load_tokenizer(model)
    prompts = [tuple(prompt_ids(tokenizer, model, text)) for _, text in asked]
    how = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.max_tokens)
    requests = [Request(p, seed_of(0, "bench", id, 0), *how) for p, (id, _) in zip(prompts, asked, strict=True)]
    import vllm

    kept: list[Any] = []
    made = vllm.LLM
    vllm.LLM = lambda **options: kept.append(made(**options)) or kept[0]  # type: ignore[func-returns-value]
    Vllm().open(model, max(map(len, prompts)) + sampling.max_tokens, len(requests))
    given = [{"prompt_token_ids": list(r.prompt)} for r in requests]
    parameters = [_parameters(r, end_ids(tokenizer, model)) for r in requests]
    for one in parameters:  # texts are made, as a user of LLM.generate has them
        one.detokenize = True
        one.output_kind = vllm.sampling_params.RequestOutputKind.FINAL_ONLY
    clock.start()
    found = kept[0].generate(given, parameters, use_tqdm=False)
    clock.tick()
    return sum(len(one.outputs[0].token_ids) for one in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path, help="JSONL with a column `question`")
    parser.add_argument("--questions", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", choices=SYSTEMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        clock, model = Clock(), Model(path=str(args.model))
        sampling = Sampling(temperature=args.temperature, max_tokens=args.max_tokens)
        tokens = globals()[args.child](model, questions(args.data, args.questions), sampling, clock)
        print(json.dumps({"tokens": tokens, **clock.took}), flush=True)
        return
    totals = {name: {"tokens": 0.0, "wall": 0.0, "cpu": 0.0} for name in SYSTEMS}
    print("| round | system | tokens | tokens/s | tokens per CPU second |\n|---|---|---|---|---|")
    for number in range(args.rounds):
        for name in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
            got = child(name)
            totals[name] = {key: value + got[key] for key, value in totals[name].items()}
            print(f"| {number + 1} | {name} | {got['tokens']:,} | {_rates(got)} |", flush=True)
    for name, got in totals.items():
        print(f"| all | {name} | {got['tokens']:,.0f} | {_rates(got)} |")
    wall, cpu = (
        totals["ours"]["tokens"] / totals["ours"][key] / (totals["raw"]["tokens"] / totals["raw"][key])
        for key in ("wall", "cpu")
    )
    print(f"\nours / raw: {100 * wall:.1f} % of the tokens a second, {100 * cpu:.1f} % of those a CPU second")


def child(name: str) -> dict[str, float]:
    command = [sys.executable, *sys.argv, "--child", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    (last,) = [line for line in done.stdout.splitlines() if line.startswith('{"tokens"')]  # vLLM prints there too
    found: dict[str, float] = json.loads(last)
    return found


def _rates(got: dict[str, float]) -> str:
    return f"{got['tokens'] / got['wall']:.1f} | {got['tokens'] / got['cpu']:.1f}"


if __name__ == "__main__":
    main()
