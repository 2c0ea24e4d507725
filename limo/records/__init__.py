"""What crosses the border of a process: the nouns of a run, results, and the files they stand in."""

from limo.records.files import Record, line, read, rows, write, write_json
from limo.records.problems import RIGHT, Attempt, Example, Gold, Grade, Problem
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
    "Attempt",
    "BenchmarkResult",
    "Example",
    "Gold",
    "Grade",
    "Interval",
    "Judged",
    "Position",
    "Problem",
    "Protocol",
    "Record",
    "Results",
    "line",
    "read",
    "read_results",
    "rows",
    "write",
    "write_json",
    "write_results",
]
