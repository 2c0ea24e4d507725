"""A repository of the Hugging Face hub in the cache that transformers, vLLM and datasets share (`HF_HOME`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from limo.hub.reach import PATIENCE, answers, forbidden

CARD = "README.md"
ABSENT = "not in the local Hugging Face cache, and"


@dataclass(frozen=True)
class Snapshot:
    """Weights, or a data set."""

    repo: str
    revision: str | None
    kind: Literal["model", "dataset"]
    globs: tuple[str, ...] = ()
    """Which files are wanted; none: all."""
    part: Callable[[Path], tuple[str, ...]] | None = None
    """Which files are wanted, as the card that lies in a folder tells; none: all. The card is fetched before the rest."""
    expected: int | None = field(default=None, compare=False)
    """Its bytes, where they are known before it is here."""

    @property
    def address(self) -> str:
        return self.repo if self.kind == "model" else f"datasets/{self.repo}"

    @property
    def by_hand(self) -> str:
        words = ["hf download", self.repo]
        words += ["--repo-type dataset"] if self.kind == "dataset" else []
        words += [f"--revision {self.revision}"] if self.revision else []
        return " ".join([*words, *(f"--include '{glob}'" for glob in self._wanted())])

    def folder(self) -> Path | None:
        """Where its commit lies in the cache, whole or not; without a revision that of `main`, else the newest."""
        from huggingface_hub import constants
        from huggingface_hub.file_download import repo_folder_name

        root = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=self.repo, repo_type=self.kind)
        ref = root / "refs" / (self.revision or "main")
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else self.revision
        if commit:
            return found if (found := root / "snapshots" / commit).is_dir() else None
        kept = [path for path in (root / "snapshots").glob("*") if path.is_dir()]
        return max(kept, key=lambda path: path.stat().st_mtime, default=None)

    def cached(self) -> Path | None:
        from huggingface_hub.errors import LocalEntryNotFoundError

        if (folder := self.folder()) is None:
            return None
        try:
            self._download(revision=folder.name, local_files_only=True)
        except LocalEntryNotFoundError:  # a download that was broken off
            return None
        return folder if all(any(folder.glob(glob)) for glob in (self.part(folder) if self.part else ())) else None

    def commit(self) -> str | None:
        return folder.name if (folder := self.folder()) else None

    def size(self) -> int | None:
        if (folder := self.cached()) is None:
            return self.expected
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    def ahead(self) -> int | None:
        self._fetch_card()
        files = self._download(revision=self.revision, dry_run=True)
        return sum(file.file_size or 0 for file in files if file.will_download)

    def refusal(self) -> str | None:
        from huggingface_hub.constants import ENDPOINT

        if forbidden():
            return f"{ABSENT} HF_HUB_OFFLINE forbids to fetch it"
        if not answers(ENDPOINT):
            return f"{ABSENT} {ENDPOINT} cannot be reached"
        return _refused(self.repo, self.revision, self.kind)

    def fetch(self) -> Path:
        self._fetch_card()
        return Path(self._download(revision=self.revision))

    def _fetch_card(self) -> None:
        if self.part and not ((folder := self.folder()) and (folder / CARD).is_file()):
            Snapshot(self.repo, self.revision, self.kind, (CARD,)).fetch()

    def _wanted(self) -> list[str]:
        """The files of `globs`, or of the `part` that a card names; none: all."""
        folder = self.folder() if self.part else None
        named = self.part(folder) if self.part and folder else ()
        return [CARD, *named] if named else list(self.globs)

    def _download(self, **how: Any) -> Any:
        from huggingface_hub import snapshot_download

        return snapshot_download(self.repo, repo_type=self.kind, allow_patterns=self._wanted() or None, **how)


@functools.cache
def _refused(repo: str, revision: str | None, kind: Literal["model", "dataset"]) -> str | None:
    """What the hub says against it; None where it gives it."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        HfApi().repo_info(repo, revision=revision, repo_type=kind, timeout=PATIENCE)
    except RevisionNotFoundError:
        return f"no commit {revision} on the hub; set its revision to one that is there, or to null"
    except RepositoryNotFoundError:
        return f"{ABSENT} the hub has none of that name, or none for you (hf auth login)"
    except HfHubHTTPError as error:
        return f"{ABSENT} the hub refuses it ({error.response.status_code})"
    except Exception as error:  # errors of the connection, whose library has several names
        if not type(error).__module__.startswith(("httpx", "httpcore")):
            raise
        return f"{ABSENT} the hub does not answer"
    return None
