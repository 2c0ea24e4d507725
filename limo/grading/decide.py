"""From a case to a grade: find the answer, compare it with the gold one; many cases in a pool of workers."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from limo import hardware
from limo.grading import paper, workers
from limo.grading.answers.extract import extract
from limo.grading.formulas import symbolic
from limo.grading.match.compare import compare
from limo.grading.match.values import Result
from limo.grading.rules import Case, Rules
from limo.records import Grade
from limo.serial import dump, load

Item = tuple[dict[str, Any], dict[str, Any]]
"""A case and its rules, as JSON."""
LONGEST = 4000
"""Characters; what is longer is no final answer."""


def grade(case: Case, rules: Rules | None = None) -> Grade:
    """The grade of one case, in this process (no time limit: use `grade_all` for text of models)."""
    rules = rules or Rules()
    if rules.name == "paper":
        return paper.grade(case)
    found = extract(case, rules)
    if isinstance(found, Grade):
        return found
    if len(found.text) > LONGEST and found.text.strip() != str(case.gold).strip():
        return case.graded("wrong", found.text[:LONGEST], f"{found.rule}, too long for an answer")
    try:
        result = compare(case.gold, found.text, case.answer_type, rules, choices=case.choices)
    except RecursionError:
        result = Result(False, "nested too deeply")
    verdict = result.equal if isinstance(result.equal, str) else "correct" if result.equal else "wrong"
    rule = result.rule if found.rule == "box" else f"{found.rule}, {result.rule}"
    return case.graded(verdict, found.text, rule)


def grade_all(
    cases: Sequence[Case],
    rules: Rules | Sequence[Rules] | None = None,
    jobs: int = 0,
    seconds: float = 5,
    progress: Callable[[int], object] | None = None,
    title: str = "",
) -> list[Grade]:
    """Grades in the order of the cases, from `jobs` killable workers (0: one a core).

    rules: the same for all, or one for each case. seconds: processor time of one case; a case that takes longer gets the
    verdict `timeout`, one whose workers die or cannot start `ungraded`. progress: called with the number of cases finished
    since its last call; `title`: show a bar.
    """
    every = [rules or Rules()] * len(cases) if rules is None or isinstance(rules, Rules) else list(rules)
    if len(every) != len(cases):
        raise ValueError(f"{len(every)} rules for {len(cases)} cases; give one, or one for each case")
    items = [(dataclasses.asdict(case), dump(rule)) for case, rule in zip(cases, every, strict=True)]
    with contextlib.ExitStack() as stack:
        if title:
            from tqdm import tqdm

            bar = tqdm(total=len(items), desc=title, unit="case", file=sys.stderr, mininterval=0.5)
            progress = stack.enter_context(bar).update
        results = _results(items, jobs or hardware.cores(), seconds, progress or (lambda done: None))
    lost = Counter(result.reason for result in results if isinstance(result, workers.Failure))
    if lost:
        reasons = "; ".join(f"{count} x {reason}" for reason, count in lost.most_common(3))
        logging.getLogger(__name__).warning("%d of %d cases could not be graded: %s", lost.total(), len(items), reasons)
    return [_grade(case, result) for case, result in zip(cases, results, strict=True)]


def _results(items: Sequence[Item], jobs: int, seconds: float, progress: Callable[[int], object]) -> list[Any]:
    """What the workers make of the items: first without math-verify, then with it the few that need it."""
    results = workers.run(f"{__name__}:quick", items, jobs=jobs, seconds=seconds, progress=progress)
    for i, result in enumerate(results):
        if isinstance(result, workers.Failure) and not result.tried:
            results[i] = quick(items[i])  # a machine on which no process starts can still do this much
    rest = [i for i, result in enumerate(results) if result is None]
    # they are counted again as they are done
    progress(-len(rest))
    warm = f"{symbolic.__name__}:warm"
    given = [items[i] for i in rest]
    late = workers.run(f"{__name__}:thorough", given, jobs=jobs, seconds=seconds, progress=progress, warm=warm)
    for i, result in zip(rest, late, strict=True):
        if isinstance(result, workers.Failure):
            result = dataclasses.replace(result, reason=f"math-verify: {result.reason}")
        results[i] = result
    return results


def _grade(case: Case, result: list[Any] | workers.Failure) -> Grade:
    if isinstance(result, workers.Failure):
        return case.graded("timeout" if result.late else "ungraded", None, result.reason)
    return case.graded(*result)


def quick(item: Item) -> list[str | None] | None:
    """What a worker makes of one item without math-verify; None if it takes that."""
    token = symbolic.withheld.set(True)
    try:
        return thorough(item)
    except symbolic.WithheldError:
        return None
    finally:
        symbolic.withheld.reset(token)


def thorough(item: Item) -> list[str | None]:
    """What a worker makes of one item."""
    case, rules = item
    found = grade(Case(**case), load(rules))
    return [found.verdict, found.answer, found.rule]
