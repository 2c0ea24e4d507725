"""`python -m limo grade cases.jsonl`: grade a file of answers of any harness; measure the grader where verdicts are known."""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limo import UserError, records
from limo.config import describe as describe_error
from limo.engine.auto import AutoEngine
from limo.evaluation import Judge
from limo.evaluation.judge import regrade
from limo.grading import TYPES, Case, Rules, grade_all
from limo.models import Model
from limo.records import Grade

GOLD = (
    "gold",
    "gold_answer",
    "ground_truth",
    "groundtruth",
    "gt",
    "target",
    "reference",
    "reference_answer",
    "expected_answer",
    "label",
    "answer",
)
"""Names of the field that holds the right answer; the first one that a row has counts."""
RESPONSE = (
    "response", "responses", "completion", "completions", "generation", "generated_text", "generated_responses", "model_output", "output",
    "outputs", "resps", "code", "text", "prediction", "predicted_answer", "pred", "generated_answers", "model_answer",
)  # fmt: skip
"""Names of the field that holds what the model wrote, whole text before extracted answer."""
IDENTITY = ("id", "idx", "doc_id", "question_id", "problem_id", "unique_id", "index")
QUESTION = ("question", "problem", "prompt", "input")
"""Names of the field that holds the question; only a judge reads it."""
STORE = Path("outputs/.store")
"""Where a judge's replies are kept, so that the same answer is judged once."""
FINISH = ("finish", "finish_reason", "stop_reason")
CUT = ("length", "max_tokens", "model_length", "max_length")


def main(arguments: Sequence[str]) -> None:
    """Raises UserError for a mistake in the file or the command."""
    options = _parser().parse_args(arguments)
    try:
        judge = judge_of(options.judge) if options.judge else None
        run(options.cases, options.out, Rules(name=options.rules), options.jobs, options.field, judge)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"{error.filename or options.cases}: {error.strerror}") from None


def run(
    cases: Path, out: Path | None, rules: Rules, jobs: int = 0, field: str | None = None, judge: Judge | None = None
) -> None:
    """Grade a file: one verdict a line to `out` (else standard output), and what they come to."""
    read = [case for number, row in records.rows(cases) for case in read_row(row, f"{cases}, line {number}", field)]
    if not read:
        raise UserError(f"{cases}: no rows; give one JSON object a line, with gold and response")
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out {out}: the folder {out.parent} does not exist; make it first")
    started = time.monotonic()
    verdicts = grade_all([case for case, _ in read], rules, jobs, title="grading")
    if judge is not None:
        questions = [str(facts["question"]) for _, facts in read]
        verdicts = regrade(judge, questions, [case for case, _ in read], verdicts, STORE)
    seconds = time.monotonic() - started
    rows = [
        {**facts, "answer": v.answer, "verdict": v.verdict, "correct": v.correct, "rule": v.rule}
        for v, (_, facts) in zip(verdicts, read, strict=True)
    ]
    kept = [{key: value for key, value in row.items() if key not in ("expected", "kind", "question")} for row in rows]
    report = sys.stdout
    if out is not None:
        records.write(out, kept)
    else:
        report = sys.stderr
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.writelines(records.line(row) for row in kept)
            sys.stdout.flush()
    print(describe(rows, verdicts, seconds), file=report)


