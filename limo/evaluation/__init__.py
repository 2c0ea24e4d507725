"""Benchmarks: sample a model on them, grade, and measure with intervals."""
