"""A data set of the Hugging Face hub, or a folder like one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from limo import UserError
from limo.config import component, first_line
from limo.data.formats import WANTED, Rows
from limo.data.table import Table
from limo.hub import reachable


@component
class Hub(Table):
    """A data set of the hub, read by the library `datasets`."""

    repo: str
    """Repository, `GAIR/LIMO`, or a local folder that `datasets` can read."""
    revision: str | None = None
    """Commit of the repository; null takes its main branch."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    split: str = "train"

    @property
    def name(self) -> str:
        return super().name if self.files else f"{self.repo} [{self.split}]"

    def remote_rows(self) -> Rows:
        return ((f"{self.name}, row {number}", dict(row)) for number, row in enumerate(self._table(), 1))

    def remote_missing(self) -> list[str]:
        here = self._folder.is_dir() or _cached(self.repo) or reachable(self.repo, self.revision, "dataset")
        return [] if here else [self._unreachable()]

    def remote_key(self, digest: Callable[[Path], str]) -> object:
        folder = self._folder
        return [digest(folder) if folder.is_dir() else f"{self.repo}@{self.revision}", self.subset, self.split]

    @property
    def _folder(self) -> Path:
        return Path(self.repo).expanduser()

    def _table(self) -> Any:
        import datasets
        from datasets.exceptions import DatasetNotFoundError

        repo = str(self._folder) if self._folder.is_dir() else self.repo
        try:
            return datasets.load_dataset(repo, self.subset, split=self.split, revision=self.revision)
        except (ConnectionError, DatasetNotFoundError):
            raise UserError(self._unreachable()) from None
        except ValueError as error:  # an unknown split or subset; the message lists those there are
            raise UserError(f"repo={self.repo}: {first_line(error)}; set split or subset to one it has") from None

    def _unreachable(self) -> str:
        at = f" --revision {self.revision}" if self.revision else ""
        return (
            f"repo={self.repo}: not in the local cache, and the hub cannot be reached or refuses; fetch it where there is "
            f"network (hf download --repo-type dataset {self.repo}{at}) and set path to its file, {WANTED}"
        )


def _cached(repo: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}" / "snapshots"
    return folder.is_dir() and any(folder.iterdir())
