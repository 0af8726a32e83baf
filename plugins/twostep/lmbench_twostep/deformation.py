"""g: the random deformations of both steps, and the points they take to one another (Rahaman et al. 2021, secs. 2 and 4).

Convention: a deformed image is made by reading the image at a sampling grid (x before y, ``align_corners=True``), so the
grid's value at a pixel of the deformed image *is* that point in the image before: ``g`` inverse, exactly. Both steps
start from points of the deformed image; nothing is ever inverted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.api import (
    affine_matrices,
    affine_points,
    denormalise_points,
    elastic_grid,
    float32,
    normalise_points,
)
from lmbench_twostep.settings import Deformation


def draw_grids(deformation: Deformation, count: int, size: int, generator: torch.Generator) -> Tensor:
    """(count, size, size, 2) in [-1, 1]: for each pixel of a deformed image, where in the image before it lies."""

    def uniform(limit: float) -> Tensor:
        return limit * (2 * torch.rand(count, generator=generator) - 1)

    low, high = (math.log(factor) for factor in deformation.zoom)
    zoom = torch.exp(low + (high - low) * torch.rand(count, generator=generator))
    shift = torch.stack((uniform(deformation.shift * size), uniform(deformation.shift * size)), -1)
    # The matrices move points of the deformed image into the image before, where content that grows is smaller.
    back = affine_matrices(uniform(deformation.rotation), 1 / zoom, shift, (size, size))
    slope = uniform(deformation.shear)
    if deformation.elastic > 0:
        pixels = (deformation.elastic * size, deformation.smoothness * size)
        grid = elastic_grid(count, (size, size), generator, *pixels)
    else:
        grid = whole_grid(count, size)
    points = denormalise_points(grid, (size, size)).flatten(1, 2)
    centre = (size - 1) / 2
    points = torch.stack((points[..., 0] + slope[:, None] * (points[..., 1] - centre), points[..., 1]), -1)
    return normalise_points(affine_points(points, back), (size, size)).unflatten(1, (size, size))


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
    grid = draw_grids(deformation, len(images), size, generator).to(images)
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
