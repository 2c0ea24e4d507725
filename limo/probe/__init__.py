"""Whether a base is ready: what the selected solutions cost it, what it solves itself, what length it can use; before any training."""

from limo.probe.stage import ProbeStage

__all__ = ["ProbeStage"]
