"""Training: examples become weights; packed or padded batches, one exact loss, any strategy, resumable, exported for engines."""

from limo.training.adapter import Lora
from limo.training.recipe import Training
from limo.training.stage import TrainingStage
from limo.training.strategies import title

__all__ = ["Lora", "Training", "TrainingStage", "title"]
