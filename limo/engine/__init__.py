"""Text from weights: one Protocol, two engines (vLLM, transformers), answers kept one by one as they finish."""

from limo.engine.forcing import Forcing
from limo.engine.protocol import Completion, Engine, Request, Sampling, Session

__all__ = ["Completion", "Engine", "Forcing", "Request", "Sampling", "Session"]
