"""One person in front of one camera under one lamp, and the patches that a curved sheet is painted with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lmbench.datasets.synthfaces.loader.arrays import Array, Bools, cross
from lmbench.datasets.synthfaces.loader.camera import Camera
from lmbench.datasets.synthfaces.loader.canvas import Canvas
from lmbench.datasets.synthfaces.loader.contours import Contours
from lmbench.datasets.synthfaces.loader.identity import Identity
from lmbench.datasets.synthfaces.loader.template import Surface


@dataclass(frozen=True)
class Light:
    """A lamp and its surroundings; `shade` gives the factor by which a colour is multiplied."""

    direction: Array  # (3,), unit, from the face to the lamp, view coordinates
    ambient: float
    diffuse: float
    tint: Array  # (3,)

    def shade(self, normals: Array) -> Array:
        """Return factors (..., 3) for unit `normals` (..., 3) in view coordinates."""
        lit = self.ambient + self.diffuse * np.maximum(normals @ self.direction, 0)
        return np.asarray(lit[..., None] * self.tint)


def sample_light(rng: np.random.Generator) -> Light:
    azimuth, height = rng.uniform(-1.3, 1.3), rng.uniform(-0.3, 1.1)
    direction = [np.sin(azimuth) * np.cos(height), -np.sin(height), np.cos(azimuth) * np.cos(height)]
    ambient = rng.uniform(0.38, 0.85)
    return Light(np.array(direction), ambient, rng.uniform(1.0, 1.22) - ambient, rng.uniform(0.92, 1.06, 3))


@dataclass(frozen=True)
class Sitting:
    """One person in front of one camera."""

    identity: Identity
    surface: Surface
    contours: Contours
    outlines: Array  # (N, 3), the polygons of `contours` one after the other, head coordinates
    camera: Camera
    light: Light

    def pixels(self, points: Array) -> Array:
        """Return pixels (..., 2) of `points` (..., 3) in head coordinates."""
        return self.camera.project(self.camera.to_view(points))[0]

    def turned(self, normal: Iterable[float]) -> Array:
        """Return the unit vector (3,) along `normal`, given in head coordinates, in view coordinates."""
        vector = self.camera.to_view(np.array(list(normal), dtype=float))
        return np.asarray(vector / np.linalg.norm(vector))


@dataclass(frozen=True)
class Patches:
    """Quadrilaterals of a curved sheet, seen by the camera."""

    outlines: Array  # (Q, 4, 2), pixels
    depth: Array  # (Q,), larger = nearer
    facing: Bools  # (Q,), outer side towards the viewer
    shade: Array  # (Q, 3)

    def paint(self, canvas: Canvas, colours: Array, which: Bools, covers: bool = False) -> None:
        """Paint the patches `which` (Q,) in shaded `colours` (Q, 3), far ones first."""
        chosen = np.flatnonzero(which)
        chosen = chosen[np.argsort(self.depth[chosen], kind="stable")]
        canvas.polygons(self.outlines[chosen], colours[chosen] * self.shade[chosen], covers)


def sheet_patches(sitting: Sitting, sheet: Array) -> Patches:
    """Return the quadrilaterals of `sheet` (M, N, 3), rows downwards, columns towards growing theta."""
    view = sitting.camera.to_view(sheet)
    pixels, _ = sitting.camera.project(view)
    down, across = view[1:, 1:] - view[:-1, :-1], view[:-1, 1:] - view[1:, :-1]
    normals = cross(across, down).reshape(-1, 3)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    outlines = np.stack([pixels[:-1, :-1], pixels[:-1, 1:], pixels[1:, 1:], pixels[1:, :-1]], axis=2)
    outlines = outlines.reshape(-1, 4, 2)
    p, q = outlines[:, 2] - outlines[:, 0], outlines[:, 1] - outlines[:, 3]
    depth = (view[:-1, :-1, 2] + view[1:, 1:, 2]).ravel() / 2
    return Patches(outlines, depth, q[:, 0] * p[:, 1] > q[:, 1] * p[:, 0], sitting.light.shade(normals))
