"""The last step of decontamination: pool questions that ask what a benchmark question asks, in other words."""

from limo.paraphrases.judge import Paraphrases
from limo.paraphrases.stage import ParaphrasesStage

__all__ = ["Paraphrases", "ParaphrasesStage"]
