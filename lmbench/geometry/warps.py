"""Random thin-plate-spline and affine warps of images together with their landmarks.

Convention: a sampling grid is ``(B, H, W, 2)``, x before y, in [-1, 1] with the centre of the first and the
last pixel at -1 and +1 (``align_corners=True``). It says for each pixel of the *warped* image where in the
*original* it is read, so landmarks move through its inverse. The warps are the ones of DVE and
ContrastLandmarks (``utils/tps.py`` in both): the spline's weights are drawn at random, no side conditions are
solved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lmbench.geometry.coordinates import denormalise_points, normalise_points, pixel_grid
from lmbench.geometry.inversion import invert_grid, nearest_pixels
from lmbench.geometry.strength import TPSStrength

PointMode = Literal["nearest", "exact"]


@dataclass(frozen=True)
class WarpedImages:
    """One warp of a batch.

    ``images``: (B, C, h, w), cropped. ``landmarks``: (B, L, 2) in pixels of the cropped images, or None.
    ``grid``: (B, H, W, 2), the sampling grid of the whole images.
    """

    images: Tensor
    landmarks: Tensor | None
    grid: Tensor


@dataclass(frozen=True)
class WarpedPairs:
    """Two views of a batch and the correspondence between them, all after cropping.

    ``view_a``, ``view_b``: (B, C, h, w). ``landmarks_a``, ``landmarks_b``: (B, L, 2) in pixels of the views,
    or None. ``grid``: (B, h, w, 2), for each pixel of view A where in view B it lies, in [-1, 1] of the
    cropped view.
    """

    view_a: Tensor
    view_b: Tensor
    landmarks_a: Tensor | None
    landmarks_b: Tensor | None
    grid: Tensor


def control_points(side: int = 10, dtype: torch.dtype | None = None, device: torch.device | str = "cpu") -> Tensor:
    """The regular control grid, ``(side * side, 2)`` in [-1, 1], x before y, row-major with y outer."""
    return normalise_points(pixel_grid((side, side), dtype, device), (side, side)).reshape(-1, 2)


def tps_kernel(points: Tensor, control: Tensor) -> Tensor:
    """The spline's kernel ``U = d2 * log(d2 + 1e-5)`` of squared distances d2, ``(..., M)``.

    Args:
        points: ``(..., 2)`` in [-1, 1].
        control: ``(M, 2)`` in [-1, 1].
    """
    squared = (points[..., None, :] - control).square().sum(-1)
    return squared * torch.log(squared + 1e-5)


def tps_grid(weights: Tensor, size: tuple[int, int], control: Tensor | None = None) -> Tensor:
    """The sampling grids ``(B, H, W, 2)`` of B thin-plate splines.

    Args:
        weights: ``(B, M + 3, 2)``: M kernel rows, then the rows of 1, x and y; columns give x and y.
        size: ``(H, W)`` of the image.
        control: ``(M, 2)`` in [-1, 1]; ``None``: the regular square grid, for which the kernel is kept
            between calls.

    Raises:
        ValueError: without ``control``, M is not a square number; or ``control`` has not M points.

    Convention: ``grid = [U(pixel, control), 1, x, y] @ weights``, normalised, ``align_corners=True``.
    """
    count = weights.shape[-2] - 3
    if control is None:
        side = math.isqrt(max(count, 0))
        if side * side != count or count == 0:
            found = f"{count} kernel rows in weights {tuple(weights.shape)}"
            raise ValueError(f"tps_grid: expected a square number of kernel rows, found {found}; pass control")
        basis = _regular_basis(tuple(size), side, weights.dtype, weights.device)
    elif len(control) != count:
        raise ValueError(f"tps_grid: {len(control)} control points for weights with {count} kernel rows")
    else:
        basis = _basis(size, control.to(weights))
    with torch.autocast(weights.device.type, enabled=False):  # bfloat16 would move points by half a pixel
        flat = basis @ weights.permute(1, 0, 2).reshape(count + 3, -1)
    return flat.reshape(*size, -1, 2).permute(2, 0, 1, 3).contiguous()


def draw_tps_weights(count: int, strength: TPSStrength, generator: torch.Generator, control: int = 100) -> Tensor:
    """Random spline weights ``(count, control + 3, 2)``, float32 on the generator's device, drawn in turn.

    With a CPU generator the numbers are bit for bit those of ``random_tps_weights`` in DVE and
    ContrastLandmarks, called ``count`` times after ``torch.manual_seed`` with the generator's seed.
    """
    if count == 0:
        return torch.empty(0, control + 3, 2, device=generator.device)
    return torch.stack([_draw_one(strength, generator, control) for _ in range(count)])


def warp_pair_weights(
    count: int,
    strength: TPSStrength,
    generator: torch.Generator,
    im1_multiplier: float = 0.5,
    im1_multiplier_aff: float = 1.0,
    control: int = 100,
) -> tuple[Tensor, Tensor]:
    """The weights of the first and of the second warp of ``count`` pairs, each ``(count, control + 3, 2)``.

    The first warp's kernel is drawn ``im1_multiplier`` and its affine part ``im1_multiplier_aff`` times as
    strong. Draws go image by image, first warp then second, as if the reference's ``Warper`` were called once
    an image.
    """
    first = strength.scaled(im1_multiplier, im1_multiplier_aff)
    draws = [draw_tps_weights(1, s, generator, control) for _ in range(count) for s in (first, strength)]
    weights = torch.cat(draws) if draws else draw_tps_weights(0, strength, generator, control)
    return weights[0::2], weights[1::2]


def warp_images(images: Tensor, grid: Tensor) -> Tensor:
    """Images ``(B, C, h, w)`` read at the grid ``(B, h, w, 2)``, in the images' dtype.

    Half-precision images are sampled in float32, because a half-precision grid misses by pixels.

    Convention: bilinear, zero outside the image, ``align_corners=True``. The flag has to be said: since torch
    1.3 the default is False, which resamples even under the identity grid.
    """
    dtype = torch.promote_types(images.dtype, torch.float32)
    sampled = functional.grid_sample(
        images.to(dtype), grid.to(dtype), mode="bilinear", padding_mode="zeros", align_corners=True
    )
    return sampled.to(images.dtype)


def warp_points(points: Tensor, grid: Tensor, mode: PointMode = "nearest") -> Tensor:
    """Where points of the original image lie in the image warped by ``grid``.

    Args:
        points: ``(B, L, 2)``, pixels of the original; NaN stays NaN.
        grid: ``(B, H, W, 2)`` sampling grid; the original has the same size.
        mode: ``"nearest"``: the pixel that is read from nearest to the point, so whole numbers (the
            references; among equally near pixels the first in row order, where the references' k-d tree
            follows no rule).
            ``"exact"``: the sub-pixel inverse of the bilinearly interpolated grid, good to 1e-3 px.

    Returns:
        ``(B, L, 2)``, pixels of the warped image, dtype of ``points``. A point that leaves the image comes to
        lie on its border: on the nearest pixel, or with ``"exact"`` at the continued inverse clamped to the
        image. Where the grid folds (in one of seven `TRAIN_PAIR` grids, mostly at the border) a point may
        have several inverses, or none: ``"exact"`` then gives one of them, or falls back to ``"nearest"``.

    Raises:
        ValueError: an unknown mode.

    Convention: pixels, x before y, ``align_corners=True``. Computed in float64.
    """
    if mode not in ("nearest", "exact"):
        raise ValueError(f"warp_points: expected mode 'nearest' or 'exact', found {mode!r}")
    height, width = grid.shape[1:3]
    grid_px = denormalise_points(grid.double(), (height, width))
    wanted = points.double()
    moved = nearest_pixels(wanted, grid_px)
    if mode == "exact":
        moved = invert_grid(wanted, grid_px, moved)
    moved = moved.masked_fill(wanted.isnan().any(-1, keepdim=True), torch.nan)
    return moved.to(points.dtype if points.is_floating_point() else torch.get_default_dtype())


def warp_once(
    images: Tensor,
    landmarks: Tensor | None,
    strength: TPSStrength,
    generator: torch.Generator,
    crop: int = 0,
    points: PointMode = "nearest",
) -> WarpedImages:
    """Every image under a random warp of its own, as ``WarperSingle`` of the references.

    Args:
        images: ``(B, C, H, W)``, float.
        landmarks: ``(B, L, 2)``, pixels, or None.
        strength: of the warp; few-shot regression uses `SINGLE`.
        generator: source of the draws, see `draw_tps_weights`.
        crop: pixels cut from every side after warping.
        points: mode of `warp_points`.
    """
    weights = draw_tps_weights(len(images), strength, generator)
    grid = tps_grid(weights.to(images), _size(images))
    moved = None if landmarks is None else warp_points(landmarks, grid, points) - crop
    return WarpedImages(_cropped(warp_images(images, grid), crop), moved, grid)


def warp_pairs(
    images: Tensor,
    landmarks: Tensor | None,
    strength: TPSStrength,
    generator: torch.Generator,
    im1_multiplier: float = 0.5,
    im1_multiplier_aff: float = 1.0,
    crop: int = 0,
    points: PointMode = "nearest",
) -> WarpedPairs:
    """Two warped views of every image and the grid between them, as ``Warper`` of the references.

    View B is the image under a first warp, view A is view B under a second; only then both are cropped.

    Args:
        images: ``(B, C, H, W)``, float.
        landmarks: ``(B, L, 2)``, pixels, or None.
        strength: of the second warp: `TRAIN_PAIR`, or `EVAL_PAIR` with both multipliers 1.
        generator: source of the draws, see `warp_pair_weights`.
        im1_multiplier, im1_multiplier_aff: relative strength of the first warp's kernel and affine part.
        crop: pixels cut from every side.
        points: mode of `warp_points`; A's landmarks are B's moved once more.

    Convention: landmarks in pixels of the cropped views, x before y; they may lie outside them.
    """
    size = _size(images)
    first, second = warp_pair_weights(len(images), strength, generator, im1_multiplier, im1_multiplier_aff)
    grid_b, grid_a = tps_grid(first.to(images), size), tps_grid(second.to(images), size)
    whole_b = warp_images(images, grid_b)
    view_a, view_b = (_cropped(view, crop) for view in (warp_images(whole_b, grid_a), whole_b))

    between = denormalise_points(grid_a, size)[:, crop : size[0] - crop, crop : size[1] - crop] - crop
    landmarks_a = landmarks_b = None
    if landmarks is not None:
        landmarks_b = warp_points(landmarks, grid_b, points)
        landmarks_a = warp_points(landmarks_b, grid_a, points) - crop
        landmarks_b = landmarks_b - crop
    return WarpedPairs(view_a, view_b, landmarks_a, landmarks_b, normalise_points(between, _size(view_a)))


def affine_matrices(rotation_deg: Tensor, scale: Tensor, translation: Tensor, size: tuple[int, int]) -> Tensor:
    """Matrices ``(B, 2, 3)`` that move points in pixels: rotate and scale about the centre, then shift.

    Args:
        rotation_deg: ``(B,)``, degrees, from the x towards the y axis (clockwise as seen).
        scale: ``(B,)``; above 1 the content grows.
        translation: ``(B, 2)``, pixels.
        size: ``(H, W)`` of the image.

    Convention: pixels, x before y; the centre is ``((W - 1) / 2, (H - 1) / 2)``.
    """
    angle = torch.deg2rad(rotation_deg)
    cos, sin = scale * angle.cos(), scale * angle.sin()
    linear = torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), -2)
    centre = torch.tensor([(size[1] - 1) / 2, (size[0] - 1) / 2], dtype=linear.dtype, device=linear.device)
    shift = translation + centre - (linear * centre).sum(-1)
    return torch.cat((linear, shift[..., None]), -1)


def affine_points(points: Tensor, matrices: Tensor) -> Tensor:
    """Points ``(B, L, 2)`` in pixels, moved by `affine_matrices` ``(B, 2, 3)``."""
    return (points[..., None, :] * matrices[:, None, :, :2]).sum(-1) + matrices[:, None, :, 2]


def _draw_one(strength: TPSStrength, generator: torch.Generator, control: int) -> Tensor:
    # Number, order and shape of the draws and the order of the float32 products are the reference's. torch
    # fills arrays below and above 16 elements by different rules, so nothing can be drawn for a whole batch.
    device = generator.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float32)

    kernel = normal(control, 2) * strength.warpsd_all
    again = torch.rand(kernel.shape, generator=generator, device=device, dtype=torch.float32) > 0.5
    kernel[again] = normal(int(again.sum())) * strength.warpsd_subset
    angle = normal() * strength.rotsd * math.pi / 180
    scale = 1.0 + normal() * strength.scalesd
    shift_x, shift_y = normal() * strength.transsd, normal() * strength.transsd
    cos, sin = scale * angle.cos(), scale * angle.sin()
    affine = torch.stack((shift_x, shift_y, cos, -sin, sin, cos)).reshape(3, 2)
    return torch.cat((kernel, affine))


@lru_cache(maxsize=16)
def _regular_basis(size: tuple[int, int], side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Outside inference mode: a tensor made in it could never again take part in a backward pass.
    with torch.inference_mode(False), torch.no_grad():
        return _basis(size, control_points(side, torch.float64)).to(device, dtype)


def _basis(size: tuple[int, int], control: Tensor) -> Tensor:
    pixels = normalise_points(pixel_grid(size, control.dtype, control.device), size).reshape(-1, 2)
    return torch.cat((tps_kernel(pixels, control), torch.ones_like(pixels[:, :1]), pixels), 1)


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


def _cropped(images: Tensor, crop: int) -> Tensor:
    height, width = _size(images)
    return images[..., crop : height - crop, crop : width - crop]
