"""No test has a deadline: on a shared machine a slow second proves nothing."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as they like, whatever a library has said of the terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)
