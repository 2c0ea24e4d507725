"""`python -m limo answers outputs/<name>/<overrides> --wrong`: read in a terminal what a model answered, and why it counts as it does."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limo import UserError
from limo.loaded import WHICH, evaluation
from limo.records import Answer
from limo.report.replies import FILTERS, answers_in, files_of
from limo.spelling import meant
from limo.terminal import fold, width

HEAD, TAIL = 16, 8
"""Lines that are shown of a long answer."""
Identity = tuple[str, str, int]
"""Benchmark, question, sample."""


@dataclass(frozen=True)
class Before:
    """What another run answered to the same."""

    correct: bool
    verdict: str
    answer: str | None


def main(arguments: Sequence[str]) -> None:
    """Raises UserError where there are no such answers."""
    given = _parser().parse_args(arguments)
    if given.limit < 0:
        raise UserError(f"--limit {given.limit}: give how many to show, or 0 for all")
    folder = evaluation(given.run, given.which)
    files = files_of(folder, given.benchmark)
    before = _before(given, files)
    wanted = [name for name in FILTERS if getattr(given, name)]
    counts, shown, asked = Counter[str](), 0, set[str]()
    for answer in answers_in(files.values()):
        earlier = before.get(_identity(answer))
        counts.update(_kinds(answer, earlier))
        if given.id:
            asked.add(answer.problem)
        if any(not FILTERS[name][1](answer) for name in wanted) or (given.id and answer.problem not in given.id):
            continue
        if given.changed and (earlier is None or earlier.correct == answer.correct):
            continue
        counts["listed"] += 1
        if not given.limit or shown < given.limit:
            print(text(answer, earlier, given.changed, given.whole), end="\n\n")
            shown += 1
    if unknown := [one for one in given.id or () if one not in asked]:
        near = meant(unknown[0], asked) or "".join(f"; they are called like {one}" for one in sorted(asked)[:1])
        raise UserError(f"--id {unknown[0]}: no such question in {', '.join(files)} of {folder}{near}")
    print(_counted(f"{', '.join(files)} of {folder}", counts, shown, given))


def _before(given: argparse.Namespace, files: Mapping[str, Path]) -> dict[Identity, Before]:
    """What the other run answered, where one is named. Raises UserError where it was asked other questions."""
    if not given.changed:
        return {}
    others = files_of(evaluation(given.changed, given.which))
    shared = answers_in(file for name, file in others.items() if name in files)
    found = {_identity(one): Before(one.correct, one.verdict, one.answer) for one in shared}
    if not found:
        raise UserError(
            f"--changed {given.changed}: it has no answers to {', '.join(files)}; it has {', '.join(others)}"
        )
    return found


def _identity(answer: Answer) -> Identity:
    return answer.benchmark, answer.problem, answer.sample


def _kinds(answer: Answer, earlier: Before | None) -> Iterator[str]:
    """What an answer counts as."""
    yield answer.verdict
    yield "all"
    if answer.finish != "stop":
        yield "cut"
    if earlier and earlier.correct != answer.correct:
        yield "gained" if answer.correct else "lost"


def text(answer: Answer, earlier: Before | None = None, other: Path | None = None, whole: bool = False) -> str:
    """One answer with all that explains its verdict; a long one without its middle unless `whole`."""
    columns = width()
    head = f"{answer.benchmark}  {answer.problem}  sample {answer.sample}: {answer.verdict} ({answer.rule}); "
    head += f"{answer.finish}, {answer.tokens:,} tokens"
    options = [f"{letter}. {option}" for letter, option in (answer.gold.choices or {}).items()]
    pairs = [("question", "\n".join([answer.question, *options])), ("gold", answer.gold.text)]
    pairs += [("extracted", "none" if answer.answer is None else answer.answer)]
    if earlier and other:
        said = "no answer" if earlier.answer is None else earlier.answer
        pairs.append(("before", f"{earlier.verdict}: {said}  ({other})"))
    lines = ["─" * columns, *fold(head, columns)]
    for name, value in pairs:
        first, *rest = fold(value, columns - 11)
        lines += [f"{name:<11}{first}", *(f"{'':11}{line}" for line in rest)]
    response = fold(answer.response, columns)
    if not whole and len(response) > HEAD + TAIL + 1:
        left = f"… {len(response) - HEAD - TAIL} lines are left out; --whole shows them …"
        response = [*response[:HEAD], left, *response[-TAIL:]]
    return "\n".join([*lines, "", *response])


def _counted(of: str, counts: Counter[str], shown: int, given: argparse.Namespace) -> str:
    """The last line: how many there are, of which kind, and how many of them were shown."""
    own = ("all", "cut", "gained", "lost", "listed")
    verdicts = [f"{n:,} {verdict}" for verdict, n in counts.most_common() if verdict not in own]
    said = [f"{counts['all']:,} answers to {of}: {', '.join(verdicts)}; {counts['cut']:,} cut"]
    if given.changed:
        said.append(f"{counts['gained']:,} gained and {counts['lost']:,} lost against {given.changed}")
    if counts["listed"] < counts["all"]:
        said.append(f"{counts['listed']:,} as asked for")
    said.append(f"{shown:,} shown" + ("; --limit 0 shows all" if shown < counts["listed"] else ""))
    return "\n".join(fold("; ".join(said), width()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m limo answers",
        description="Read the answers of an evaluation, each with what explains its verdict.",
    )
    parser.add_argument("run", type=Path, help="folder of a run, or of an evaluation such as a result of the store")
    for name, (words, _) in FILTERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=f"only those {words}")
    parser.add_argument(
        "--changed", type=Path, metavar="RUN", help="only those right here and wrong there, or the reverse"
    )
    parser.add_argument("--benchmark", help="only of this one")
    parser.add_argument("--id", action="append", metavar="QUESTION", help="only to this question; may be repeated")
    parser.add_argument("--which", choices=WHICH, help="of which model (tuned, where there is one)")
    parser.add_argument("--limit", type=int, default=10, help="at most so many; 0 for all (%(default)s)")
    parser.add_argument("--whole", action="store_true", help="long answers with their middle")
    return parser
