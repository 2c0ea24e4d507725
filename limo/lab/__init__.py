"""The lab, a plugin: LIMO's hypothesis at a size that a laptop holds: problems, a tokenizer, and base models that the project
pre-trained itself. A config names its sources; nothing else imports it."""

from limo.lab.source import Pool, Questions

__all__ = ["Pool", "Questions"]
