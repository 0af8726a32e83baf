"""Pictures of `synthfaces`: procedural faces with exact landmarks, drawn from (split, index, seed) alone.

`render_face` samples a person, an expression and a camera (`identity`, `camera`) and paints, back to front:
background, hair behind the head, body, ears, skin, the features on the skin, nose, hair in front, glasses,
occluders. What is painted over a landmark makes it invisible; what is only drawn on the skin does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from lmbench.datasets.synthfaces import LANDMARK_NAMES, SPLIT_SIZES
from lmbench.datasets.synthfaces.loader.arrays import Bools
from lmbench.datasets.synthfaces.loader.camera import sample_camera
from lmbench.datasets.synthfaces.loader.canvas import SIZE, Canvas
from lmbench.datasets.synthfaces.loader.clutter import degrade, paint_background, paint_occluder
from lmbench.datasets.synthfaces.loader.contours import trace_contours
from lmbench.datasets.synthfaces.loader.identity import Identity, sample_expression, sample_identity
from lmbench.datasets.synthfaces.loader.painting import paint_person
from lmbench.datasets.synthfaces.loader.sitting import Sitting, sample_light
from lmbench.datasets.synthfaces.loader.template import Surface

IMAGES_PER_IDENTITY: Final = 5
IDENTITY_STREAM, IMAGE_STREAM = 0, 1  # of random numbers


@dataclass(frozen=True)
class Face:
    """One image of `synthfaces`.

    image: (96, 96, 3) uint8, RGB. landmarks: (15, 2) float32, pixels, x before y, first pixel centre = 0, in
    the order of LANDMARK_NAMES; exact also where `visible` (15,) is False, which it is for points behind the
    head or nose, under hair in front, dark glasses or an occluder, and outside the image. A closed lid or the
    frame of clear glasses hides nothing. identity: number of the person, unique over both splits.
    """

    image: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float32]
    visible: Bools
    identity: int


def render_face(split: str, index: int, seed: int = 0) -> Face:
    """Return image `index` of `split` ("train", "test"); equal arguments give equal bits on one machine.

    `seed` (>= 0) names the whole dataset: another seed gives other people. Raises ValueError for an unknown
    split, IndexError for an index outside it.
    """
    identity_number = _identity_number(split, index)
    identity = _identity(seed, identity_number)
    rng = _generator(seed, IMAGE_STREAM, identity_number, index)
    expression = sample_expression(rng)
    surface = Surface(identity.shape, expression)
    contours = trace_contours(identity.shape, expression)
    traced = surface.points(*np.concatenate([contours.landmarks, *contours.polygons.values()]).T)
    marks, outlines = traced[: len(LANDMARK_NAMES)], traced[len(LANDMARK_NAMES) :]
    camera = sample_camera(rng, marks, SIZE)
    landmarks, _ = camera.project(camera.to_view(marks))

    canvas = Canvas(paint_background(rng))
    paint_person(canvas, Sitting(identity, surface, contours, outlines, camera, sample_light(rng)), rng)
    paint_occluder(canvas, identity, camera.scale, landmarks, rng)

    inside = ((landmarks > -0.5) & (landmarks < SIZE - 0.5)).all(axis=1)
    visible = inside & ~surface.hides(marks, camera) & ~canvas.covers(landmarks)
    image = degrade(canvas.reduced(), rng)
    return Face(image, landmarks.astype(np.float32), visible, identity_number)


def _identity_number(split: str, index: int) -> int:
    if split not in SPLIT_SIZES:
        raise ValueError(f"synthfaces: expected split {' or '.join(map(repr, SPLIT_SIZES))}, found {split!r}")
    if not 0 <= index < SPLIT_SIZES[split]:
        raise IndexError(f"synthfaces: {split} has images 0..{SPLIT_SIZES[split] - 1}, found index {index}")
    offset = 0 if split == "train" else SPLIT_SIZES["train"] // IMAGES_PER_IDENTITY
    return offset + index // IMAGES_PER_IDENTITY


@lru_cache(maxsize=16)  # neighbouring images show one person
def _identity(seed: int, number: int) -> Identity:
    return sample_identity(_generator(seed, IDENTITY_STREAM, number))


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key))
