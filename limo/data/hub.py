"""Problems from the Hugging Face hub, or from a local copy of what lies there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from limo import UserError
from limo.config import component, first_line
from limo.data.files import read
from limo.data.source import Source, absent, paths
from limo.hub import reachable


@component
class Hub(Source):
    """A data set of the hub; `path` takes its place where the hub cannot be reached."""

    repo: str
    """Repository, `GAIR/LIMO`, or a local folder that `datasets` can read."""
    revision: str | None = None
    """Commit of the repository; null takes its main branch."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    split: str = "train"
    path: Path | tuple[Path, ...] | None = None
    """A local file, or several, with the same columns, read in place of the hub."""

    def fingerprint(self, digest: Callable[[Path], str]) -> dict[str, Any]:
        """Local files by content, the hub by repository and revision."""
        from limo.serial import fingerprint

        fields = {
            f: getattr(self, f)
            for f in self.__dataclass_fields__
            if f not in ("repo", "revision", "subset", "split", "path")
        }
        folder = Path(self.repo).expanduser()
        place = [str(self.repo), self.revision, self.subset, self.split]
        if self.path is not None:
            place = [digest(file) for file in paths(self.path)]
        elif folder.is_dir():
            place = [digest(folder), self.subset, self.split]
        return {"_target_": "Hub", "place": place, **{k: fingerprint(v, digest) for k, v in fields.items()}}

    def missing(self) -> list[str]:
        if self.path is not None:
            return absent(paths(self.path))
        return (
            []
            if Path(self.repo).expanduser().is_dir()
            or _cached(self.repo)
            or reachable(self.repo, self.revision, "dataset")
            else [self._unreachable()]
        )

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self.path is not None:
            for file in paths(self.path):
                yield from read(file)
            return
        for number, row in enumerate(self._table(), 1):
            yield f"{self.repo} [{self.split}], row {number}", dict(row)

    def _table(self) -> Any:
        import datasets
        from datasets.exceptions import DatasetNotFoundError

        repo = str(Path(self.repo).expanduser()) if Path(self.repo).expanduser().is_dir() else self.repo
        try:
            return datasets.load_dataset(repo, self.subset, split=self.split, revision=self.revision)
        except (ConnectionError, DatasetNotFoundError):
            raise UserError(self._unreachable()) from None
        except ValueError as error:  # an unknown split or subset; the message lists those there are
            raise UserError(f"data.repo={self.repo}: {first_line(error)}; set data.split or data.subset") from None

    def _unreachable(self) -> str:
        return (
            f"data.repo={self.repo}: not in the local cache, and the hub cannot be reached or refuses; fetch it where "
            f"there is network (hf download --repo-type dataset {self.repo}) and set data.path to its file (Parquet, "
            "JSONL, JSON, CSV)"
        )


def _cached(repo: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    folder = Path(HF_HUB_CACHE) / f"datasets--{repo.replace('/', '--')}" / "snapshots"
    return folder.is_dir() and any(folder.iterdir())
