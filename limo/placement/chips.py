"""What GPUs can do, from their makers' data sheets, by the exact name that the driver gives."""

from __future__ import annotations

from dataclasses import dataclass

from limo.hardware import Gpu


@dataclass(frozen=True)
class Chip:
    """One kind of accelerator."""

    name: str
    """As nvidia-smi and torch give it."""
    memory: int
    """Bytes."""
    flops: float
    """Dense bf16 operations per second, without sparsity."""
    bandwidth: float
    """Bytes per second between chip and memory."""


def _sheet(name: str, gigabytes: int, teraflops: float, terabytes: float) -> Chip:
    return Chip(name, gigabytes * 2**30, teraflops * 1e12, terabytes * 1e12)


CHIPS = (
    _sheet("NVIDIA GB200", 186, 2500, 8.0),
    _sheet("NVIDIA B200", 180, 2250, 7.7),
    _sheet("NVIDIA GH200 480GB", 96, 989, 4.0),
    _sheet("NVIDIA GH200 144G HBM3e", 141, 989, 4.9),
    _sheet("NVIDIA H200", 141, 989, 4.8),
    _sheet("NVIDIA H200 NVL", 141, 835, 4.8),
    _sheet("NVIDIA H100 80GB HBM3", 80, 989, 3.35),
    _sheet("NVIDIA H100 PCIe", 80, 756, 2.0),
    _sheet("NVIDIA H100 NVL", 94, 835, 3.9),
    _sheet("NVIDIA A100-SXM4-80GB", 80, 312, 2.039),
    _sheet("NVIDIA A100 80GB PCIe", 80, 312, 1.935),
    _sheet("NVIDIA A100-SXM4-40GB", 40, 312, 1.555),
    _sheet("NVIDIA A100-PCIE-40GB", 40, 312, 1.555),
    _sheet("NVIDIA A40", 48, 149.7, 0.696),
    _sheet("NVIDIA A30", 24, 165, 0.933),
    _sheet("NVIDIA A10", 24, 125, 0.6),
    _sheet("NVIDIA A10G", 24, 70, 0.6),
    _sheet("NVIDIA L40S", 48, 362, 0.864),
    _sheet("NVIDIA L40", 48, 181, 0.864),
    _sheet("NVIDIA L4", 24, 121, 0.3),
    _sheet("NVIDIA RTX 6000 Ada Generation", 48, 364, 0.96),
    _sheet("NVIDIA RTX A6000", 48, 154.8, 0.768),
    _sheet("NVIDIA RTX A5000", 24, 111, 0.768),
    _sheet("NVIDIA GeForce RTX 5090", 32, 209.5, 1.792),
    _sheet("NVIDIA GeForce RTX 4090", 24, 165.2, 1.008),
    _sheet("NVIDIA GeForce RTX 3090", 24, 71, 0.936),
    _sheet("Tesla V100-SXM2-32GB", 32, 125, 0.9),
    _sheet("Tesla V100-SXM2-16GB", 16, 125, 0.9),
    _sheet("Tesla T4", 16, 65, 0.32),
)
"""From NVIDIA's data sheets and architecture white papers: of the half-precision rates the dense one of tensor cores that add
up in float32. V100 and T4 have no bf16; theirs is float16's, which they are slower than with bf16."""

SHORT = {
    "B200": "NVIDIA B200",
    "H200": "NVIDIA H200",
    "H100": "NVIDIA H100 80GB HBM3",
    "A100": "NVIDIA A100-SXM4-80GB",
    "L40S": "NVIDIA L40S",
    "L40": "NVIDIA L40",
    "L4": "NVIDIA L4",
    "A40": "NVIDIA A40",
    "A10": "NVIDIA A10",
    "A10G": "NVIDIA A10G",
    "4090": "NVIDIA GeForce RTX 4090",
    "3090": "NVIDIA GeForce RTX 3090",
    "5090": "NVIDIA GeForce RTX 5090",
    "V100": "Tesla V100-SXM2-32GB",
    "T4": "Tesla T4",
}
"""What a person calls them."""


def chip(name: str) -> Chip | None:
    """The data sheet of a GPU by its full name, or by what a person calls it; None for one that is not in the table."""
    full = next((full for short, full in SHORT.items() if short.lower() == name.lower()), name)
    return next((sheet for sheet in CHIPS if sheet.name == full), None)


def unknown(gpus: tuple[Gpu, ...]) -> str | None:
    """One sentence where a GPU has no data sheet here, so that neither hours nor the share of its peak are known."""
    names = sorted({gpu.name for gpu in gpus if chip(gpu.name) is None})
    if not names:
        return None
    return f"{', '.join(names)}: no data sheet is known under this name, so there are no hours and no mfu"
