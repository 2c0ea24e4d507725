"""Repositories of the Hugging Face hub and of GitHub as seen from here: reachable or not, and single files of them at one commit."""

from __future__ import annotations

import functools
import os
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limo.records import replacing

GITHUB = "https://raw.githubusercontent.com"


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


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public repository at one commit: fetched once, then read from the cache of this machine."""

    repo: str
    """`github:<owner>/<name>`, or `<owner>/<name>` for a data set of the Hugging Face hub."""
    revision: str
    path: str

    @property
    def _github(self) -> str | None:
        return self.repo.removeprefix("github:") if self.repo.startswith("github:") else None

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        if self._github:
            return f"{GITHUB}/{self._github}/{self.revision}/{self.path}"
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repo, self.path, revision=self.revision, repo_type="dataset")

    def cached(self) -> Path | None:
        """Where the file lies on this machine, if it was fetched before."""
        if self._github:
            return path if (path := self._place()).is_file() else None
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repo, self.path, revision=self.revision, repo_type="dataset")
        return Path(found) if isinstance(found, str) else None

    def reachable(self) -> bool:
        """Whether it can be fetched; answers at once where the host was found silent before."""
        if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") or not _online(
            urllib.parse.urlsplit(self.url).netloc
        ):
            return False
        try:
            if self._github:
                urllib.request.urlopen(urllib.request.Request(self.url, method="HEAD"), timeout=10).close()
            else:
                from huggingface_hub import get_hf_file_metadata

                get_hf_file_metadata(self.url, timeout=10)
        except OSError:  # huggingface_hub's errors are OSErrors too
            return False
        return True

    def fetch(self) -> Path:
        """The file, from the cache or the network. Raises OSError where it cannot be had."""
        if (found := self.cached()) is not None:
            return found
        if not self._github:
            from huggingface_hub import hf_hub_download

            return Path(hf_hub_download(self.repo, self.path, revision=self.revision, repo_type="dataset"))
        with urllib.request.urlopen(self.url, timeout=60) as answer:
            data = answer.read()
        path = self._place()
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as fresh:
            fresh.write_bytes(data)
        return path

    def _place(self) -> Path:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return root / "limo" / "benchmarks" / str(self._github) / self.revision / self.path


@functools.cache
def _online(host: str) -> bool:
    """Whether a host answers at all, asked once: ten benchmarks must not wait for ten timeouts."""
    name, _, port = host.partition(":")
    try:
        socket.create_connection((name, int(port or 443)), timeout=5).close()
    except OSError:
        return False
    return True
