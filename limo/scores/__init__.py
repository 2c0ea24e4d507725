"""Measures of candidates that cost a pass of a model, vectors or a file: tables in the store, one for all selections that read it."""

from limo.scores.likelihood import Likelihood
from limo.scores.likeness import Likeness
from limo.scores.stage import ScoresStage
from limo.scores.table import External, Scorer, Table
from limo.scores.vectors import Hidden, Static, Tfidf

__all__ = ["External", "Hidden", "Likelihood", "Likeness", "Scorer", "ScoresStage", "Static", "Table", "Tfidf"]
