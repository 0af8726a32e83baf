"""g: the random deformations of both steps, and the points they take to one another (Rahaman et al. 2021, secs. 2 and 4).

Convention: a deformed image is made by reading the image at a sampling grid (x before y, ``align_corners=True``), so the
grid's value at a pixel of the deformed image *is* that point in the image before: ``g`` inverse, exactly. Both steps
start from points of the deformed image; nothing is ever inverted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.api import (
    UsageError,
    affine_matrices,
    affine_points,
    denormalise_points,
    elastic_grid,
    float32,
    normalise_points,
)
from lmbench_twostep.settings import DeformationSettings


@dataclass(frozen=True)
class Deformation(DeformationSettings):
    """A random deformation of that strength."""

    def draw(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """(count, size, size, 2) in [-1, 1]: for each pixel of a deformed image, where in the image before it lies."""

        def uniform(limit: float) -> Tensor:
            return limit * (2 * torch.rand(count, generator=generator) - 1)

        low, high = (math.log(factor) for factor in self.zoom)
        zoom = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
        shift = torch.stack((uniform(self.shift * size), uniform(self.shift * size)), -1)
        # The matrices move points of the deformed image into the image before, where content that grows is smaller.
        back = affine_matrices(uniform(self.rotation), 1 / zoom, shift, (size, size))
        slope = uniform(self.shear)
        if self.elastic > 0:
            pixels = (self.elastic * size, self.smoothness * size)
            grid = elastic_grid(count, (size, size), generator, *pixels)
        else:
            grid = whole_grid(count, size)
        points = denormalise_points(grid, (size, size)).flatten(1, 2)
        centre = (size - 1) / 2
        points = torch.stack((points[..., 0] + slope[:, None] * (points[..., 1] - centre), points[..., 1]), -1)
        return normalise_points(affine_points(points, back), (size, size)).unflatten(1, (size, size))


def deformation_of(settings: Mapping[str, Any] | None) -> Deformation:
    """The Deformation that an objective's setting describes. Raises UsageError for a field that it does not have."""
    known = [field.name for field in fields(Deformation)]
    unknown = sorted(set(settings or ()) - set(known))
    if unknown:
        raise UsageError(f"deformation has no field {unknown[0]!r}; expected some of {', '.join(known)}.")
    return Deformation(**(settings or {}))


def whole_grid(count: int, size: int) -> Tensor:
    """(count, size, size, 2): the grid under which nothing moves."""
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack((x, y), -1).expand(count, -1, -1, -1)


def deformed_pair(
    images: Tensor, size: int, window: float, deformation: Deformation, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(x, g(x), grid) of images (B, 3, H, W): two views (B, 3, size, size), and the grid (B, size, size, 2) between them.

    ``size``: 0 takes the images' own side. ``window``: x is the central part of the image, as a fraction of its side;
    g(x) is read from the whole image and sees what lies around. The grid is in [-1, 1] of x; both views are resampled
    once, from the image, with zeros outside of it.
    """
    size = size or images.shape[-1]
    grid = deformation.draw(len(images), size, generator).to(images)
    whole = whole_grid(len(images), size).to(images)
    return read_at(images, whole * window), read_at(images, grid * window), grid


@float32  # a half-precision grid misses by pixels
def read_at(maps: Tensor, grid: Tensor) -> Tensor:
    """(B, C, h, w): maps (B, C, H, W) read at a grid (B, h, w, 2) in [-1, 1]; bilinear, zeros outside."""
    return functional.grid_sample(maps, grid.to(maps), mode="bilinear", padding_mode="zeros", align_corners=True)


def read_points(maps: Tensor, points: Tensor) -> Tensor:
    """(B, P, C): maps (B, C, H, W) read at points (B, P, 2) in [-1, 1]; differentiable in both."""
    return read_at(maps, points[:, :, None])[..., 0].mT


def move_back(points: Tensor, grid: Tensor) -> Tensor:
    """(B, P, 2) in [-1, 1]: where points of the deformed image lie in the image before; differentiable in the points."""
    return read_points(grid.permute(0, 3, 1, 2), points)
