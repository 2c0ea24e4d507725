"""`python -m limo grade cases.jsonl`: grade a file of answers of any harness; measure the grader where verdicts are known."""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from limo import UserError, records
from limo.config import describe as describe_error
from limo.engine.auto import AutoEngine
from limo.evaluation.judge import Judge, regrade
from limo.grading import Rules, grade_all
from limo.grading.foreign import GOLD, RESPONSE, Submitted, listed, read_row
from limo.grading.match.compare import unwrap
from limo.models import Model
from limo.records import Grade

STORE = Path("outputs/.store")
"""Where a judge's replies are kept, so that the same answer is judged once."""

WORDS = 25
"""A gold answer of more is a text."""

Graded = tuple[Submitted, Grade]


def main(arguments: Sequence[str]) -> None:
    """Raises UserError for a mistake in the file or the command."""
    options = _parser().parse_args(arguments)
    try:
        judge = judge_of(options.judge) if options.judge else None
        run(
            options.cases, options.out, Rules(name=options.rules, gold=options.gold), options.jobs, options.field, judge
        )
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{error.filename or options.cases}: {error.strerror}") from None


def run(
    cases: Path, out: Path | None, rules: Rules, jobs: int = 0, field: str | None = None, judge: Judge | None = None
) -> None:
    """Grade a file: one verdict a line to `out` (else standard output), and what they come to."""
    answers = [
        found for number, row in records.rows(cases) for found in read_row(row, f"{cases}, line {number}", field)
    ]
    if not answers:
        raise UserError(f"{cases}: no rows; give one JSON object a line, with gold and response")
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    started = time.monotonic()
    given = [answer.case for answer in answers]
    grades = grade_all(given, rules, jobs, title="grading")
    if judge is not None:
        grades = regrade(judge, [answer.question for answer in answers], given, grades, STORE)
    graded = list(zip(answers, grades, strict=True))
    rows = [answer.line(grade) for answer, grade in graded]
    if out is not None:
        records.write(out, rows)
    else:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.writelines(records.line(row) for row in rows)
            sys.stdout.flush()
    print(describe(graded, time.monotonic() - started), file=sys.stderr if out is None else sys.stdout)


def describe(graded: Sequence[Graded], seconds: float) -> str:
    """Counts of verdicts; beside known ones, agreement and both kinds of error, overall and by kind."""
    counts = collections.Counter(grade.verdict for _, grade in graded)
    lines = [
        f"{len(graded)} cases in {seconds:.1f} s ({1000 * seconds / len(graded):.2f} s per 1000): "
        + ", ".join(f"{count} {name}" for name, count in counts.most_common())
    ]
    if unread := [answer for answer, grade in graded if _unread(answer, grade)]:
        lines.append(
            f"{len(unread)} of {len(graded)} gold answers ({100 * len(unread) / len(graded):.1f} %) could not be read as answers, "
            f"such as {str(unread[0].case.gold)[:60]!r}; give the final answer, alone, in \\boxed{{}} or after ####"
        )
    known = [(answer, grade) for answer, grade in graded if answer.expected is not None]
    if known:
        lines.append(_errors("agreement", known))
        if judged := [pair for pair in known if pair[1].verdict.startswith("judge_")]:
            lines.append(_errors("the judge alone", judged))
        kinds: dict[str, list[Graded]] = collections.defaultdict(list)
        for pair in known:
            kinds[pair[0].kind].append(pair)
        if len(kinds) > 1:
            lines += [_errors(f"  {kind or 'other'}", kinds[kind]) for kind in sorted(kinds)]
    return "\n".join(lines)


def _unread(answer: Submitted, grade: Grade) -> bool:
    """Whether no answer to compare with is in its gold: none at all, or a whole text."""
    return grade.verdict == "gold_unparsed" or (
        not grade.correct and len(unwrap(str(answer.case.gold)).split()) > WORDS
    )


def judge_of(settings: Sequence[str]) -> Judge:
    """The judge of `--judge model=… [revision=…] [dtype=…]`. Raises UserError where it cannot be had."""
    given = dict(setting.partition("=")[::2] for setting in settings)
    if "model" not in given or given.keys() - {"model", "revision", "dtype"}:
        raise UserError(f"--judge {' '.join(settings)}: give model=<hub id or folder>, and revision=, dtype= if wanted")
    try:
        judge = Judge(model=Model(path=given.pop("model"), **given), engine=AutoEngine())  # type: ignore[arg-type]
    except ValidationError as error:
        raise UserError(describe_error(error, "--judge")) from None
    if lacks := judge.missing():
        raise UserError(lacks[0].replace("evaluation.judge: ", "--judge: "))
    return judge


def _errors(name: str, graded: Sequence[Graded]) -> str:
    accepts = sum(grade.correct and not answer.expected for answer, grade in graded)
    rejects = sum(not grade.correct and bool(answer.expected) for answer, grade in graded)
    n = len(graded)
    return (
        f"{name}: {100 * (n - accepts - rejects) / n:.2f} % of {n}, "
        f"{accepts} false accepts ({100 * accepts / n:.2f} %), {rejects} false rejects ({100 * rejects / n:.2f} %)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m limo grade",
        description="Grade a JSONL file of answers, one JSON object a line.",
        epilog=f"The right answer is read from the first of {listed(GOLD)}; what the model wrote from the first of "
        f"{listed(RESPONSE)}. Optional: id, answer_type, choices, finish, benchmark, kind, and expected (true or false) "
        "to measure the grader itself.",
    )
    parser.add_argument("cases", type=Path, help="JSONL file, one answer with its right answer a line")
    parser.add_argument(
        "--out", type=Path, help="write the verdicts there; else to standard output, and the summary to standard error"
    )
    parser.add_argument("--jobs", type=int, default=0, help="worker processes (0: one a core)")
    parser.add_argument(
        "--rules", choices=("limo", "paper"), default="limo", help="paper: what LIMO's published grader accepts"
    )
    parser.add_argument(
        "--gold",
        choices=("all", "any"),
        default="all",
        help="what a list of gold answers means: all of them are the answer (except spellings of one), or any one of them is accepted",
    )
    parser.add_argument(
        "--judge",
        nargs="+",
        metavar="KEY=VALUE",
        help="a second model for free-form answers that the rules reject: model=<hub id or folder>, optional revision= and dtype=",
    )
    parser.add_argument("--field", help="the field that holds what the model wrote")
    return parser
