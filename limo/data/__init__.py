"""Where problems come from: files, public repositories, the Hugging Face hub; and the stage that cleans a pool."""

from limo.data.contamination import Decontamination, Match
from limo.data.duplicates import LeftOut
from limo.data.files import Files, PinnedFile
from limo.data.hub import Hub
from limo.data.mixture import Mixture
from limo.data.protect import guarded, protected
from limo.data.source import Data, Row, known, located, missing
from limo.data.stage import DataStage
from limo.data.table import Table

__all__ = [
    "Data",
    "DataStage",
    "Decontamination",
    "Files",
    "Hub",
    "LeftOut",
    "Match",
    "Mixture",
    "PinnedFile",
    "Row",
    "Table",
    "guarded",
    "known",
    "located",
    "missing",
    "protected",
]
