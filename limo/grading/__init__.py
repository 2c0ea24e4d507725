"""Grading: is the answer of a response equal to the gold answer? A grade keeps the answer found and the rule that decided."""

from limo.grading.decide import grade, grade_all
from limo.grading.rules import TYPES, Case, Rules
from limo.grading.stage import GradingStage, graded

__all__ = ["TYPES", "Case", "GradingStage", "Rules", "grade", "grade_all", "graded"]
