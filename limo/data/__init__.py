"""Where problems come from: files, the Hugging Face hub, the lab; and the stage that cleans them."""

from limo.data.contamination import Decontamination
from limo.data.files import Files
from limo.data.hub import Hub
from limo.data.source import Data, Source
from limo.data.stage import DataStage

__all__ = ["Data", "DataStage", "Decontamination", "Files", "Hub", "Source"]
