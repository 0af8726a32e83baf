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
class Deformation:
    """How strong a random deformation is: an elastic one, then an affine one about the image's centre.

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
        if self.zoom[0] > self.zoom[1]:
            raise UsageError(f"zoom = {self.zoom}: expected the smallest factor and then the largest.")


@dataclass(frozen=True)
class HourglassSettings:
    """``dim``: channels D of the output. ``width``: of the blocks at full resolution; they double from block to block towards
    the middle. ``scale``: images are brought to this fraction of their size first, for small budgets.
    """

    dim: Channels = 64  # sec. 4.1
    width: Channels = 64
    scale: Annotated[float, Gt(0), Le(8)] = 1.0

    @property
    def stride(self) -> int:
        """Pixels of the image from one cell of the full-resolution maps to the next (to the nearest pixel)."""
        return max(1, round(1 / self.scale))


@dataclass(frozen=True)
class DetectorSettings(HourglassSettings):
    """``landmarks``: K. The rest: of F, and T's blocks are as wide."""

    landmarks: Landmarks = 30


@dataclass(frozen=True)
class PixelNTXentSettings:
    """``locations``: places drawn in an image. ``size``: side of the views in pixels (0: the frame's). ``window``: central part
    of the frame that the first view shows. ``appearance``: colours and blur. ``noise``: standard deviation of what is added.
    ``recolour``: the second view alone, or each by itself. ``rivals``: places compete with those of the whole batch, or of their
    own image alone.
    """

    locations: Count = 64
    temperature: Positive = 0.1  # sec. 4.1
    size: SideOrZero = 0
    window: Fraction = 1.0
    deformation: Deformation = Deformation()
    appearance: Colours = APPEARANCE
    noise: Annotated[float, Ge(0), Le(1)] = 0.02
    recolour: Literal["one", "both"] = "one"  # eq. 7: one
    rivals: Literal["batch", "image"] = "batch"  # eq. 7: batch

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for more locations than a view has pixels."""
        pixels = (self.size or around.frame) ** 2
        if self.locations > pixels:
            raise UsageError(f"locations = {self.locations}: expected at most {pixels}, the pixels of a view.")


@dataclass(frozen=True)
class TwoStepLandmarksSettings:
    """``features``: F as step 1 left it, or trained with T (the ablation, sec. 5.3). ``equivariance``, ``diversity``,
    ``variance``: weights of the three terms. ``terms``: ``printed``, coordinates count in pixels and diversity and variance are
    sums over landmarks (secs. 2 and 4), or ``scaled``, in half image sides (``[-1, 1]``) and as means over landmarks, whatever
    K and the image's size. ``patch``: side of the diversity's patches in pixels. ``size``, ``window``: as above.
    """

    features: Literal["frozen", "trained"] = "frozen"
    equivariance: NotNegative = 10.0
    diversity: NotNegative = 0.5
    variance: NotNegative = 0.1
    terms: Literal["scaled", "printed"] = "scaled"
    patch: Count = 8  # sec. 4.1: at 128 pixels
    size: SideOrZero = 0
    window: Fraction = 1.0
    deformation: Deformation = Deformation()
