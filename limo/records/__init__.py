"""What crosses the border of a process: the nouns of a run, results, and the files they stand in."""

from limo.records.files import Record, line, read, rows, write, write_json
from limo.records.problems import RIGHT, AnswerType, Attempt, Example, Gold, Grade, Origin, Problem
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

__all__ = [
    "RESULTS",
    "RIGHT",
    "AnswerType",
    "Attempt",
    "BenchmarkResult",
    "Example",
    "Gold",
    "Grade",
    "Interval",
    "Judged",
    "Origin",
    "Position",
    "Problem",
    "Protocol",
    "Record",
    "Results",
    "line",
    "read",
    "read_results",
    "record",
    "rows",
    "write",
    "write_json",
    "write_results",
]
