"""What crosses the border of a process: the nouns of a run, results, and the files they stand in."""

from limo.records.files import Record, line, read, read_record, rows, write, write_json, write_record
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
from limo.records.runs import Asked, Status

__all__ = [
    "RESULTS",
    "RIGHT",
    "AnswerType",
    "Asked",
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
    "Status",
    "line",
    "read",
    "read_record",
    "read_results",
    "record",
    "rows",
    "write",
    "write_json",
    "write_record",
    "write_results",
]
