"""Where a sampling grid takes a given value: its inverse at single points, to the pixel and below.

Convention: grids ``(B, H, W, 2)`` and points ``(B, L, 2)`` are in pixels, x before y, and of one float dtype.
float64 is meant: distances are told apart by differences of squares.
"""

from __future__ import annotations

import torch
from torch import Tensor

_NEWTON_STEPS = 12
_NEWTON_TOLERANCE = 1e-3  # pixels of the original image
_NEWTON_LONGEST_STEP = 8.0  # pixels
_DISTANCES_AT_ONCE = 1 << 20  # 8 MiB of float64: stays in the cache


def nearest_pixels(points: Tensor, grid_px: Tensor) -> Tensor:
    """The pixel ``(B, L, 2)`` at which the grid's value is nearest to each point; of equals the first."""
    batch, height, width, _ = grid_px.shape
    values = grid_px.reshape(batch, height * width, 2).mT.contiguous()
    squares = values.square().sum(1, keepdim=True)
    images = max(1, _DISTANCES_AT_ONCE // max(1, points.shape[1] * height * width))
    cells = [torch.empty(0, points.shape[1], dtype=torch.long, device=points.device)]
    for start in range(0, batch, images):
        some = slice(start, start + images)
        # The squared distance less that of the point itself, which is the same for all pixels.
        cells.append(torch.baddbmm(squares[some], points[some], values[some], alpha=-2).argmin(-1))
    cell = torch.cat(cells)
    return torch.stack((cell % width, cell // width), -1).to(points.dtype)


def invert_grid(points: Tensor, grid_px: Tensor, start: Tensor) -> Tensor:
    """The position ``(B, L, 2)`` at which the bilinearly interpolated grid takes the values ``points``.

    Newton's method from ``start``, on the border cells continued outwards; the answer is clamped to the
    image. Where the method does not come within 1e-3 pixels, the answer is ``start``.
    """
    position = start
    for _ in range(_NEWTON_STEPS):
        value, by_x, by_y = _interpolate_grid(grid_px, position)
        miss = points - value
        determinant = _cross(by_x, by_y)
        step = torch.stack((_cross(miss, by_y), _cross(by_x, miss)), -1) / determinant[..., None]
        position = position + step.nan_to_num().clamp(-_NEWTON_LONGEST_STEP, _NEWTON_LONGEST_STEP)
    miss = (points - _interpolate_grid(grid_px, position)[0]).norm(dim=-1, keepdim=True)
    last = position.new_tensor([grid_px.shape[2] - 1, grid_px.shape[1] - 1])
    inside = torch.minimum(position.clamp(min=0), last)
    return torch.where(miss < _NEWTON_TOLERANCE, inside, start)


def _interpolate_grid(grid_px: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The grid at ``position`` and its derivatives by x and by y, each ``(B, L, 2)``."""
    _, height, width, _ = grid_px.shape
    last_cell = position.new_tensor([width - 2, height - 2])
    corner = torch.minimum(position.floor().clamp(min=0), last_cell)
    u, v = (position - corner)[..., None].unbind(-2)
    first = (corner[..., 1] * width + corner[..., 0]).long()
    flat = grid_px.flatten(1, 2)
    top_left, top_right, low_left, low_right = (
        flat.gather(1, (first + offset)[..., None].expand(-1, -1, 2)) for offset in (0, 1, width, width + 1)
    )
    right, down = top_right - top_left, low_left - top_left
    twist = low_right - top_right - down
    return top_left + u * right + v * down + u * v * twist, right + v * twist, down + u * twist


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
