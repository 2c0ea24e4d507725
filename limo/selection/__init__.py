"""Which examples to keep: a strategy is a chain of steps that drop with a reason or add a score, and then a ranking."""

from limo.selection.filters import Bounds, Boxed, Correct, Duplicates, SolveRate, Where
from limo.selection.quality import Quality, Trait
from limo.selection.scores import Length, Random
from limo.selection.selection import Selection
from limo.selection.stage import SelectionStage
from limo.selection.steps import Dropped, Filter, Score

__all__ = [
    "Bounds",
    "Boxed",
    "Correct",
    "Dropped",
    "Duplicates",
    "Filter",
    "Length",
    "Quality",
    "Random",
    "Score",
    "Selection",
    "SelectionStage",
    "SolveRate",
    "Trait",
    "Where",
]
