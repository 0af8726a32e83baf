"""The outlines drawn on the skin of a synthetic face, and the landmarks they define."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lmbench.datasets.synthfaces import LANDMARK_NAMES
from lmbench.datasets.synthfaces.loader.arrays import Array, circle
from lmbench.datasets.synthfaces.loader.template import (
    CHIN_V,
    EYE_V,
    HEIGHT_KNOTS,
    LEFT,
    MOUTH_V,
    NOSE_TIP_V,
    RIGHT,
    Expression,
    Shape,
)

NOSTRIL: Final = circle(8) * [0.042, 0.017]
PUPIL_AND_IRIS: Final = np.concatenate([[[0.0, 0.0]], circle(12) * [0.095, 0.078], circle(8) * [0.047, 0.038]])

EYE_S: Final = np.linspace(-1, 1, 9)  # inner to outer corner
LID_ARCH: Final = (1 - EYE_S**2) ** 0.75
BROW_S: Final = np.linspace(-1, 1, 9)
BROW_TAPER: Final = (1 - 0.55 * np.clip(BROW_S, 0, 1)) * (1 - 0.5 * BROW_S**8)
MOUTH_T: Final = np.linspace(-1, 1, 11)  # left to right corner
LIP_ARCH: Final = (1 - MOUTH_T**2) ** 0.6
MIN_GAP_OF_TEETH: Final = 0.03
CUPIDS_BOW: Final = (1 - MOUTH_T**2) ** 0.7 * (1 - 0.22 * np.exp(-((MOUTH_T / 0.16) ** 2)))


@dataclass(frozen=True)
class Contours:
    """Outlines drawn on the skin and the landmarks among them, as (theta, v) names of surface points.

    `polygons` maps a feature to its outline (N, 2); `landmarks` is (15, 2) in the order of LANDMARK_NAMES.
    """

    polygons: dict[str, Array]
    landmarks: Array


def trace_contours(shape: Shape, expression: Expression) -> Contours:
    """Return the outlines of eyes, brows, mouth and nostrils, and the landmarks they define."""
    polygons: dict[str, Array] = {}
    marks: dict[str, Array] = {
        "nose_tip": np.array([0.0, NOSE_TIP_V]),
        "nose_bridge": np.array([0.0, EYE_V]),
        "chin": np.array([0.0, CHIN_V]),
    }
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        _trace_eye(shape, expression, side, name, polygons, marks)
        _trace_brow(shape, expression, side, name, polygons, marks)
        nostril = np.array([side * 0.088 * shape.nose_width, 0.457])
        polygons[f"{name}_nostril"] = nostril + NOSTRIL
    _trace_mouth(shape, expression, polygons, marks)
    return Contours(polygons, np.stack([marks[name] for name in LANDMARK_NAMES]))


def _trace_eye(
    shape: Shape,
    expression: Expression,
    side: int,
    name: str,
    polygons: dict[str, Array],
    marks: dict[str, Array],
) -> None:
    opened = expression.eye_open[(side + 1) // 2]
    low = 0.55 * shape.eye_half_height
    high = shape.eye_half_height * opened - low * max(0.0, 1 - opened)
    theta = side * (shape.eye_theta + EYE_S * shape.eye_half_width)
    axis = EYE_V - shape.eye_cant * EYE_S
    lid = _curve(theta, axis - high * LID_ARCH)
    lower_lid = _curve(theta, axis + low * (1 - EYE_S**2))
    polygons[f"{name}_socket"] = _ring(lid - [0, 0.045], lower_lid + [0, 0.02])
    polygons[f"{name}_white"] = _ring(lid, lower_lid)
    polygons[f"{name}_lash"] = _ring(lid - [0, 0.024], lid + [0, 0.004])

    looking = (side * shape.eye_theta + 0.06 * expression.gaze[0], EYE_V + 0.015 * expression.gaze[1] - 0.01)
    outline = _between_lids(PUPIL_AND_IRIS + looking, lid[::side], lower_lid[::side])
    polygons[f"{name}_iris"], polygons[f"{name}_pupil"] = outline[1:13], outline[13:]
    marks[f"{name}_eye"] = outline[0]
    marks[f"{name}_eye_inner"], marks[f"{name}_eye_outer"] = lid[0], lid[-1]


def _between_lids(outline: Array, upper: Array, lower: Array) -> Array:
    """Return `outline` (N, 2) squeezed between two lids (M, 2) that run from left to right."""
    theta = np.clip(outline[:, 0], upper[0, 0], upper[-1, 0])
    top, bottom = np.interp(theta, *upper.T), np.interp(theta, *lower.T)
    return _curve(theta, np.clip(outline[:, 1], top, bottom))


def _trace_brow(
    shape: Shape,
    expression: Expression,
    side: int,
    name: str,
    polygons: dict[str, Array],
    marks: dict[str, Array],
) -> None:
    theta = side * (shape.eye_theta + 0.02 + BROW_S * shape.eye_half_width * 1.3)
    middle = shape.brow_v - expression.brow_raise[(side + 1) // 2] - shape.brow_arch * (1 - (BROW_S - 0.25) ** 2)
    half = shape.brow_thickness * BROW_TAPER
    upper, lower = _curve(theta, middle - half), _curve(theta, middle + half)
    polygons[f"{name}_brow"] = _ring(upper, lower)
    marks[f"{name}_brow"] = (upper[4] + lower[4]) / 2


def _trace_mouth(shape: Shape, expression: Expression, polygons: dict[str, Array], marks: dict[str, Array]) -> None:
    half_width = shape.mouth_half_width * (1 + 0.18 * expression.smile - 0.6 * expression.mouth_open)
    theta = MOUTH_T * half_width
    line = MOUTH_V + expression.smile * 0.05 * (0.4 - MOUTH_T**2)
    stretch = 1 + expression.mouth_open / (HEIGHT_KNOTS[4] - HEIGHT_KNOTS[3])  # of heights under the mouth
    gap = 0.8 * expression.mouth_open / stretch
    top, upper = _curve(theta, line - shape.upper_lip * CUPIDS_BOW), _curve(theta, line)
    lower = _curve(theta, line + gap * LIP_ARCH)
    bottom = _curve(theta, line + (gap + shape.lower_lip) * LIP_ARCH)
    polygons["upper_lip"], polygons["lower_lip"] = _ring(top, upper), _ring(lower, bottom)
    polygons["mouth"] = _ring(upper - [0, 0.006], lower + [0, 0.008])
    if gap > MIN_GAP_OF_TEETH:
        teeth = _curve(theta, line + min(0.55 * gap, 0.055) * (1 - MOUTH_T**2))
        polygons["teeth"] = _ring(upper, teeth)
    marks["left_mouth"], marks["right_mouth"] = upper[0], upper[-1]
    marks["upper_lip"], marks["lower_lip"] = top[5], bottom[5]


def _curve(theta: Array, v: Array) -> Array:
    """Return a curve (N, 2) of surface points."""
    return np.array([theta, v]).T


def _ring(first: Array, second: Array) -> Array:
    """Return the outline between two curves (N, 2) that run the same way."""
    return np.concatenate([first, second[::-1]])
