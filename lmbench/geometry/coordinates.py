"""Pixel and normalised coordinates, and the mirror.

Convention: points are ``(..., 2)``, x before y; sizes are ``(H, W)``, as the shape of an image tensor ends.
The centre of the first pixel is -1 and the centre of the last is +1 (``align_corners=True``).
"""

from __future__ import annotations

import torch
from torch import Tensor


def normalise_points(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Points in [-1, 1] for points in pixels of an image of ``size`` (H, W).

    Args:
        points: ``(..., 2)``, pixels; integers are read as the default float type.
        size: ``(H, W)`` of the image. An axis of one pixel maps that pixel to -1, as ``linspace(-1, 1, 1)``
            does.

    Convention: x before y, ``2 x / (W - 1) - 1``, ``align_corners=True`` (DVE and ContrastLandmarks, data
    loaders).
    """
    points = _floating(points)
    return 2 * points / _last_pixel(points, size).clamp(min=1) - 1


def denormalise_points(points: Tensor, size: tuple[int, int]) -> Tensor:
    """Points in pixels of an image of ``size`` (H, W) for points ``(..., 2)`` in [-1, 1].

    Convention: x before y, ``(n + 1) / 2 * (W - 1)``, ``align_corners=True``: the inverse of
    `normalise_points`.
    """
    points = _floating(points)
    return (points + 1) / 2 * _last_pixel(points, size)


def pixel_grid(size: tuple[int, int], dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> Tensor:
    """The pixel centres of an image of ``size`` (H, W): ``(H, W, 2)``, pixels, x before y."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=dtype, device=device) for n in size), indexing="ij")
    return _floating(torch.stack((x, y), -1))


def _floating(points: Tensor) -> Tensor:
    return points if points.is_floating_point() else points.to(torch.get_default_dtype())


def _last_pixel(points: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    return torch.tensor([width - 1, height - 1], dtype=points.dtype, device=points.device)
