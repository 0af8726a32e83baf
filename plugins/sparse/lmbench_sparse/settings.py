"""The settings of the objective and of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lmbench.api import (
    Colours,
    Count,
    Ge,
    Gt,
    Landmarks,
    Le,
    NotNegative,
    Positive,
    SideOrZero,
    Surroundings,
    TPSStrength,
    UsageError,
)

# Supplement, Table 1, faces and cats: standard deviations of the spline's weights, drawn again with probability 1/2
# by the second, then translation (half image sides), scale, rotation (degrees).
FACES_G1 = TPSStrength(warpsd_all=0.001, warpsd_subset=0.001, transsd=0.0, scalesd=0.0, rotsd=0.0)
FACES_G2 = TPSStrength(warpsd_all=0.001, warpsd_subset=0.01, transsd=0.1, scalesd=0.05, rotsd=20.0)


POOLING = 2  # one 2x2 max-pooling, after conv1; sec. 4.1
WIDTHS = (20, 48, 64, 80, 256)  # of all filters but the last, which are K; sec. 4.1


@dataclass(frozen=True)
class SparseNetSettings:
    """``landmarks``: K. ``kernel``: side of all filters. ``multiplier``: of the last layer's responses. ``zoom``: images are
    resized by it first, in training and after it, so that faces reach the filters at the scale these are meant for.
    """

    landmarks: Landmarks = 50
    kernel: Annotated[int, Ge(1), Le(31)] = 5
    multiplier: Positive = 1.0
    zoom: Annotated[float, Gt(0), Le(8)] = 1.0

    def __post_init__(self) -> None:
        if self.kernel % 2 == 0:
            raise UsageError(f"kernel = {self.kernel}; the filters' side is an odd number (3, 5, 7).")

    @property
    def stride(self) -> int:
        """Pixels of the image from one cell to the next: the one pooling's two, before the zoom (to the nearest pixel)."""
        return max(1, round(POOLING / self.zoom))


@dataclass(frozen=True)
class SparseAlignmentSettings:
    """``gamma``: weight of diversity. ``pool``: side of its blocks, in cells. ``unit``: of u in eq. 6, which ``gamma`` is
    relative to: a ``cell`` of the score map, a ``pixel`` of the view, or its ``side``, which then counts 2. ``g1``, ``g2``: the
    first and the second warp. ``control``: control points a side. ``crop``: pixels cut from every side of the frame after
    warping. ``colour``: by which both views are recoloured.
    """

    gamma: NotNegative = 500.0  # sec. 4.1
    pool: Count = 5  # supplement, sec. 2; MNIST and AFLW's 51 landmarks: 3
    unit: Literal["cell", "pixel", "side"] = "cell"
    g1: TPSStrength = FACES_G1
    g2: TPSStrength = FACES_G2
    control: Annotated[int, Ge(2), Le(64)] = 10
    crop: SideOrZero = 10  # sec. 4.1: of 100
    colour: Colours | None = None  # none in the paper

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for a crop that leaves nothing of the frame."""
        if around.frame - 2 * self.crop < 8:
            raise UsageError(
                f"crop = {self.crop} on every side leaves less than 8 pixels of a frame of {around.frame}; lower it, or raise "
                "the stage's training.frame."
            )
