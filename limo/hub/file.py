"""One file of a public repository at one commit: fetched once, then read from the cache of this machine."""

from __future__ import annotations

import functools
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from limo.hub.reach import PATIENCE, answers, forbidden, head
from limo.records import replacing

GITHUB = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class RemoteFile:
    """A file of GitHub, or of a data set of the Hugging Face hub."""

    kind: ClassVar[str] = "file"
    repo: str
    """`github:<owner>/<name>`, or `<owner>/<name>` for a data set of the Hugging Face hub."""
    revision: str
    path: str

    @property
    def _github(self) -> str | None:
        return self.repo.removeprefix("github:") if self.repo.startswith("github:") else None

    @property
    def address(self) -> str:
        return self.repo if self._github else f"datasets/{self.repo}"

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        if self._github:
            return f"{GITHUB}/{self._github}/{self.revision}/{self.path}"
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repo, self.path, revision=self.revision, repo_type="dataset")

    @property
    def by_hand(self) -> str:
        if self._github:
            return f'curl -fsSL --create-dirs -o "${{XDG_CACHE_HOME:-$HOME/.cache}}/{self._below}" {self.url}'
        return f"hf download {self.repo} {self.path} --repo-type dataset --revision {self.revision}"

    def cached(self) -> Path | None:
        if self._github:
            return path if (path := self._place()).is_file() else None
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.repo, self.path, revision=self.revision, repo_type="dataset")
        return Path(found) if isinstance(found, str) else None

    def commit(self) -> str | None:
        return self.revision if self.cached() else None

    def size(self) -> int | None:
        return found.stat().st_size if (found := self.cached()) else None

    def ahead(self) -> int | None:
        return None

    def refusal(self) -> str | None:
        from huggingface_hub.constants import ENDPOINT

        if forbidden():
            return "not in the cache, and HF_HUB_OFFLINE forbids to fetch it"
        host = GITHUB if self._github else ENDPOINT
        return _refused(self.url, bool(self._github)) if answers(host) else f"cannot be reached at {host}"

    def fetch(self) -> Path:
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

    @property
    def _below(self) -> str:
        return f"limo/benchmarks/{self._github}/{self.revision}/{self.path}"

    def _place(self) -> Path:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / self._below


@functools.cache
def _refused(url: str, github: bool) -> str | None:
    try:
        if github:
            head(url)
        else:
            from huggingface_hub import get_hf_file_metadata

            get_hf_file_metadata(url, timeout=PATIENCE)
    except OSError as error:  # huggingface_hub's errors are OSErrors too
        return f"cannot be fetched ({str(error).splitlines()[0]})"
    return None
