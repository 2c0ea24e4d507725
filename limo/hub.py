"""Whether a repository of the Hugging Face hub can be had from here."""

from __future__ import annotations

from typing import Literal


def reachable(repository: str, revision: str | None, kind: Literal["model", "dataset"]) -> bool:
    """Whether the hub answers for it within five seconds; False offline, without access, or where it does not exist."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        HfApi().repo_info(repository, revision=revision, repo_type=kind, timeout=5)
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return False
    except Exception as error:  # errors of the connection are no OSError, and their library has several names
        if type(error).__module__.startswith(("httpx", "httpcore")):
            return False
        raise
    return True
