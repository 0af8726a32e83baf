"""Pixel and normalised coordinates, and the mirror.

Convention: points are ``(..., 2)``, x before y; sizes are ``(H, W)``, as the shape of an image tensor ends.
The centre of the first pixel is -1 and the centre of the last is +1 (``align_corners=True``).
"""

from __future__ import annotations

from collections.abc import Iterable

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


def flip_points(points: Tensor, size: tuple[int, int], swap_pairs: Iterable[tuple[int, int]] = ()) -> Tensor:
    """Points of the image mirrored left to right: ``x -> W - 1 - x``.

    Args:
        points: ``(..., L, 2)``, pixels.
        size: ``(H, W)`` of the image.
        swap_pairs: landmarks that trade names under the mirror (left eye, right eye), as indices into L.

    Convention: pixels, x before y, matching ``image.flip(-1)``.
    """
    order = list(range(points.shape[-2]))
    for left, right in swap_pairs:
        order[left], order[right] = order[right], order[left]
    x, y = points[..., order, :].unbind(-1)
    return torch.stack((size[1] - 1 - x, y), -1)


def pixel_grid(size: tuple[int, int], dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> Tensor:
    """The pixel centres of an image of ``size`` (H, W): ``(H, W, 2)``, pixels, x before y."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=dtype, device=device) for n in size), indexing="ij")
    return _floating(torch.stack((x, y), -1))


def _floating(points: Tensor) -> Tensor:
    return points if points.is_floating_point() else points.to(torch.get_default_dtype())


def _last_pixel(points: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    return torch.tensor([width - 1, height - 1], dtype=points.dtype, device=points.device)
