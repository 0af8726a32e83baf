"""Frozen maps as a head goes over them again and again: a few images at a time, kept while they fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from lmbench.features import FeatureMaps
from lmbench.heads.base import HeadInputs

AT_ONCE = 16  # images: heatmaps of so many stay in a CPU's cache
KEPT = 1 << 30  # bytes of float32 maps that are kept


class Blocks:
    """The maps of some inputs, of at most ``cells`` cells a side and read on such a grid at most."""

    def __init__(self, inputs: HeadInputs, cells: int) -> None:
        self.inputs, self.cells, self.device = inputs, cells, inputs.device
        self.at_once = AT_ONCE if inputs.device.type == "cpu" else 16 * AT_ONCE
        one = self._read(torch.zeros(1, dtype=torch.long))
        self.dim, self.size = one.dim, one.size
        self._one = one
        self._all: list[Tensor] | None = None
        if len(inputs) * 4 * sum(m.numel() for m in one.maps) <= KEPT:
            parts = [maps.maps for _, maps in self.of(torch.arange(len(inputs)))]
            # Channels first, as filters go over them: no copy is made for each product.
            self._all = [torch.cat([m.transpose(0, 1) for m in level], 1) for level in zip(*parts, strict=True)]

    def __len__(self) -> int:
        return len(self.inputs)

    def of(self, images: Tensor) -> Iterator[tuple[slice, FeatureMaps]]:
        """(where in ``images``, the maps of those), in order."""
        for start in range(0, len(images), self.at_once):
            some = images[start : start + self.at_once]
            yield slice(start, start + len(some)), self._kept(some) or self._read(some)

    def _kept(self, images: Tensor) -> FeatureMaps | None:
        if self._all is None:
            return None
        return replace(self._one, maps=tuple(m[:, images].transpose(0, 1) for m in self._all))

    def _read(self, images: Tensor) -> FeatureMaps:
        return self.inputs.batch(images).coarse(self.cells)
