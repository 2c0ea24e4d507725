"""How long a pool takes from files to a selection, how much memory, and what is found of the copies planted in it.

    python benchmarks/curation.py BENCHMARKS BASE --rows 10000,100000,1000000
    python benchmarks/curation.py BENCHMARKS BASE --rows 100000 --others     # pip install 'datatrove[processing]' spacy

BENCHMARKS is a folder of the JSONL files of LIMO's evaluation (`math.jsonl` …), all of which are protected; BASE is GSM8K's
`train.jsonl`. A pool is made of BASE: three sentences of three problems and other numbers each, so that no row repeats another,
and SEEDED copies of each kind are planted: benchmark questions as they are, restyled, with other numbers, and inside a prompt;
and rows of the pool with one word changed. What is flagged of the rest is a false alarm. Each step runs as in a run.
`--others` looks for the benchmark questions alone, in one process: by the rule of this project, by the whitespace 8-gram of s1 and
open-r1, and by the n-grams of datatrove where that is installed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from limo import records
from limo.compose import compose
from limo.data import DataStage, Decontamination, Files
from limo.records import Example, Problem

SEEDED = 300
KINDS = ("exact", "restyled", "embedded", "renumbered", "plain")


def protected(folder: Path) -> dict[str, Files]:
    found = {}
    for file in sorted(folder.glob("*.jsonl")):
        first = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
        column = next((name for name in ("question", "problem") if name in first), None)
        if column and "answer" in first:
            found[file.stem] = Files(path=file, question=column)
    return found


def restyled(text: str) -> str:
    return re.sub(r"\s+", "  ", text.replace("$", " ").replace("\\frac", "\\dfrac"))


def renumbered(text: str, rng: random.Random) -> str:
    return re.sub(r"\d+", lambda match: str(int(match[0][:9]) + rng.randint(1, 9)), text)


def embedded(text: str) -> str:
    return (
        f"You are given a task. Solve it with care.\n\n{text}\n\nPut the final answer in a box and explain each step."
    )


def pool(rows: int, base: list[dict[str, str]], questions: list[str], rng: random.Random) -> Iterator[dict[str, str]]:
    """Rows in a random order; the id says what each is."""
    sentences = [part for row in base for part in re.split(r"(?<=[.?!])\s+", row["question"]) if len(part.split()) > 5]
    worked = [row["answer"].partition("####")[0] for row in base]
    plain = [
        (f"plain-{n:07d}", renumbered(" ".join(rng.sample(sentences, 3)), rng), str(n))
        for n in range(rows - 5 * SEEDED)
    ]
    leaks = {"exact": str, "restyled": restyled, "embedded": embedded, "renumbered": lambda text: renumbered(text, rng)}
    numbers = [question for question in questions if len(re.findall(r"\d+", question)) > 1]
    for kind, change in leaks.items():
        some = rng.sample(numbers if kind == "renumbered" else questions, SEEDED)
        plain += [(f"{kind}-{n}", change(text), "1") for n, text in enumerate(some)]
    for n, (_, text, answer) in enumerate(rng.sample(plain[: rows - 5 * SEEDED], SEEDED)):
        words = text.split()
        words[len(words) // 2] = "somewhat"
        plain.append((f"q-near-{n}", " ".join(words), answer))
    rng.shuffle(plain)
    for name, text, answer in plain:
        yield {"id": name, "question": text, "answer": answer, "solution": f"{rng.choice(worked)}\n\\boxed{{{answer}}}"}


def kinds(ids: Iterator[str] | list[str]) -> Counter[str]:
    return Counter(re.sub(r"-\d+$", "", name) for name in ids)


def processor() -> str:
    """What all processes that ended, and this one, have worked so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return f"{sum(u.ru_utime + u.ru_stime for u in used):.0f} s of processors so far"


def gibibytes() -> str:
    """The most memory of this process and of the largest that it started."""
    return " + ".join(f"{resource.getrusage(who).ru_maxrss / 2**20:.1f}" for who in (0, resource.RUSAGE_CHILDREN))


