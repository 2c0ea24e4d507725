"""The files of a model folder: JSON by its name, which weights count, every tensor by its header, and what is wrong; no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limo import UserError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED, PICKLED_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
POINTER = b"version https://git-lfs"
LONGEST = 100_000_000
"""Bytes of a header; safetensors itself reads no longer one."""
BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
EXPONENTS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000)}
"""How the bits of a number are read, and which are all set where it is infinite or none."""
WHOLE, PART = 4 << 30, 1 << 20
"""Bytes of weights that are read to their end in search of numbers that are none; of each tensor of a larger model only the first."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    """Of its data in the file, in bytes."""
    end: int


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model folder. Raises UserError where it cannot be read or holds no object."""
    try:
        if isinstance(found := json.loads(path.read_text(encoding="utf-8")), dict):
            return found
        raise ValueError(f"a {type(found).__name__} in place of an object")
    except OSError as error:
        raise UserError(
            f"model.path={path.parent}: its {path.name} cannot be read ({error.strerror}); let this user read it"
        ) from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> UserError:
    """What is to be said of a file that is none of its kind."""
    why = str(error).splitlines()[0] if path.stat().st_size else "it is empty"
    return UserError(f"model.path={path.parent}: its {path.name} is damaged ({why}); download it anew")


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers and vLLM both load. Raises UserError where one is not there or the two would load others."""
    has = {name: (folder / name).is_file() for name in (SINGLE, INDEX, PICKLED, PICKLED_INDEX)}
    if has[SINGLE] and has[INDEX]:
        raise UserError(f"both {SINGLE} and {INDEX} lie in it; delete those that are not the weights")
    for single, index in ((SINGLE, INDEX), (PICKLED, PICKLED_INDEX)):
        if has[single]:
            return [folder / single]
        if has[index]:
            return [folder / name for name in sorted(set(_places(folder, index).values()))]
    if shards := sorted(path.name for path in folder.glob("*.safetensors")):
        raise UserError(f"it has {shards[0]} but no {INDEX}, so nobody knows what belongs to it; save the weights anew")
    raise UserError(f"no weights in it ({SINGLE})")


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor by name, from the headers alone; none where the weights are pickled. Raises UserError where a file is not whole."""
    files = weight_files(folder)
    for file in files:
        _whole(file)
    if files[0].suffix != ".safetensors":
        return {}
    found: dict[str, Tensor] = {}
    for file in files:
        more = _header(file)
        if twice := sorted(more.keys() & found.keys()):
            raise UserError(f"{twice[0]} is in {file.name} and in {found[twice[0]].file.name}; save the weights anew")
        found |= more
    if (folder / INDEX).is_file():
        named = _places(folder, INDEX).keys()
        if lost := [*sorted(named - found.keys()), *sorted(found.keys() - named)]:
            raise UserError(
                f"{INDEX} and its files are not of one piece ({listed(lost)} in only one of them); download them anew"
            )
    return found


def weight_faults(folder: Path) -> list[str]:
    """What is wrong with the weight files of a folder, at most one sentence."""
    try:
        read_tensors(folder)
    except UserError as fault:
        return [str(fault)]
    return []


def not_finite(tensors: dict[str, Tensor]) -> Iterator[str]:
    """Names of tensors with numbers that are none or infinite; of models above `WHOLE` bytes only their beginnings are read."""
    import numpy as np

    limit = None if sum(t.end - t.start for t in tensors.values()) <= WHOLE else PART
    for name, tensor in tensors.items():
        if tensor.dtype not in EXPONENTS or tensor.end == tensor.start:
            continue
        kind, exponent = EXPONENTS[tensor.dtype]
        count = (tensor.end - tensor.start) // int(kind[-1])
        bits = np.memmap(tensor.file, kind, "r", offset=tensor.start, shape=(min(count, limit or count),))
        if any(((bits[at : at + PART] & exponent) == exponent).any() for at in range(0, len(bits), PART)):
            yield name


def listed(names: list[str], limit: int = 3) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _places(folder: Path, index: str) -> dict[str, str]:
    try:
        found = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
        places = {str(name): Path(str(file)).name for name, file in found.items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise UserError(f"{index} is damaged; download it anew") from None
    if not places:
        raise UserError(f"{index} names no weights; download it anew")
    return places


def _whole(file: Path) -> None:
    """Whether a file is there and holds weights."""
    if not file.is_file():
        raise UserError(f"{file.name} is not there; download it anew")
    with file.open("rb") as handle:
        start = handle.read(len(POINTER))
    if not start:
        raise UserError(f"{file.name} is empty; download it anew")
    if start == POINTER:
        raise UserError(f"{file.name} is a pointer of git-lfs, not the weights; run git lfs pull in {file.parent}")


def _header(file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file: 8 bytes length, a JSON header, the data one after the other up to the end."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if length > min(LONGEST, size - 8):
            raise UserError(f"{file.name} ends within its header, or is no safetensors file; download it anew")
        try:
            rows = json.loads(handle.read(length))
            rows.pop("__metadata__", None)
            start = 8 + length
            found = {
                str(name): Tensor(
                    file, row["dtype"], tuple(map(int, row["shape"])), *(start + int(at) for at in row["data_offsets"])
                )
                for name, row in rows.items()
            }
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            raise UserError(f"{file.name} has a damaged header; download it anew") from None
    end = max((t.end for t in found.values()), default=start)
    if end > size:
        raise UserError(f"{file.name} was cut off: it has {size:,} of {end:,} bytes; download it anew")
    for name, tensor in found.items():
        wanted = math.prod(tensor.shape) * BYTES[tensor.dtype] if tensor.dtype in BYTES else tensor.end - tensor.start
        if tensor.end - tensor.start != wanted:
            raise UserError(
                f"{file.name}: {name} has {tensor.end - tensor.start:,} bytes, not {wanted:,}; download it anew"
            )
    order = sorted(found.values(), key=lambda t: (t.start, t.end))
    begins = [start, *(t.end for t in order)]
    if end != size or any(t.start != at for t, at in zip(order, begins, strict=False)):
        raise UserError(f"{file.name} has bytes that belong to no tensor; download it anew")
    return found
