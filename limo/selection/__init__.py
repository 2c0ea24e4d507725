"""Which examples to keep: a strategy is a chain of steps that drop with a reason or add a score, and then an order."""

from limo.selection.diversity import Distinct, Dpp, FacilityLocation, KCenter
from limo.selection.filters import Between, Bounds, Boxed, Correct, Duplicates, Level, SolveRate, Where
from limo.selection.orders import DomainDraw, PresetDraw, Quotas, Turns
from limo.selection.quality import Quality, Trait
from limo.selection.scores import Column, Combine, Length, Random
from limo.selection.selection import Selection
from limo.selection.stage import CandidatesStage, SelectionStage
from limo.selection.steps import Budget, Dropped, Filter, Order, Score, Transform
from limo.selection.transforms import Cut, Delete, Digits, Shuffle, Strip

__all__ = [
    "Between",
    "Bounds",
    "Boxed",
    "Budget",
    "CandidatesStage",
    "Column",
    "Combine",
    "Correct",
    "Cut",
    "Delete",
    "Digits",
    "Distinct",
    "DomainDraw",
    "Dpp",
    "Dropped",
    "Duplicates",
    "FacilityLocation",
    "Filter",
    "KCenter",
    "Length",
    "Level",
    "Order",
    "PresetDraw",
    "Quality",
    "Quotas",
    "Random",
    "Score",
    "Selection",
    "SelectionStage",
    "Shuffle",
    "SolveRate",
    "Strip",
    "Trait",
    "Transform",
    "Turns",
    "Where",
]
