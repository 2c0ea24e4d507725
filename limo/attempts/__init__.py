"""Attempts of a model at each problem: how many are right is the difficulty, the right ones are candidate solutions."""

from limo.attempts.attempts import Attempts
from limo.attempts.stage import AttemptsStage

__all__ = ["Attempts", "AttemptsStage"]
