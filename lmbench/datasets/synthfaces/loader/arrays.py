"""The arrays of the renderer, and a few operations on them."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


def cross(first: Array, second: Array) -> Array:
    """Return the cross products (..., 3); several times faster than numpy.cross on small arrays."""
    product = np.empty(first.shape)
    for axis in range(3):
        y, z = (axis + 1) % 3, (axis + 2) % 3
        product[..., axis] = first[..., y] * second[..., z] - first[..., z] * second[..., y]
    return product


def circle(corners: int) -> Array:
    """Return a regular polygon (corners, 2) on the unit circle."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    return np.array([np.cos(angles), np.sin(angles)]).T


CIRCLE: Final = circle(20)
