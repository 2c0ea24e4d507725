"""Where the curves go beside `metrics.csv`: TensorBoard, Weights & Biases, MLflow; all work offline, inside the stage's folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limo.config import component

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


@component
class Csv:
    """Only `metrics.csv`, which is always written."""

    package: ClassVar[str | None] = None

    def missing(self) -> list[str]:
        if self.package is None or importlib.util.find_spec(self.package) is not None:
            return []
        extra = self.package
        return [f"logger={extra}: {extra} is not installed; pip install 'limo[{extra}]', or choose logger=csv"]

    def open(self, folder: Path) -> list[Logger]:
        """Live Lightning loggers that write below `folder`."""
        return []


@component
class TensorBoard(Csv):
    """Event files in `tensorboard/`."""

    package: ClassVar[str | None] = "tensorboard"

    def open(self, folder: Path) -> list[Logger]:
        from pytorch_lightning.loggers import TensorBoardLogger

        return [TensorBoardLogger(folder, name="tensorboard", version="")]


@component
class Wandb(Csv):
    """Weights & Biases."""

    package: ClassVar[str | None] = "wandb"

    project: str = "limo"
    offline: bool = True
    """Kept in `wandb/`; `wandb sync` sends it later."""

    def open(self, folder: Path) -> list[Logger]:
        import wandb
        from pytorch_lightning.loggers import WandbLogger

        # one id for all processes that an interrupted training takes: their parts are one run once synced
        whose = folder.resolve().name.removesuffix(".partial")
        quiet = wandb.Settings(silent=True)
        return [
            WandbLogger(
                project=self.project, offline=self.offline, save_dir=folder, id=whose, resume="allow", settings=quiet
            )
        ]


@component
class MLflow(Csv):
    """MLflow."""

    package: ClassVar[str | None] = "mlflow"

    experiment: str = "limo"
    uri: str | None = None
    """A tracking server; None writes `mlflow.db`, which `mlflow ui --backend-store-uri sqlite:///…/mlflow.db` shows."""

    def open(self, folder: Path) -> list[Logger]:
        from pytorch_lightning.loggers import MLFlowLogger

        folder = folder.resolve()
        return [
            MLFlowLogger(
                experiment_name=self.experiment,
                tracking_uri=self.uri or f"sqlite:///{folder}/mlflow.db",
                artifact_location=None if self.uri else str(folder / "mlruns"),
                run_name=folder.name.removesuffix(".partial"),
            )
        ]