def read_row(row: dict[str, Any], where: str, field: str | None = None) -> list[tuple[Case, dict[str, Any]]]:
    """The cases of a row (one for each of its responses) and what of it goes with the verdict.

    Raises UserError naming file and line.
    """
    gold = _first(row, GOLD)
    if gold is None or row[gold] is None:
        raise UserError(f"{where}: no gold answer; give one of {', '.join(GOLD)}")
    name = field or _first({k: v for k, v in row.items() if k != gold}, RESPONSE)
    if name is None or name not in row:
        raise UserError(
            f"{where}: no {field}; --field names a field that every row has"
            if field
            else f"{where}: no response; give one of {', '.join(RESPONSE)}, or name another by --field"
        )
    kind = row.get("answer_type") or "auto"
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise UserError(f"{where}: answer_type is {kind!r}; give one of {', '.join(TYPES)}, or leave it out")
    expected = row.get("expected")
    if expected is not None and expected not in (True, False):
        raise UserError(f"{where}: expected is {expected!r}; give true or false, or leave it out")
    choices = row.get("choices")
    if choices is not None and not isinstance(choices, dict):
        choices = {chr(65 + i): str(text) for i, text in enumerate(choices)} if isinstance(choices, list) else None
    finish = _first(row, FINISH)
    texts = responses(row[name])
    if texts is None:
        raise UserError(f"{where}: {name} holds no text; give what the model wrote, or name another field by --field")
    key = _first(row, IDENTITY)
    facts: dict[str, Any] = {"id": row[key]} if key else {"id": None}
    facts |= {
        "expected": expected if expected is None else bool(expected),
        "kind": row.get("policy") or row.get("kind") or row.get("benchmark"),
    }
    asked = _first(row, QUESTION)
    facts["question"] = row[asked] if asked else ""
    cases = []
    for sample, text in enumerate(texts):
        reason = row[finish] if finish else "stop"
        reason = reason[sample] if isinstance(reason, list) and sample < len(reason) else reason
        case = Case(gold=row[gold], response=text, answer_type=kind.lower(), finish="length" if reason in CUT else "stop",
                    choices={str(k): str(v) for k, v in choices.items()} if choices else None)  # fmt: skip
        cases.append((case, facts | ({"sample": sample} if len(texts) > 1 else {})))
    return cases


def responses(value: Any) -> list[str] | None:
    """The texts in a field: a string, a number, a list of samples, a chat or a completion object; None if there is no text."""
    if value is None:
        return [""]
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return [str(value)]
    if isinstance(value, dict):
        inner = next(
            (value[key] for key in ("completion", "content", "text", "message", "response") if key in value), None
        )
        return None if inner is None else responses(inner)
    if isinstance(value, list) and value:
        if all(isinstance(turn, dict) and "role" in turn for turn in value):
            return responses(value[-1])
        texts = [responses(item) for item in value]
        return None if any(text is None for text in texts) else [text for found in texts for text in found or []]
    return None


def describe(rows: Sequence[dict[str, Any]], verdicts: Sequence[Grade], seconds: float) -> str:
    """Counts of verdicts; beside known ones, agreement and both kinds of error, overall and by kind."""
    counts = collections.Counter(verdict.verdict for verdict in verdicts)
    lines = [
        f"{len(rows)} cases in {seconds:.1f} s ({1000 * seconds / len(rows):.2f} s per 1000): "
        + ", ".join(f"{count} {name}" for name, count in counts.most_common())
    ]
    known = [row for row in rows if row["expected"] is not None]
    if known:
        lines.append(_errors("agreement", known))
        if judged := [row for row in known if str(row["verdict"]).startswith("judge_")]:
            lines.append(_errors("the judge alone", judged))
        kinds: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
        for row in known:
            kinds[str(row["kind"] or "")].append(row)
        if len(kinds) > 1:
            lines += [_errors(f"  {kind or 'other'}", kinds[kind]) for kind in sorted(kinds)]
    return "\n".join(lines)


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


def _errors(name: str, rows: Sequence[dict[str, Any]]) -> str:
    accepts = sum(row["correct"] and not row["expected"] for row in rows)
    rejects = sum(not row["correct"] and row["expected"] for row in rows)
    n = len(rows)
    return (
        f"{name}: {100 * (n - accepts - rejects) / n:.2f} % of {n}, "
        f"{accepts} false accepts ({100 * accepts / n:.2f} %), {rejects} false rejects ({100 * rejects / n:.2f} %)"
    )


def _first(row: dict[str, Any], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in row), None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m limo grade",
        description="Grade a JSONL file of answers, one JSON object a line.",
        epilog=f"The right answer is read from the first of {', '.join(GOLD)}; what the model wrote from the first of "
        f"{', '.join(RESPONSE)}. Optional: id, answer_type, choices, finish, benchmark, kind, and expected (true or false) "
        "to measure the grader itself.",
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument(
        "--out", type=Path, help="write the verdicts there; else to standard output, and the summary to standard error"
    )
    parser.add_argument("--jobs", type=int, default=0, help="worker processes (0: one a core)")
    parser.add_argument(
        "--rules", choices=("limo", "paper"), default="limo", help="paper: what LIMO's published grader accepts"
    )
    parser.add_argument(
        "--judge", nargs="+", metavar="KEY=VALUE",
        help="a second model for free-form answers that the rules reject: model=<hub id or folder>, optional revision= and dtype=",
    )  # fmt: skip
    parser.add_argument("--field", help="the field that holds what the model wrote")
    return parser
