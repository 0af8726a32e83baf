"""Where the viewer of a synthetic face stands: pose, perspective and framing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lmbench.datasets.synthfaces import EYES
from lmbench.datasets.synthfaces.loader.arrays import Array

MIN_EYE_DISTANCE: Final = 11.0  # pixels at a size of 96: errors are divided by it
MAX_ANGLES: Final = np.deg2rad([50.0, 20.0, 20.0])  # yaw, pitch, roll
MAX_SHIFT: Final = 5.0  # pixels at a size of 96
SCALES: Final = (28.0, 38.0)  # pixels a unit at a size of 96
FACE_CENTRE: Final = np.array([0.0, 8.0])  # pixels at a size of 96 from the image's centre to the middle of a face
FOLLOW_SHARE: Final = 0.9  # 0: the head is in the middle, 1: the face is, as a face detector would crop
BORDER: Final = 4.0  # pixels at a size of 96 that landmarks keep from the border of the image
CUT_SHARE: Final = 0.015  # images in which the face may leave the image


@dataclass(frozen=True)
class Camera:
    """Pose and perspective: `project` gives pixels (first pixel centre = 0) and depth (larger = nearer)."""

    rotation: Array  # (3, 3), head to view
    scale: float  # pixels a unit, at the head's centre
    centre: Array  # (2,), pixel of the head's centre
    distance: float  # of the viewer, units

    def to_view(self, points: Array) -> Array:
        """Return `points` (..., 3) in view coordinates."""
        return points @ self.rotation.T

    def project(self, view: Array) -> tuple[Array, Array]:
        """Return pixels (..., 2), x before y, and depth (...) of points (..., 3) in view coordinates."""
        depth = view[..., 2]
        factor = self.scale * self.distance / (self.distance - depth)
        return self.centre + view[..., :2] * factor[..., None], depth

    def towards_viewer(self, points: Array) -> Array:
        """Return unit vectors (..., 3), in head coordinates, from `points` (..., 3) to the viewer."""
        rays = self.rotation[2] * self.distance - points
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def sample_camera(rng: np.random.Generator, landmarks: Array, size: int) -> Camera:
    """Return a camera for `landmarks` (15, 3), in head coordinates, and a square image of `size` pixels."""
    unit = size / 96
    yaw, pitch, roll = rng.normal(0, MAX_ANGLES / [4, 2, 2])
    if rng.random() < 0.55:
        yaw = rng.uniform(-MAX_ANGLES[0], MAX_ANGLES[0])
    turn = rotation(*np.clip([yaw, pitch, roll], -MAX_ANGLES, MAX_ANGLES))
    distance = rng.uniform(6, 14)
    scale = unit * rng.uniform(*SCALES)
    pixels, _ = Camera(turn, scale, np.zeros(2), distance).project(landmarks @ turn.T)
    enlarge = max(1.0, unit * MIN_EYE_DISTANCE / float(np.linalg.norm(pixels[EYES[1]] - pixels[EYES[0]])))
    middle = FOLLOW_SHARE * enlarge * pixels.mean(axis=0)
    centre = (size - 1) / 2 + unit * (FACE_CENTRE + rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2)) - middle
    if rng.random() < CUT_SHARE:
        centre += unit * 1.5 * rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2)
    else:
        lowest = unit * BORDER - enlarge * pixels.min(axis=0)
        highest = size - 1 - unit * BORDER - enlarge * pixels.max(axis=0)
        centre = np.minimum(np.maximum(centre, lowest), highest)
    return Camera(turn, scale * enlarge, centre, distance)


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Return the (3, 3) rotation of a head; radians; positive turns it to image right, down, clockwise."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)
