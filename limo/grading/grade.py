"""From a case to a verdict: find the answer, compare it with the gold one; many cases in a pool of workers."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from limo import hardware
from limo.grading import paper, pool
from limo.grading.answers.extract import extract
from limo.grading.match import symbolic
from limo.grading.match.compare import compare
from limo.grading.match.values import Result
from limo.grading.rules import Case, Rules, Verdict
from limo.serial import dump, load

LONGEST = 4000
"""Characters; what is longer is no final answer."""


def grade(case: Case, rules: Rules | None = None) -> Verdict:
    """The verdict on one case, in this process (no time limit: use `grade_all` for text of models)."""
    rules = rules or Rules()
    if rules.name == "paper":
        return paper.grade(case)
    found = extract(case, rules)
    if isinstance(found, Verdict):
        return found
    if len(found.text) > LONGEST and found.text.strip() != str(case.gold).strip():
        return Verdict("wrong", found.text[:LONGEST], f"{found.rule}, too long for an answer")
    try:
        result = compare(case.gold, found.text, case.answer_type, rules, choices=case.choices)
    except RecursionError:
        result = Result(False, "nested too deeply")
    verdict = result.equal if isinstance(result.equal, str) else "correct" if result.equal else "wrong"
    rule = result.rule if found.rule == "box" else f"{found.rule}, {result.rule}"
    return Verdict(verdict, found.text, rule)


def equal(a: str, b: str, answer_type: str = "auto", rules: Rules | None = None) -> bool:
    """Whether two extracted answers are the same answer: in either direction, so that it may build classes for majority votes."""
    rules = rules or Rules()
    if rules.name == "paper":
        return bool(paper.equal(a, b) or paper.equal(b, a))
    return any(compare(x, y, answer_type, rules).equal is True for x, y in ((a, b), (b, a)))


def grade_all(
    cases: Sequence[Case],
    rules: Rules | Sequence[Rules] | None = None,
    jobs: int = 0,
    seconds: float = 5,
    progress: Callable[[int], object] | None = None,
    title: str = "",
) -> list[Verdict]:
    """Verdicts in the order of the cases, from `jobs` killable workers (0: one a core).

    rules: the same for all, or one for each case. seconds: wall time of one case; a case that hangs or whose worker dies
    gets the verdict `timeout`. progress: called with the number of cases finished since its last call; `title`: show a bar.
    """
    every = [rules or Rules()] * len(cases) if rules is None or isinstance(rules, Rules) else list(rules)
    if len(every) != len(cases):
        raise ValueError(f"{len(every)} rules for {len(cases)} cases; give one, or one for each case")
    items = [[dataclasses.asdict(case), dump(rule)] for case, rule in zip(cases, every, strict=True)]
    jobs = jobs or hardware.cores()
    with contextlib.ExitStack() as stack:
        if title:
            from tqdm import tqdm

            bar = tqdm(total=len(items), desc=title, unit="case", file=sys.stderr, mininterval=0.5)
            progress = stack.enter_context(bar).update
        results = pool.run(f"{__name__}:quick", items, jobs=jobs, seconds=seconds, progress=progress)
        # few cases need math-verify; they are counted again as they are done
        rest = [i for i, result in enumerate(results) if result is None]
        if progress:
            progress(-len(rest))
        late = pool.run(
            f"{__name__}:thorough",
            [items[i] for i in rest],
            jobs=jobs,
            seconds=seconds,
            progress=progress,
            warm=f"{symbolic.__name__}:warm",
        )
    for i, result in zip(rest, late, strict=True):
        results[i] = result
    lost = [result.reason for result in results if isinstance(result, pool.Failure)]
    if lost:
        logging.getLogger(__name__).warning("%d of %d cases could not be graded (%s)", len(lost), len(items), lost[0])
    return [Verdict("timeout", None, r.reason) if isinstance(r, pool.Failure) else Verdict(*r) for r in results]


def quick(item: Any) -> list[Any] | None:
    """What a worker makes of one item without math-verify; None if it takes that."""
    token = symbolic.withheld.set(True)
    try:
        return thorough(item)
    except symbolic.WithheldError:
        return None
    finally:
        symbolic.withheld.reset(token)


def thorough(item: Any) -> list[Any]:
    """What a worker makes of one item."""
    case, rules = item
    verdict = grade(Case(**case), load(rules))
    return [verdict.verdict, verdict.answer, verdict.rule]
