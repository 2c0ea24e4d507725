"""How weights are changed: one family of optimizers a module, and the learning rate as a function of the step."""

from limo.optimizers.adafactor import Adafactor
from limo.optimizers.adamw import AdamW, AdamW8bit
from limo.optimizers.base import Named, Optimizer
from limo.optimizers.muon import Muon
from limo.optimizers.schedule import Schedule

__all__ = ["Adafactor", "AdamW", "AdamW8bit", "Muon", "Named", "Optimizer", "Schedule"]
