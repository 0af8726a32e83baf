"""Smooth random displacements of whole batches.

Convention: as in `lmbench.geometry.warps`: sampling grids ``(B, H, W, 2)``, x before y, in [-1, 1],
``align_corners=True``; a grid says for each pixel of the warped image where in the original it is read.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.geometry.coordinates import normalise_points, pixel_grid


def elastic_grid(
    count: int,
    size: tuple[int, int],
    generator: torch.Generator,
    strength: float,
    smoothness: float,
    device: torch.device | str = "cpu",
) -> Tensor:
    """``count`` sampling grids ``(count, H, W, 2)``, float32: the identity plus a smoothed Gaussian field.

    Args:
        size: ``(H, W)`` of the image.
        generator: a CPU generator; the field is drawn there whatever the device.
        strength: standard deviation of the displacement of a pixel, in pixels, along each axis.
        smoothness: standard deviation, in pixels, of the Gaussian that white noise is smoothed with.

    The field folds where its slope exceeds one; slopes have a standard deviation of
    ``strength / (sqrt(2) * smoothness)``, so keep ``strength`` well below ``smoothness``.

    Raises:
        ValueError: negative strength, or a smoothness that is not positive.

    Source: Simard et al. 2003, sec. 2, scaled so that the strength is what it says.
    """
    if strength < 0 or smoothness <= 0:
        raise ValueError(f"elastic_grid: expected strength >= 0 and smoothness > 0, found {strength} and {smoothness}")
    reach = math.ceil(3 * smoothness)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-offsets.square() / (2 * smoothness**2))
    # Unit sum of squares: smoothed white noise keeps unit variance. Noise is drawn beyond the image, so that the
    # displacement is as large at the border as in the middle.
    kernel = (kernel / kernel.square().sum().sqrt()).to(device)
    height, width = size
    noise = torch.randn(count * 2, 1, height + 2 * reach, width + 2 * reach, generator=generator).to(device)
    field = functional.conv2d(functional.conv2d(noise, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    moved = pixel_grid(size, torch.float32, device) + strength * field.view(count, 2, height, width).permute(0, 2, 3, 1)
    return normalise_points(moved, size)
