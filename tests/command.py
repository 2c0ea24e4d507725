"""The command of a user, in this process."""

from __future__ import annotations

import sys
from unittest import mock

import pytest

from limo.__main__ import main


def limo(*words: object) -> int:
    """Run `limo <words>`; its exit code."""
    with mock.patch.object(sys, "argv", ["limo", *map(str, words)]), pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
