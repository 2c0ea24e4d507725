"""Runs for elsewhere: packed whole, their examples as other trainers read them, their model with its card."""

from limo.export.command import main

__all__ = ["main"]
