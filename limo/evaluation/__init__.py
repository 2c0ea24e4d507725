"""Benchmarks: sample a model on them, grade, and measure with intervals."""

from limo.evaluation.benchmark import Benchmark
from limo.evaluation.source import Source
from limo.evaluation.stage import Evaluation, EvaluationStage

__all__ = ["Benchmark", "Evaluation", "EvaluationStage", "Source"]
