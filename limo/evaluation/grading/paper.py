"""LIMO's published grading (its `math_equal` and `strip_string`), for numbers that compare with the paper's."""

from __future__ import annotations
