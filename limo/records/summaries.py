"""What each stage says of itself when it is done: `summary.json`, one class a stage."""

from __future__ import annotations

from dataclasses import field

from limo.records.record import record
from limo.records.results import Interval


@record
class DataSummary:
    """What was read and what is left."""

    read: int
    kept: int
    solutions: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    """Reason -> problems."""
    leaks: dict[str, int] = field(default_factory=dict)
    """Benchmark -> problems that are its questions."""
    protected: dict[str, int] = field(default_factory=dict)
    """Benchmark -> questions that were looked for."""
    unchecked: tuple[str, ...] = ()
    """Benchmarks that could not be read here."""
    unreadable: int = 0
    """Problems read in whose text a U+FFFD stands, for a character that could not be read, here or by whoever made the file."""


@record
class ParaphrasesSummary:
    """What a judge said of questions near to a benchmark's."""

    problems: int
    kept: int
    pairs: int
    """That were shown to it; so are the next three."""
    same: int
    different: int
    unknown: int
    """Without a readable verdict."""
    unjudged: int = 0
    """Problems with such a pair, and none that is the same."""
    kept_unjudged: bool = False
    """Whether those stay."""
    leaks: dict[str, int] = field(default_factory=dict)
    """Benchmark -> problems that are its questions."""
    tokens: int = 0
    """That the judge wrote."""


DEAD = 0.95
"""Share of candidates without a trait from which it is called dead."""
CUT = 0.05
"""Share of attempts from which a cut is called a problem."""


@record
class AttemptsSummary:
    """How a model tried the pool."""

    problems: int
    attempts: int
    finish: dict[str, float]
    """Why answers ended -> share."""
    tokens: int
    """Generated, in all."""

    def warning(self, sieve: str) -> str | None:
        """One sentence where many attempts were cut: what they would have come to is not known."""
        cut = 1 - self.finish.get("stop", 0.0)
        if not self.attempts or cut < CUT:
            return None
        return (
            f"attempts.{sieve}: {100 * cut:.0f} % were cut at max_tokens or at the end of the context; a problem most of whose attempts "
            f"were cut before an answer has no solve rate; raise attempts.{sieve}.sampling.max_tokens"
        )


@record
class GradingSummary:
    """How attempts were graded."""

    attempts: int
    problems: int
    accuracy: float | None
    """None without attempts."""
    verdicts: dict[str, int]
    rules: dict[str, int]
    seconds: float


@record
class SieveSummary:
    """What a sieve left of the problems, and how their tries were graded."""

    problems: int
    left: int
    dropped: dict[str, int]
    """Reason -> problems."""
    right: int
    """Tries; so are the next three."""
    wrong: int
    cut: int
    unparsed: int
    measured: int
    """Problems with a solve rate."""
    rate: float | None
    """Their mean solve rate; None where some were tried less often, as those that are left out early."""
    disputed: int
    """Golds that many tries contradict; `disputed.jsonl` lists them."""
    verdicts: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@record
class CandidatesSummary:
    """What may be learned from."""

    problems: int
    candidates: int
    origins: dict[str, int] = field(default_factory=dict)
    unmeasured: dict[str, int] = field(default_factory=dict)
    """Score -> candidates that have none."""


@record
class ScoresSummary:
    """What one member of `scores` measured."""

    candidates: int
    columns: tuple[str, ...] = ()
    width: int = 0
    """Of its vectors; 0 without any."""
    tokens: int = 0
    """That a model was given for it; 0 where all of it was known."""
    unmeasured: dict[str, int] = field(default_factory=dict)
    """Why candidates have no value -> how many."""
    relative: bool = False
    """Whether a value depends on what else the pool holds."""


@record
class Trait:
    """How much one part of a score decides of it."""

    zeros: float
    """Share of the candidates in which it does not show."""
    correlation: float | None
    """Rank correlation (Spearman) with the whole score; None where either is the same everywhere."""


@record
class Limits:
    """Between which values a filter keeps, both included; None is no limit."""

    low: float | None
    high: float | None


@record
class SelectionSummary:
    """How candidates became examples."""

    candidates: int
    kept: int
    problems: int = 0
    origins: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    """Step -> reason -> candidates."""
    unmeasured: dict[str, int] = field(default_factory=dict)
    """Score -> candidates that have none."""
    scores: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """`pool` and `kept` -> score -> quantile -> value."""
    traits: dict[str, dict[str, Trait]] = field(default_factory=dict)
    """Score -> its part -> how much that decides, over the candidates that were ranked."""
    limits: dict[str, Limits] = field(default_factory=dict)
    """Score -> between which values a filter keeps it."""
    transformed: dict[str, int] = field(default_factory=dict)
    """Transform -> examples whose text it changed."""

    @property
    def warning(self) -> str | None:
        """One sentence where a part of a score decides nothing, because it hardly ever shows."""
        dead = {step: [name for name, t in parts.items() if t.zeros >= DEAD] for step, parts in self.traits.items()}
        said = [f"{', '.join(names)} of {step}" for step, names in dead.items() if names]
        if not said:
            return None
        return (
            f"{' and '.join(said)} is zero in {100 * DEAD:.0f} % of the candidates or more: its weight decides next to nothing here; "
            "give words that these solutions use (keywords), or leave it out"
        )


@record
class TrainingSummary:
    """What was trained on, how, and what it came to."""

    examples: int
    overlong: int
    overlong_share: float
    overlong_policy: str
    longest: int
    """Tokens of the longest example."""
    tokens: int
    """Seen over all steps."""
    supervised_tokens: int
    steps: int
    epochs: float
    packs: int
    accumulation: int
    ranks: int
    strategy: str
    parameters: int
    parameters_trained: int
    final_loss: float
    checkpoint: str
    """Which weights were exported: `last` or `best`."""
    exported_step: int
    memory_gib: float
    """Peak of a process."""
    training_seconds: float
    seconds: float
    token_accuracy: float | None = None
    """Share of the supervised tokens that were the model's first choice before the step that trained on them, over the last epoch."""


@record
class Mended:
    """What was done to the gold answers of a benchmark."""

    questions: int
    repairs: dict[str, tuple[str, ...]]
    """Rule -> ids of the questions whose gold answer it changed."""
    duplicates: tuple[tuple[str, ...], ...]
    """Ids of questions with the same text."""


@record
class EvaluationSummary:
    """The headline of an evaluation; all numbers are in `results.json`."""

    model: str
    accuracy: float
    """Plain mean over the benchmarks."""
    interval: Interval
    benchmarks: dict[str, Mended] = field(default_factory=dict)
    sampling_seconds: float = 0.0
    grading_seconds: float = 0.0


SUMMARIES: dict[str, type] = {
    "data": DataSummary,
    "paraphrases": ParaphrasesSummary,
    "attempts": AttemptsSummary,
    "grades": SieveSummary,
    "solutions": GradingSummary,
    "candidates": CandidatesSummary,
    "scores": ScoresSummary,
    "selection": SelectionSummary,
    "training": TrainingSummary,
    "evaluation/base": EvaluationSummary,
    "evaluation/tuned": EvaluationSummary,
}
"""Task of a run -> what its stage says of itself; `attempts` and `grades` have a task for each sieve, `attempts/<name>`."""
