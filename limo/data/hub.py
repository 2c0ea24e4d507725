"""A data set of the Hugging Face hub, or a folder like one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo import UserError
from limo.config import component, first_line
from limo.data.formats import WANTED, Rows
from limo.data.table import Table
from limo.hub import CARD, Remote, Snapshot


@dataclass(frozen=True)
class Part:
    """A split of a data set."""

    subset: str | None
    split: str

    def __call__(self, folder: Path) -> tuple[str, ...]:
        """Its files, as the card in the folder names them; none where it names none."""
        from datasets.utils.metadata import MetadataConfigs
        from huggingface_hub import DatasetCard

        if not (folder / CARD).is_file():
            return ()
        configs = MetadataConfigs.from_dataset_card_data(DatasetCard.load(folder / CARD).data)
        name = self.subset or configs.get_default_config_name() or next(iter(configs), None)
        files = configs.get(name, {}).get("data_files")
        if not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
            return ()
        paths = [one["path"] for one in files if one["split"] == self.split]
        return tuple(glob for path in paths for glob in (path if isinstance(path, list) else [path]))


@component
class Hub(Table):
    """A data set of the hub, read by the library `datasets` from the files in the cache."""

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

    @property
    def here(self) -> bool:
        return super().here or self._folder() is not None

    def remote_rows(self) -> Rows:
        with self._explained():
            for number, row in enumerate(self._table(), 1):
                yield f"{self.name}, row {number}", dict(row)

    def remote_missing(self) -> list[str]:
        if self._folder() or not (refusal := self._snapshot.refusal()):
            return []
        return [self._absent(refusal)]

    def remote_key(self, digest: Callable[[Path], str]) -> object:
        own = self._own
        return [digest(own) if own else f"{self.repo}@{self.revision}", self.subset, self.split]

    def origins(self) -> list[Remote]:
        return [] if self.files or self._own else [self._snapshot]

    @property
    def _own(self) -> Path | None:
        """The local folder that `repo` may name."""
        return path if (path := Path(self.repo).expanduser()).is_dir() else None

    @property
    def _snapshot(self) -> Snapshot:
        return Snapshot(self.repo, self.revision, "dataset", part=self._part)

    @property
    def _part(self) -> Part:
        return Part(self.subset, self.split.partition("[")[0])

    def _folder(self) -> Path | None:
        """The local folder, or the one of the cache where the split lies in it."""
        return self._own or self._snapshot.cached()

    def _table(self) -> Any:
        import datasets

        folder = self._folder() or self._snapshot.fetch()
        globs = self._part(folder)
        files = {self._part.split: list(globs)} if globs else None
        slices = "[" in self.split  # such as train[:100], which is cut from the whole
        return datasets.load_dataset(str(folder), self.subset, split=self.split, data_files=files, streaming=not slices)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What cannot be read is a UserError."""
        try:
            yield
        except UserError:
            raise
        except ValueError as error:  # an unknown split or subset; the message lists those there are
            raise UserError(f"repo={self.repo}: {first_line(error)}; set split or subset to one it has") from None
        except OSError as error:
            raise UserError(self._absent(f"cannot be read ({first_line(error)})")) from None

    def _absent(self, why: str) -> str:
        return (
            f"repo={self.repo}: {why}; `python -m limo fetch` with the same words fetches it where there is network, "
            f"{self._snapshot.by_hand} it alone; or set path to its file, {WANTED}"
        )
