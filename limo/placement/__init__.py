"""Which hardware a stage gets and whether it fits: ranks, tensor parallel, replicas; bytes on GPU, host and disk; what GPUs
can do. The plan prints it, `missing` refuses by it, the run uses it.
"""

from limo.placement.chips import CHIPS, SHORT, Chip, chip, unknown
from limo.placement.disk import Disk, checkpoint, disk
from limo.placement.machine import ROOM, Machine, fed, ranks
from limo.placement.memory import PIECE, Footprint, Setup, footprint, simplest
from limo.placement.serving import SHARE, Serving, Wanted, kv_bytes, lacks, serving

__all__ = [
    "CHIPS",
    "PIECE",
    "ROOM",
    "SHARE",
    "SHORT",
    "Chip",
    "Disk",
    "Footprint",
    "Machine",
    "Serving",
    "Setup",
    "Wanted",
    "checkpoint",
    "chip",
    "disk",
    "fed",
    "footprint",
    "kv_bytes",
    "lacks",
    "ranks",
    "serving",
    "simplest",
    "unknown",
]
