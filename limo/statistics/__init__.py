"""Numbers about numbers: every metric, 95 % interval, difference, p value and correction of the program."""

from limo.statistics.intervals import at_least, fixed_interval, interval, jeffreys, mean_of, ratio, wilson
from limo.statistics.metrics import Table, average, majority, pass_at, powers, repeats, spearman, without_loops
from limo.statistics.multiplicity import holm
from limo.statistics.over_runs import Estimate, accuracy
from limo.statistics.paired import Difference, detectable, difference

__all__ = [
    "Difference",
    "Estimate",
    "Table",
    "accuracy",
    "at_least",
    "average",
    "detectable",
    "difference",
    "fixed_interval",
    "holm",
    "interval",
    "jeffreys",
    "majority",
    "mean_of",
    "pass_at",
    "powers",
    "ratio",
    "repeats",
    "spearman",
    "wilson",
    "without_loops",
]
