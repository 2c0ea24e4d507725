"""The stage that leaves out what a judge finds to be a benchmark question in other words."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from limo import UserError, records, serial
from limo.config import component, held_to
from limo.data import Data, Decontamination, LeftOut, Match, guarded, protected
from limo.models import Model
from limo.paraphrases.judge import Item, Pair, Paraphrases, parse
from limo.records import ParaphrasesSummary, replacing
from limo.stage import Input, Stage, summarise

log = logging.getLogger(__name__)
Reason = Literal["benchmark question in other words", "not judged"]
LEAK: Reason = "benchmark question in other words"
UNKNOWN: Reason = "not judged"


@component
class ParaphrasesStage(Stage):
    """Judge: `pairs.jsonl`, every pair that was shown with what the judge said; `problems.jsonl`, what stays; `dropped.jsonl`, or
    `matches.jsonl` where the rule only reports, the leaks with both texts.
    """

    module: ClassVar[str] = "limo.paraphrases"
    version: ClassVar[int] = 1
    accelerated: ClassVar[bool] = True
    products: ClassVar[tuple[str, ...]] = ("problems.jsonl", "pairs.jsonl", "dropped.jsonl")

    problems: Input
    """What all other cleaning left."""
    decontamination: Decontamination
    protect: Mapping[str, Annotated[Data, held_to(Data)]] = field(default_factory=dict)
    """The sources of the run's benchmarks."""
    model: Model
    """The run's, for vectors that need one."""

    @property
    def rule(self) -> Paraphrases:
        rule: Paraphrases = self.decontamination.paraphrases
        return rule

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """The model counts for vectors that are made by it."""
        asks = hasattr(self.rule.vectors, "model")
        return {
            "problems": serial.fingerprint(self.problems, digest),
            "rule": serial.fingerprint(self.rule, digest),
            "action": self.decontamination.action,
            "protect": serial.fingerprint(guarded(self.decontamination, self.protect), digest),
            "model": serial.fingerprint(self.model, digest) if asks else None,
        }

    def missing(self) -> list[str]:
        return self.rule.missing(self.model)

    def run(self, folder: Path) -> None:
        questions = [(str(row["id"]), str(row["question"])) for _, row in records.rows(self.problems)]
        known = protected(self.decontamination, self.protect)
        items = [Item(name, p.id, p.question) for name, held in known.items() for p in held]
        pairs = self.rule.near(questions, items, self.model, self.store)
        log.info(f"{len(pairs)} pairs of questions for the judge, of {len(questions)} and {len(items)}")
        pairs, tokens = judged(self.rule, pairs, self.store)
        found = leaks(pairs, self.rule.unknown)
        self._obey(found)
        drops = {one.id for one in found} if self.decontamination.action == "drop" else set()
        records.write(folder / "pairs.jsonl", pairs)
        records.write(folder / "dropped.jsonl", found if drops else [])
        if self.decontamination.action == "report":
            records.write(folder / "matches.jsonl", found)
        _copy(self.problems, folder / "problems.jsonl", drops)
        verdicts = Counter(pair.verdict for pair in pairs)
        summarise(
            folder,
            ParaphrasesSummary(
                problems=len(questions),
                kept=len(questions) - len(drops),
                pairs=len(pairs),
                same=verdicts["same"],
                different=verdicts["different"],
                unknown=verdicts["unknown"],
                unjudged=len(
                    {p.id for p in pairs if p.verdict == "unknown"} - {o.id for o in found if o.reason == LEAK}
                ),
                kept_unjudged=self.rule.unknown == "keep" or self.decontamination.action != "drop",
                leaks=dict(Counter(one.match.benchmark for one in found if one.match and one.reason == LEAK)),
                tokens=tokens,
            ),
        )
        if len(drops) == len(questions):
            raise UserError(
                f"data.decontamination.paraphrases leaves none of {len(questions)} problems ({_counts(found)}); read what the judge "
                "replied in pairs.jsonl, raise its cosine, or take another judge"
            )

    def _obey(self, found: Sequence[LeftOut]) -> None:
        """Stop where the rule says so."""
        if self.decontamination.action == "fail" and found and (match := found[0].match):
            raise UserError(
                f"data.decontamination.action=fail: {len(found)} problems leak ({_counts(found)}), {found[0].id} is near to "
                f"{match.benchmark} {match.problem} ({match.question[:80]}); remove them, or set action=drop"
            )


def _counts(found: Sequence[LeftOut]) -> str:
    return ", ".join(f"{reason}: {n}" for reason, n in Counter(one.reason for one in found).items())


def judged(rule: Paraphrases, pairs: Sequence[Pair], store: Path) -> tuple[list[Pair], int]:
    """The pairs with the judge's verdicts, and how many tokens it wrote. Replies are kept with the completions in `store`.

    One that spells a control token, or leaves no room for a reply, is not asked: its verdict is unknown.
    """
    from limo.engine.sampling import sample

    asked = {pair.query: rule.write(pair) for pair in pairs}
    if not asked:
        return [], 0
    told = sample(rule.engine, rule.model, [*asked.items()], rule.sampling, 0, "paraphrases", store, foreign=True)
    replies = {reply.problem: reply.text for reply in told}
    done = [replace(p, verdict=parse(replies[p.query]), reply=replies[p.query]) for p in pairs]
    return done, sum(reply.tokens for reply in told)


def leaks(pairs: Sequence[Pair], unknown: str) -> list[LeftOut]:
    """The problems that leak, each once with its nearest such pair: the same as a benchmark's, else not known to be another."""
    by_problem: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_problem[pair.id].append(pair)
    found = []
    for id, own in by_problem.items():
        same, unclear = ([p for p in own if p.verdict == verdict] for verdict in ("same", "unknown"))
        wanted = same or (unclear if unknown == "drop" else [])
        for pair in wanted[:1]:
            match = Match(pair.benchmark, pair.problem, "judged", pair.cosine, "", pair.other)
            found.append(LeftOut(id, pair.question, LEAK if same else UNKNOWN, match=match))
    return found


def _copy(source: Path, target: Path, left_out: set[str]) -> None:
    """The lines of a file of problems without some of them."""
    with replacing(target) as fresh, fresh.open("w", encoding="utf-8") as handle:
        handle.writelines(records.line(row) for _, row in records.rows(source) if row["id"] not in left_out)
