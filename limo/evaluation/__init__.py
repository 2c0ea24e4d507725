"""Benchmarks: sample a model on them, grade, and measure with intervals."""

from limo.evaluation.benchmark import Benchmark
from limo.evaluation.judge import Judge
from limo.evaluation.stage import EvaluationStage
from limo.evaluation.suite import Evaluation

__all__ = ["Benchmark", "Evaluation", "EvaluationStage", "Judge"]
