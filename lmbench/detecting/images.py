"""Images as people hold them: files, Pillow's, arrays, tensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lmbench.data.images import rgb_of
from lmbench.detecting.framer import Framer
from lmbench.detecting.regions import FILLING, Filling, Region
from lmbench.errors import DataError, UsageError

EXPECTED = "expected paths, PIL images, or arrays (H, W, 3) or (H, W) of uint8 or of floats in [0, 1]"
TENSOR = "expected (B, 3, H, W) or (3, H, W), floats in [0, 1] or uint8"


def regions_of(images: Any, boxes: Any = None) -> tuple[list[Region], Filling]:
    """Each image as a region, and whether the object ``boxes`` fills it.

    ``images``: one path, PIL image or array, an array (B, H, W, 3), or a sequence of such. ``boxes``: ``whole`` or ``central``,
    one box (left, top, width, height) for all, or one for each. Raises UsageError, DataError for values that are no image.
    """
    singles = _singles(images)
    filling: Filling = ""
    given: Sequence[Any] = [None] * len(singles)
    if isinstance(boxes, str):
        if boxes not in FILLING:
            raise UsageError(
                f"boxes={boxes!r}: expected {' or '.join(FILLING)}, or (left, top, width, height) in pixels."
            )
        filling = boxes  # type: ignore[assignment]
    elif boxes is not None:
        given = _boxes(boxes, len(singles))
    return [_region(image, i, box) for i, (image, box) in enumerate(zip(singles, given, strict=True))], filling


def batch_of(images: Any) -> torch.Tensor | None:
    """(B, 3, H, W) float32 in [0, 1] where ``images`` is a tensor or a sequence of tensors, else None.

    Raises UsageError for tensors of another shape or type, DataError for values beyond [0, 1].
    """
    if isinstance(images, Sequence) and len(images) and all(isinstance(i, torch.Tensor) for i in images):
        shapes = {tuple(i.shape) for i in images}
        if len(shapes) > 1:
            raise UsageError(f"tensors of several shapes ({', '.join(map(str, sorted(shapes)))}) are no batch.")
        images = torch.stack(tuple(images))
    if not isinstance(images, torch.Tensor):
        return None
    batch = images[None] if images.ndim == 3 else images
    if batch.ndim != 4 or batch.shape[1] != 3:
        raise UsageError(f"a tensor {tuple(images.shape)}: {TENSOR}.")
    if batch.dtype == torch.uint8:
        return batch.float().div_(255)
    if not batch.is_floating_point():
        raise UsageError(f"a tensor of {str(batch.dtype).removeprefix('torch.')}: {TENSOR}.")
    batch = batch.detach().float()
    _require_unit(float(batch.min()), float(batch.max()), "the tensor") if batch.numel() else None
    return batch


def network_input(images: Any, boxes: Any, framer: Framer) -> torch.Tensor:
    """(B, 3, H, W) in [0, 1]: tensors as they are, other images framed to (B, 3, size, size). Raises as the two it is made of."""
    batch = batch_of(images)
    if batch is not None:
        if boxes is not None:
            raise UsageError("tensors are what the network sees; boxes are for images that are to be framed.")
        return batch
    regions, filling = regions_of(images, boxes)
    framer.require_boxes(regions, filling)
    seen = [next(framer.framed(r.pixels or framer.read(r.path), [r], filling)).pixels for r in regions]
    side = framer.steps.size
    pixels = torch.from_numpy(np.stack(seen)) if seen else torch.zeros(0, side, side, 3)
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def _singles(images: Any) -> list[Any]:
    if isinstance(images, str | os.PathLike | Image.Image):
        return [images]
    if isinstance(images, np.ndarray):
        return list(images) if images.ndim == 4 else [images]
    if isinstance(images, Sequence):
        return list(images)
    raise UsageError(f"{type(images).__name__}: {EXPECTED}.")


def _region(image: Any, number: int, box: tuple[float, ...] | None) -> Region:
    name = f"image {number}"
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        if not path.is_file():
            raise DataError(f"{path}: there is no such file.")
        return Region(path, box)
    if isinstance(image, Image.Image):
        return Region(Path(getattr(image, "filename", "") or name), box, pixels=rgb_of(image, name, "predict"))
    if isinstance(image, np.ndarray):
        return Region(Path(name), box, pixels=_of_array(image, name))
    raise UsageError(f"{name} is a {type(image).__name__}: {EXPECTED}.")


def _of_array(values: np.ndarray, name: str) -> Image.Image:
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3) or not values.size:
        raise UsageError(f"{name} is an array {values.shape}: {EXPECTED}.")
    if np.issubdtype(values.dtype, np.floating):
        _require_unit(float(values.min()), float(values.max()), name)
        values = np.rint(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise UsageError(f"{name} is an array of {values.dtype}: {EXPECTED}.")
    return Image.fromarray(np.ascontiguousarray(values)).convert("RGB")


def _require_unit(low: float, high: float, name: str) -> None:
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise DataError(f"{name} holds values from {low:g} to {high:g}; 0 (black) to 1 (white) is expected.")


def _boxes(boxes: Any, count: int) -> list[tuple[float, ...]]:
    try:
        found = np.asarray(boxes, np.float64)
    except (TypeError, ValueError):
        found = np.zeros(0)
    if found.shape == (4,):
        found = np.tile(found, (count, 1))
    if found.shape != (count, 4):
        raise UsageError(
            f"boxes of shape {found.shape}: expected (left, top, width, height) in pixels, for all {count} images or each."
        )
    return [tuple(box) for box in found.tolist()]
