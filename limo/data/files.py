"""Tables in files: local ones of the user's own, and one of a public repository at one commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from limo import UserError
from limo.config import component, first_line
from limo.data.formats import WANTED, Rows, read
from limo.data.table import Table
from limo.hub import Remote, RemoteFile


@component
class Files(Table):
    """Local files alone."""

    def remote_missing(self) -> list[str]:
        return [f"path is not set; give the path of {WANTED}"]


@component
class PinnedFile(Table):
    """A file of a public repository at one commit, so that it cannot change silently."""

    repo: str
    """`github:<owner>/<name>`, or `<owner>/<name>` for a data set of the Hugging Face hub."""
    revision: str | None = None
    """Commit of the repository; it must be given."""
    remote: str
    """Path of the file in the repository: JSONL, JSON, CSV or Parquet."""
    file: str | None = None
    """Name of the file in a local folder of benchmarks (`evaluation.data_dir`)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.revision:
            raise ValueError(
                f"repo={self.repo} needs a revision; give the commit, so that the file cannot change silently"
            )

    def at(self, folder: Path) -> PinnedFile:
        """The same table, read from a local folder of benchmark files, unless it has local files of its own."""
        if self.file is None or self.path is not None:
            return self
        flat, nested = folder.expanduser() / self.file, folder.expanduser() / Path(self.file).stem / "test.jsonl"
        # nested as in the evaluation folder of LIMO's repository
        return dataclasses.replace(self, path=nested if nested.is_file() and not flat.is_file() else flat)

    @property
    def name(self) -> str:
        return super().name if self.files else f"{self.repo}/{self.remote}"

    @property
    def here(self) -> bool:
        return super().here or self._remote.cached() is not None

    def remote_rows(self) -> Rows:
        try:
            return read(self._remote.fetch())
        except OSError as error:
            raise UserError(
                f"{self._remote.url} cannot be fetched ({first_line(error)}); set path to a local copy"
            ) from None

    def remote_missing(self) -> list[str]:
        if self._remote.cached() or not (refusal := self._remote.refusal()):
            return []
        folder = Path(self.remote).parent
        if self.file and Path(self.remote).parts[-2:] == (Path(self.file).stem, "test.jsonl"):
            folder = folder.parent
        to_folder = f"evaluation.data_dir to its folder {folder}, or " if self.file else ""
        return [
            f"repo={self.repo}: {refusal}; fetch its commit {str(self.revision)[:12]} where there is network "
            f"(`python -m limo fetch` with the same words), or set {to_folder}path to the file"
        ]

    def remote_key(self, digest: Callable[[Path], str]) -> object:
        return f"{self.repo}@{self.revision}/{self.remote}"

    def origins(self) -> list[Remote]:
        return [] if self.files else [self._remote]

    @property
    def _remote(self) -> RemoteFile:
        return RemoteFile(self.repo, str(self.revision), self.remote)
