"""What crosses the border of a process: the nouns of a run, results, and the files they stand in."""

from limo.records.answers import RIGHT, Answer, Attempt, Grade
from limo.records.examples import Dropped, Example, Origin
from limo.records.files import Record, line, read, read_record, replacing, rows, write, write_json, write_record
from limo.records.manifests import Manifest, Part
from limo.records.problems import AnswerType, Gold, Problem
from limo.records.record import record
from limo.records.results import (
    RESULTS,
    BenchmarkResult,
    Interval,
    Judged,
    Position,
    Protocol,
    Results,
    read_results,
    write_results,
)
from limo.records.runs import Asked, Status
from limo.records.summaries import (
    SUMMARIES,
    AttemptsSummary,
    Context,
    DataSummary,
    EvaluationSummary,
    GradingSummary,
    Losses,
    Mended,
    OwnAnswers,
    ProbeSummary,
    SelectionSummary,
    Solved,
    TrainingSummary,
)

__all__ = [
    "RESULTS",
    "RIGHT",
    "SUMMARIES",
    "Answer",
    "AnswerType",
    "Asked",
    "Attempt",
    "AttemptsSummary",
    "BenchmarkResult",
    "Context",
    "DataSummary",
    "Dropped",
    "EvaluationSummary",
    "Example",
    "Gold",
    "Grade",
    "GradingSummary",
    "Interval",
    "Judged",
    "Losses",
    "Manifest",
    "Mended",
    "Origin",
    "OwnAnswers",
    "Part",
    "Position",
    "ProbeSummary",
    "Problem",
    "Protocol",
    "Record",
    "Results",
    "SelectionSummary",
    "Solved",
    "Status",
    "TrainingSummary",
    "line",
    "read",
    "read_record",
    "read_results",
    "record",
    "replacing",
    "rows",
    "write",
    "write_json",
    "write_record",
    "write_results",
]
