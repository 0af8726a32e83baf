"""The posed 3-D face of `synthfaces`: who it is, what it does, and where its landmarks are.

The head is a surface in cylindrical coordinates around its vertical axis: a point is named by its angle
`theta` (radians; 0 = straight ahead, positive = image right on a frontal face) and its canonical height `v`
(0 = eye line, positive = down). An identity or an expression changes where a surface point lies in space,
never its name, so that a nose tip is (0, 0.40) on every face.

Convention: x right, y down, z towards the viewer; one unit is 10 cm. "Left" is image left on a frontal face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lmbench.datasets.synthfaces.loader.arrays import Array, Bools
from lmbench.datasets.synthfaces.loader.camera import Camera

LEFT, RIGHT = -1, 1

EYE_V, NOSE_TIP_V, MOUTH_V, CHIN_V = 0.0, 0.40, 0.66, 1.07
HEIGHT_KNOTS: Final = np.array([-1.24, EYE_V, 0.46, MOUTH_V, 1.08, 1.20])  # top, eyes, nose base, mouth, chin, end

# Half width, depth in front of the axis and depth behind it, by canonical height.
PROFILE_V: Final = np.array([-1.24, -1.18, -1.08, -0.92, -0.70, -0.40, 0.0, 0.35, 0.66, 0.90, 1.05, 1.14, 1.20])
HALF_WIDTH: Final = np.array([0.02, 0.26, 0.45, 0.61, 0.71, 0.755, 0.75, 0.72, 0.65, 0.54, 0.42, 0.27, 0.02])
FRONT_DEPTH: Final = np.array([0.02, 0.30, 0.50, 0.67, 0.80, 0.86, 0.82, 0.82, 0.83, 0.80, 0.75, 0.55, 0.02])
BACK_DEPTH: Final = np.array([0.02, 0.32, 0.58, 0.82, 1.00, 1.08, 1.02, 0.90, 0.75, 0.60, 0.45, 0.30, 0.02])
JAW_CLIMB: Final = 0.30  # how far the lower edge of the head rises from the chin to the ears

# Soft bumps and dents on both sides of the face: |theta|, its width, v, its width, height.
BUMPS: Final = np.array([
    (0.40, 0.19, 0.02, 0.13, -0.060),  # eye socket
    (0.30, 0.30, -0.20, 0.08, 0.030),  # brow ridge
    (0.58, 0.22, 0.26, 0.15, 0.045),  # cheekbone
    (0.21, 0.07, 0.43, 0.055, 0.070),  # nostril wing
    (0.00, 0.32, 0.66, 0.10, 0.055),  # lips
    (0.00, 0.30, 0.83, 0.06, -0.030),  # dent under the lower lip
    (0.00, 0.28, 1.00, 0.10, 0.060),  # chin
])  # fmt: skip
WING = 3

NOSE_V: Final = np.array([-0.14, -0.03, 0.18, 0.34, NOSE_TIP_V, 0.455, 0.50, 0.54])
NOSE_HEIGHT: Final = np.array([0.0, 0.05, 0.145, 0.245, 0.285, 0.215, 0.04, 0.0])
NOSE_WIDTH: Final = np.array([0.10, 0.095, 0.105, 0.14, 0.16, 0.17, 0.18, 0.18])

OCCLUSION_STEPS: Final = np.arange(0.04, 1.3, 0.045)  # finer than half the nose's width
OCCLUSION_MARGIN: Final = 0.012  # a landmark lies on the surface: its own neighbourhood must not hide it


@dataclass(frozen=True)
class Shape:
    """Geometry of one identity; a factor of 1 is average, lengths are in units, angles in radians."""

    width: float
    jaw: float
    depth: float
    height_knots: Array  # y of HEIGHT_KNOTS at rest
    nose_height: float
    nose_width: float
    eye_theta: float
    eye_half_width: float
    eye_half_height: float
    eye_cant: float
    brow_v: float
    brow_thickness: float
    brow_arch: float
    mouth_half_width: float
    upper_lip: float
    lower_lip: float


@dataclass(frozen=True)
class Expression:
    """What a face does in one image. Pairs are (left, right)."""

    mouth_open: float  # how far the jaw drops, units
    smile: float  # -1 frown .. 1 smile
    brow_raise: tuple[float, float]
    eye_open: tuple[float, float]  # 0 closed .. 1 at rest
    gaze: tuple[float, float]  # -1 .. 1, image right and down


class Surface:
    """The skin of one face with one expression."""

    def __init__(self, shape: Shape, expression: Expression) -> None:
        jaw = 1 + (shape.jaw - 1) * np.clip((PROFILE_V - 0.2) / 0.6, 0, 1)
        self._half_width = HALF_WIDTH * shape.width * jaw
        self._front = FRONT_DEPTH * shape.depth
        self._back = BACK_DEPTH * shape.depth
        self._heights = shape.height_knots + expression.mouth_open * (HEIGHT_KNOTS > MOUTH_V)
        self._nose_height = NOSE_HEIGHT * shape.nose_height
        self._nose_width = NOSE_WIDTH * shape.nose_width
        self._bumps = BUMPS.copy()
        self._bumps[WING, 0] *= shape.nose_width

    def radius(self, theta: Array, v: Array) -> Array:
        """Return the distance from the vertical axis at (theta, v), which broadcast against each other."""
        half_width = np.interp(v, PROFILE_V, self._half_width)
        cosine = np.cos(theta)
        depth = np.where(cosine > 0, np.interp(v, PROFILE_V, self._front), np.interp(v, PROFILE_V, self._back))
        skull = 1 / np.sqrt((np.sin(theta) / half_width) ** 2 + (cosine / depth) ** 2)
        return np.asarray(skull + self._relief(theta, v))

    def points(self, theta: Array, v: Array) -> Array:
        """Return the points (..., 3) of the surface named (theta, v), which broadcast against each other."""
        radius = self.radius(theta, v)
        sine, cosine = np.sin(theta), np.cos(theta)
        y = np.interp(v, HEIGHT_KNOTS, self._heights)
        points = np.empty((*radius.shape, 3))
        points[..., 0] = radius * sine
        points[..., 1] = np.where(y > 0, y * _climb(cosine), y)
        points[..., 2] = radius * cosine
        return points

    def contains(self, points: Array) -> Bools:
        """Return which of `points` (..., 3) lie inside the head, deeper than OCCLUSION_MARGIN."""
        x, y, z = np.moveaxis(points, -1, 0)
        distance = np.hypot(x, z)
        y = np.where(y > 0, y / _climb(z / np.maximum(distance, 1e-9)), y)
        v = np.interp(y, self._heights, HEIGHT_KNOTS)
        return np.asarray(distance < self.radius(np.arctan2(x, z), v) - OCCLUSION_MARGIN)

    def hides(self, points: Array, camera: Camera) -> Bools:
        """Return which of `points` (N, 3) on the surface the head itself hides from the viewer."""
        rays = camera.towards_viewer(points)
        return np.asarray(self.contains(points + OCCLUSION_STEPS[:, None, None] * rays).any(axis=0))

    def _relief(self, theta: Array, v: Array) -> Array:
        centre, spread, centre_v, spread_v, height = self._bumps.T
        across = np.exp(-(((np.abs(theta)[..., None] - centre) / spread) ** 2))
        along = np.exp(-(((v[..., None] - centre_v) / spread_v) ** 2))
        nose = np.exp(-((theta / np.interp(v, NOSE_V, self._nose_width)) ** 2))
        return np.asarray((across * along) @ height + np.interp(v, NOSE_V, self._nose_height) * nose)


def _climb(cosine: Array) -> Array:
    """Return the factor by which heights below the eyes shrink towards the back of the head."""
    return 1 - JAW_CLIMB * (1 - cosine)
