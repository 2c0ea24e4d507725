"""An exported folder loaded as an engine does, against the logits of the weights in training; in a process of its own where
the training patched the libraries that would load it: `python -m limo.training.compare <folder> <file>`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from limo import process

LARGE = 4_000_000_000
"""Weights from which the comparison computes in the exported dtype, to spare main memory."""


class ExportError(RuntimeError):
    """The exported folder is not what was trained: a defect, never the user's mistake."""


def compare(folder: Path, reference: torch.Tensor, tried: list[int], allowed: float) -> None:
    """Nothing missing, tied where it was tied, and `reference`, the [length, vocabulary] logits of the token ids `tried`, within
    `allowed` of their spread. Raises ExportError.
    """
    from transformers import AutoModelForCausalLM

    net, told = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto", attn_implementation="sdpa", output_loading_info=True, trust_remote_code=False
    )
    if lost := sorted(map(str, {*told["missing_keys"], *told["unexpected_keys"], *told["mismatched_keys"]})):
        raise ExportError(f"{folder}: its tensors are not the architecture's: {', '.join(lost[:5])}")
    if net.config.tie_word_embeddings and net.get_input_embeddings().weight is not net.get_output_embeddings().weight:
        raise ExportError(f"{folder}: embeddings and head are no longer tied")
    if sum(p.numel() for p in net.parameters()) < LARGE:
        net = net.float()
    with torch.no_grad():
        found = net(input_ids=torch.tensor([tried])).logits[0].float()
    off = float((found - reference).pow(2).mean().sqrt() / reference.std())
    if not off <= allowed:
        raise ExportError(
            f"{folder}: its logits differ from those in training by {off:.3g} of their spread, more than {allowed}"
        )


def alone(folder: Path, reference: torch.Tensor, tried: list[int], allowed: float) -> None:
    """The same in a fresh process, which no patch of this one reaches."""
    file = folder.with_name(f"{folder.name}.logits")
    torch.save((reference, tried, allowed), file)
    command = [sys.executable, "-m", __name__, str(folder), str(file)]
    with process.start(command, stderr=subprocess.PIPE, text=True) as child:
        _, said = child.communicate()
    file.unlink()
    if child.returncode:
        raise ExportError(said.strip().splitlines()[-1] if said.strip() else f"{folder}: its check was killed")


if __name__ == "__main__":
    try:
        compare(Path(sys.argv[1]), *torch.load(sys.argv[2], weights_only=True))
    except ExportError as mistake:
        sys.exit(str(mistake))
