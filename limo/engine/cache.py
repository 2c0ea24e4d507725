"""A key-value cache whose rows come and go: room is kept for growth, finished rows leave, new ones join left-padded."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache as LayerCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""Least number of free columns kept at the end; growth is by a quarter where that is more."""


class Layer(DynamicLayer):  # type: ignore[misc]
    """Keys and values of a layer, [rows, heads, length, width], views of larger buffers: a step copies one column."""

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.get_seq_length()
        end = start + keys.shape[2]
        if not start:
            self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
            self.fill(keys, values)
        elif end > self.room[0].shape[2]:
            self.fill(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2))
        else:
            for buffer, new in zip(self.room, (keys, values), strict=True):
                buffer[:, :, start:end] = new
            self.view(end)
        return self.keys, self.values

    def fill(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Take these as the content, with room to grow."""
        length = keys.shape[2]
        self.room = []
        for given in (keys, values):
            buffer = given.new_zeros(*given.shape[:2], length + max(ROOM, length // 4), given.shape[3])
            buffer[:, :, :length] = given
            self.room.append(buffer)
        self.view(length)

    def view(self, length: int) -> None:
        self.keys, self.values = (buffer[:, :, :length] for buffer in self.room)


class Cache:
    """All layers and the attention mask, [rows, length], 1 where a token is."""

    def __init__(self, layers: int, mask: torch.Tensor | None = None) -> None:
        self.layers = LayerCache(layers=[Layer() for _ in range(layers)])
        self.mask = torch.empty(0, 0) if mask is None else mask

    def fresh(self, mask: torch.Tensor) -> Cache:
        """An empty cache of the same depth, for new rows."""
        return Cache(len(self.layers), mask)

    def extend(self) -> None:
        """Make the mask one token longer, for the token about to go through the model."""
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], 1)

    def keep(self, rows: list[int]) -> None:
        """Only these rows stay; columns that are padding for all of them go."""
        if not rows:
            self.layers, self.mask = Cache(len(self.layers)).layers, self.mask[:0]
            return
        index = torch.tensor(rows, device=self.mask.device)
        mask = self.mask[index]
        cut = int((mask.cumsum(1) == 0).all(0).sum())
        self.mask = mask[:, cut:]
        for layer in self.layers.layers:
            layer.fill(layer.keys[index, :, cut:], layer.values[index, :, cut:])

    def join(self, other: Cache) -> None:
        """Append the rows of another cache; the shorter of the two is padded on the left."""
        if not len(self.mask):
            self.layers, self.mask = other.layers, other.mask
            return
        length = max(self.mask.shape[1], other.mask.shape[1])

        def padded(value: torch.Tensor, dimension: int) -> torch.Tensor:
            shape = list(value.shape)
            shape[dimension] = length - shape[dimension]
            return torch.cat([value.new_zeros(shape), value], dimension) if shape[dimension] else value

        self.mask = torch.cat([padded(self.mask, 1), padded(other.mask, 1)])
        for mine, new in zip(self.layers.layers, other.layers.layers, strict=True):
            mine.fill(
                torch.cat([padded(mine.keys, 2), padded(new.keys, 2)]),
                torch.cat([padded(mine.values, 2), padded(new.values, 2)]),
            )
