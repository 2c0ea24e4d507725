"""One file of a public repository at one commit: fetched once, then read from the cache of this machine."""

from __future__ import annotations

import functools
import os
import socket
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from limo import UserError, config

GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Remote:
    """A file on GitHub or in a data set of the Hugging Face hub."""

    hub: str
    """`github:<owner>/<name>`, or `<owner>/<name>` on the Hugging Face hub."""
    revision: str
    path: str

    @property
    def _github(self) -> str | None:
        return self.hub.removeprefix("github:") if self.hub.startswith("github:") else None

    def cached(self) -> Path | None:
        """Where the file lies on this machine, if it was fetched before."""
        if self._github:
            return path if (path := self._place()).is_file() else None
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.hub, self.path, revision=self.revision, repo_type="dataset")
        return Path(found) if isinstance(found, str) else None

    def reachable(self) -> bool:
        """Whether it can be fetched; answers at once where the host was found silent before."""
        url = self._url()
        if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0") or not _online(urllib.parse.urlsplit(url).netloc):
            return False
        try:
            if self._github:
                urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10).close()
            else:
                from huggingface_hub import get_hf_file_metadata

                get_hf_file_metadata(url, timeout=10)
        except OSError:  # huggingface_hub's errors are OSErrors too
            return False
        return True

    def fetch(self) -> Path:
        """The file, from the cache or the network. Raises UserError where it cannot be had."""
        if (found := self.cached()) is not None:
            return found
        try:
            return self._download()
        except OSError as error:
            reason = config.first_line(error)
            raise UserError(
                f"{self._url()} cannot be fetched ({reason}); set this benchmark's path to a local copy"
            ) from None

    def _download(self) -> Path:
        if not self._github:
            from huggingface_hub import hf_hub_download

            return Path(hf_hub_download(self.hub, self.path, revision=self.revision, repo_type="dataset"))
        with urllib.request.urlopen(self._url(), timeout=60) as answer:
            data = answer.read()
        path = self._place()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_bytes(data)
        return partial.replace(path)

    def _place(self) -> Path:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return root / "limo" / "benchmarks" / str(self._github) / self.revision / self.path

    def _url(self) -> str:
        if self._github:
            return f"{GITHUB}/{self._github}/{self.revision}/{self.path}"
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.hub, self.path, revision=self.revision, repo_type="dataset")


@functools.cache
def _online(host: str) -> bool:
    """Whether a host answers at all, asked once: ten benchmarks must not wait for ten timeouts."""
    name, _, port = host.partition(":")
    try:
        socket.create_connection((name, int(port or 443)), timeout=5).close()
    except OSError:
        return False
    return True
