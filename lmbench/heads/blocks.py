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
        self.inputs, self.cells = inputs, cells
        self.at_once = AT_ONCE if inputs.device.type == "cpu" else 16 * AT_ONCE
        one = self._read(torch.zeros(1, dtype=torch.long))
        self.dim, self.size = one.dim, one.size
        self._all: FeatureMaps | None = None
        if len(inputs) * 4 * sum(m.numel() for m in one.maps) <= KEPT:
            parts = [maps.maps for _, maps in self.of(torch.arange(len(inputs)))]
            self._all = replace(one, maps=tuple(torch.cat(level) for level in zip(*parts, strict=True)))

    def __len__(self) -> int:
        return len(self.inputs)

    def of(self, images: Tensor) -> Iterator[tuple[slice, FeatureMaps]]:
        """(where in ``images``, the maps of those), in order."""
        for start in range(0, len(images), self.at_once):
            some = images[start : start + self.at_once]
            yield slice(start, start + len(some)), self._kept(some) or self._read(some)

    def _kept(self, images: Tensor) -> FeatureMaps | None:
        return self._all and replace(self._all, maps=tuple(m[images] for m in self._all.maps))

    def _read(self, images: Tensor) -> FeatureMaps:
        return self.inputs.batch(images).coarse(self.cells)
