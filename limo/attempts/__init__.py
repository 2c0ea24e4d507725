"""Sieves: attempts at each problem, one model after another; how many are right is the difficulty, the right ones are candidates."""

from limo.attempts.attempts import Attempts, Sieve
from limo.attempts.recorded import Recorded, RecordedStage
from limo.attempts.sieving import SievingStage
from limo.attempts.stage import AttemptsStage

__all__ = ["Attempts", "AttemptsStage", "Recorded", "RecordedStage", "Sieve", "SievingStage"]
