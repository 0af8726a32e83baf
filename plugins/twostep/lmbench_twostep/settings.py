"""The settings of both objectives and both networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lmbench.api import (
    Channels,
    Colours,
    Count,
    Degrees,
    Fraction,
    Ge,
    Gt,
    Landmarks,
    Le,
    NotNegative,
    Positive,
    SideOrZero,
    Surroundings,
    UsageError,
)

# "noise addition, intensity change, contrast perturbation" (sec. 4); the strengths are ours.
APPEARANCE = Colours(jitter=(0.4, 0.4, 0.0, 0.0), jitter_p=1.0, grey_p=0.0)

Zoom = Annotated[float, Gt(0), Le(16)]
OfTheSide = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class DeformationSettings:
    """Strength of a random deformation: an elastic one, then an affine one about the image's centre.

    ``rotation``: largest angle in degrees. ``zoom``: smallest and largest factor by which content grows, drawn evenly on
    a logarithmic axis (above 1 it is a crop). ``shift``: largest displacement as a fraction of the side. ``shear``:
    largest slope. ``elastic`` and ``smoothness``: standard deviation of the displacement, and of the Gaussian that
    smooths it, as fractions of the side.
    """

    rotation: Degrees = 0.0
    zoom: tuple[Zoom, Zoom] = (1.0, 1.0)
    shift: OfTheSide = 0.0
    shear: Annotated[float, Ge(0), Le(4)] = 0.0
    elastic: OfTheSide = 0.0
    smoothness: Fraction = 0.1

    def __post_init__(self) -> None:
        low, high = self.zoom
        if not 0 < low <= high or min(self.rotation, self.shift, self.shear, self.elastic) < 0 or self.smoothness <= 0:
            raise UsageError(
                f"deformation: expected 0 < zoom[0] <= zoom[1], a smoothness above 0 and nothing negative, found {self}."
            )


@dataclass(frozen=True)
class HourglassSettings:
    """``dim``: channels of the output. ``width``: of the blocks at full resolution. ``scale``: of the images."""

    dim: Channels = 64  # sec. 4.1
    width: Channels = 64
    scale: Annotated[float, Gt(0), Le(8)] = 1.0


@dataclass(frozen=True)
class DetectorSettings(HourglassSettings):
    """``landmarks``: K. The rest: of F, and T's blocks are as wide."""

    landmarks: Landmarks = 30


@dataclass(frozen=True)
class PixelNTXentSettings:
    """``locations``: places drawn in an image. ``size``: side of the views (0: the frame's). ``window``: part of it shown."""

    locations: Count = 64
    temperature: Positive = 0.1  # sec. 4.1
    size: SideOrZero = 0
    window: Fraction = 1.0
    deformation: DeformationSettings = DeformationSettings()
    appearance: Colours = APPEARANCE
    noise: Annotated[float, Ge(0), Le(1)] = 0.02
    recolour: Literal["one", "both"] = "one"  # eq. 7: one
    rivals: Literal["batch", "image"] = "batch"  # eq. 7: batch

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for more locations than a view has pixels."""
        pixels = (self.size or around.frame) ** 2
        if self.locations > pixels:
            raise UsageError(f"locations = {self.locations}: a view has {pixels} pixels.")


@dataclass(frozen=True)
class TwoStepLandmarksSettings:
    """``features``: F as step 1 left it, or trained with T. Weights of the three terms, which are
    ``scaled`` or as ``printed``. ``patch``: of diversity, in pixels.
    """

    features: Literal["frozen", "trained"] = "frozen"
    equivariance: NotNegative = 10.0
    diversity: NotNegative = 0.5
    variance: NotNegative = 0.1
    terms: Literal["scaled", "printed"] = "scaled"
    patch: Count = 8  # sec. 4.1: at 128 pixels
    size: SideOrZero = 0
    window: Fraction = 1.0
    deformation: DeformationSettings = DeformationSettings()
