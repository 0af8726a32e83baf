"""A dataset's framing applied to boxes: the part of a new image that a run's network would have been shown."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pydantic

from lmbench.errors import DataError, LmbenchError
from lmbench.geometry.framing import Framing

LARGEST = 2.0
"""Times the image's longer side: a given box beyond that is in other units, or of another image."""


def square_frames(boxes: np.ndarray, factor: float) -> np.ndarray:
    """(N, 4) squares in whole pixels about the boxes' centres, ``factor`` times the longer side."""
    side = np.maximum(np.round(boxes[:, 2:].max(1) * factor), 1)
    corner = np.round(boxes[:, :2] + boxes[:, 2:] / 2 - side[:, None] / 2)
    return np.concatenate([corner, side[:, None], side[:, None]], axis=1)


def scaled_frames(boxes: np.ndarray, factor: float) -> np.ndarray:
    """(N, 4) boxes of the same shape about the same centres, both sides ``factor`` times as long."""
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] * (1 - factor) / 2, boxes[:, 2:] * factor], axis=1)


def central_squares(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) the central square of each box, beginning at a whole pixel of it."""
    side = boxes[:, 2:].min(1, keepdims=True)
    corner = boxes[:, :2] + np.floor((boxes[:, 2:] - side) / 2)
    return np.concatenate([corner, side, side], axis=1)


def frames_of(framing: Framing | None, boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, 4) frames as the schema's column ``box`` has them, from boxes (N, 4) of the object in images of ``sizes`` (N, 2).

    Where the dataset reads whole images, a box plays the part of the image. ``None``: the boxes are the frames.
    """
    if framing is None or framing.kind in ("whole", "fixed"):
        frames = boxes
    elif framing.rule:
        module, _, name = framing.rule.partition(":")
        frames = getattr(importlib.import_module(module), name)(boxes, sizes)
    elif framing.kind == "central":
        frames = central_squares(boxes)
    elif framing.square or framing.kind == "padded":
        frames = square_frames(boxes, framing.factor)
    else:
        frames = scaled_frames(boxes, framing.factor)
    return np.asarray(frames, np.float32)  # the schema's precision, so that an image is cut as in the run


def own_frame(framing: Framing, size: tuple[int, int], name: str) -> np.ndarray:
    """(4,) the frame of an image that no box is given for. Raises DataError where the framing does not tell it."""
    if framing.kind == "fixed" and size != framing.image:
        wanted = " x ".join(map(str, framing.image or ()))
        raise DataError(
            f"{name} has {size[0]} x {size[1]} pixels; the run read a fixed part of {framing.of}, {wanted} pixels each. "
            "Align it so, or name the part that is to be read: --box LEFT,TOP,WIDTH,HEIGHT."
        )
    box = framing.box if framing.kind == "fixed" and framing.box else (0, 0, *size)
    return np.asarray(frames_of(framing, np.array([box], np.float64), np.array([size]))[0])


def check_box(box: Sequence[float], size: tuple[int, int] | None, where: str) -> None:
    """Raises DataError for a box (left, top, width, height) that is none, or not one of an image of this size."""
    values = np.asarray(box, np.float64)
    said = f"{where}: the box {','.join(f'{v:g}' for v in values)} "
    if not np.isfinite(values).all():
        raise DataError(f"{said}has a side or corner that is no number.")
    left, top, width, height = values.tolist()
    if width <= 0 or height <= 0:
        raise DataError(f"{said}has no area; give LEFT,TOP,WIDTH,HEIGHT in pixels of the image.")
    if max(width, height) < 1:
        raise DataError(f"{said}is smaller than a pixel; boxes are in pixels of the image, not in parts of it.")
    if size is None:
        return
    if left >= size[0] or top >= size[1] or left + width <= 0 or top + height <= 0:
        raise DataError(f"{said}lies outside the image, which has {size[0]} x {size[1]} pixels.")
    if max(width, height) > LARGEST * max(size):
        raise DataError(
            f"{said}is more than {LARGEST:g} times as long as the image, which has {size[0]} x {size[1]} pixels."
        )


def made_of(framing: Framing) -> str:
    """What the frames of a dataset are made of, in words."""
    whole = f" ({framing.of})" if framing.of else ""
    if framing.kind == "fixed":
        return f"a fixed part of {framing.of}"
    if not framing.from_labels:
        return {"whole": "the whole image", "central": "the central square of the image"}.get(
            framing.kind, "the whole image, padded to a square"
        ) + whole
    source = "a box that the dataset states for each image" if framing.kind == "box" else "the annotated landmarks"
    return f"{source} ({framing.of})" if framing.of else source


def from_record(value: Any, stated: Framing | None) -> Framing | None:
    """The framing as a record states it, ``None`` where it states none. Raises LmbenchError for what is none.

    ``stated``: that of the dataset as it is installed. A rule is code, so a record may only name the dataset's own.
    """
    if value is None:
        return None
    try:
        framing: Framing = pydantic.TypeAdapter(Framing).validate_python(value)
        if strange := set(value) - {f.name for f in fields(Framing)}:
            raise ValueError(f"unknown: {', '.join(map(str, sorted(strange)))}")
        if not 0 < framing.factor < math.inf:
            raise ValueError(f"factor {framing.factor}")
    except ValueError as error:
        raise LmbenchError(f"the record's framing is damaged ({str(error).splitlines()[0]}).") from None
    if not framing.rule:
        return framing
    name = framing.rule.rpartition(":")[2]  # the loader's module may have moved since
    if stated is None or not stated.rule.endswith(f":{name}"):
        raise LmbenchError(f"the record's framing names {framing.rule}, which is not how its dataset is framed here.")
    return replace(framing, rule=stated.rule)