def measure(rows: int, folder: Path, options: argparse.Namespace) -> None:
    rng = random.Random(0)
    base = [row for _, row in records.rows(options.base)]
    sources = protected(options.benchmarks)
    held = {name: source.problems() for name, source in sources.items()}
    records.write(folder / "rows.jsonl", pool(rows, base, [p.question for each in held.values() for p in each], rng))
    (out := folder / "data").mkdir()
    print(f"{rows:,} rows, {(folder / 'rows.jsonl').stat().st_size / 2**20:.0f} MiB; {processor()}", flush=True)
    started = time.perf_counter()
    data = Files(path=folder / "rows.jsonl", id="id", solution="solution", near=0.8)
    DataStage(data=data, protect=sources).run(out)
    cleaned = time.perf_counter()
    reasons: dict[str, list[str]] = {}
    for _, row in records.rows(out / "dropped.jsonl"):
        reasons.setdefault(row["reason"], []).append(row["id"])
    print(f"  read, deduplicated, decontaminated in {cleaned - started:.0f} s, {gibibytes()} GiB, {processor()}")
    for reason, ids in reasons.items():
        print(f"  {reason}: {dict(kinds(ids))}")
    print(f"  dropped in all: {dict(kinds([id for ids in reasons.values() for id in ids]))}")
    for _, row in records.rows(out / "dropped.jsonl"):
        if row["id"].startswith("plain") and row["match"]:
            print("  false alarm:", row["match"]["method"], row["match"]["benchmark"], "|", row["match"]["text"])
    select(out / "problems.jsonl")
    print(
        f"  scored and selected in {time.perf_counter() - cleaned:.0f} s, {gibibytes()} GiB, {processor()}", flush=True
    )
    if options.others:
        whole = data.problems()
        print("| rule | " + " | ".join(KINDS) + " | seconds |")
        for name, rule in OTHERS.items():
            started = time.perf_counter()
            counts = kinds(list(rule(whole, held)))
            cells = [str(counts[kind]) for kind in KINDS] + [f"{time.perf_counter() - started:.0f}"]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def ours(pool: list[Problem], held: dict[str, list[Problem]]) -> Iterable[str]:
    return Decontamination().find(pool, held)


def eight_words(pool: list[Problem], held: dict[str, list[Problem]]) -> Iterable[str]:
    """Any run of eight words between blanks, in lower case."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return set(zip(*(words[n:] for n in range(8)), strict=False))

    known = {run for each in held.values() for p in each for run in runs(p.question)}
    return [p.id for p in pool if known & runs(p.question)]


def datatrove(pool: list[Problem], held: dict[str, list[Problem]]) -> Iterable[str]:
    """Any of a question's runs of twelve words, as its filter takes and hashes them; its indexer, which fetches tasks from a hub,
    is three lines here."""
    try:
        from datatrove.data import Document
        from datatrove.pipeline.decont import NGramsDecontFilter
        from datatrove.utils.text import ngrams, simplify_text
    except ImportError as error:
        print(f"datatrove: {error}; pip install 'datatrove[processing]' spacy")
        return ()
    step = NGramsDecontFilter(tempfile.gettempdir())
    step._index_hashes = {}
    for text in (p.question for each in held.values() for p in each):
        words = step.tokenizer.word_tokenize(simplify_text(text, step.config.norm_config))
        step._index_hashes |= {step.hash_func(" ".join(run)): "held" for run in ngrams(words, step.config.n_grams)}
    return [p.id for p in pool if step.filter(Document(text=p.question, id=p.id)) is not True]


OTHERS = {"tokens (limo)": ours, "whitespace 8-gram (s1, open-r1)": eight_words, "12-gram (datatrove)": datatrove}


def select(problems: Path) -> None:
    """The rule score of LIMO and the best 800."""
    steps = ["~selection.steps.correct", "~selection.steps.solve_rate", "selection.size=800"]
    selection = compose(["data=files", "selection=limo", *steps]).selection
    pool = [
        Example(id=p.id, problem=p.id, question=p.question, answer=p.answer, solution=p.solutions[0])
        for p in records.read(problems, Problem)
    ]
    assert len(selection.choose(pool, 0).kept) == 800


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("base", type=Path)
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--others", action="store_true", help="two other rules beside ours")
    options = parser.parse_args()
    for rows in map(int, options.rows.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            measure(rows, Path(folder), options)


if __name__ == "__main__":
    main()
