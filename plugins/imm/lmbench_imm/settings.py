"""The settings of the objective and of the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lmbench.api import (
    Channels,
    Fraction,
    Ge,
    Gt,
    Landmarks,
    Le,
    MinLen,
    NotNegative,
    SideOrZero,
    Surroundings,
    TPSStrength,
    UsageError,
    WeightsFile,
)


@dataclass(frozen=True)
class DetectorSettings:
    """``landmarks``: K. ``width``: channels of the first of ``levels``. ``side``: images are brought to it (0: as they come)."""

    landmarks: Landmarks = 30
    width: Channels = 32  # reference code
    levels: Annotated[int, Ge(1), Le(8)] = 4  # reference code
    side: SideOrZero = 0

    @property
    def stride(self) -> int:
        """Pixels between two cells of the maps."""
        return 2 ** (self.levels - 1)

    @property
    def channels(self) -> int:
        """Of the deepest level."""
        return self.width * self.stride


@dataclass(frozen=True)
class IMMSettings:
    """``size``: side of the views in pixels. ``window``: the central part of the frame that they show, of its side.

    ``border``: ``black``, the centre is cut first, and nothing lies outside it (reference code), or ``real``, the whole frame is
    warped, mirrored beyond its edge, and cut afterwards: no black edge tells the detector how an image was moved. ``std``: of
    the Gaussians, in half map sides. ``reconstruction``: ``perceptual``, on VGG-16 with ``perceptual_weights`` (``imagenet``:
    torchvision's download), or ``pixel``. ``clip``: the largest norm of every single tensor's gradient (0: any).
    """

    size: Annotated[int, Ge(8), Le(1_024)] = 128  # reference code
    window: Fraction = 0.8  # reference code: 128 of 160
    border: Literal["black", "real"] = "black"
    std: Annotated[float, Gt(0), Le(10)] = 0.1  # reference code
    reconstruction: Literal["perceptual", "pixel"] = "perceptual"
    perceptual_weights: Annotated[str, MinLen(1), WeightsFile(("imagenet",))] = "imagenet"
    # Standard deviations of the two warps (reference code); the second goes on top of the first.
    target_warp: TPSStrength = TPSStrength(warpsd_all=0.001, warpsd_subset=0.005, transsd=0.1, scalesd=0.0, rotsd=0.0)
    source_warp: TPSStrength = TPSStrength(warpsd_all=0.001, warpsd_subset=0.01, transsd=0.1, scalesd=0.1, rotsd=5.0)
    clip: NotNegative = 1.0  # reference code

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for views that the detector's cells do not divide, or that have fewer cells than landmarks."""
        network = around.backbone_settings
        if not isinstance(network, DetectorSettings):
            raise UsageError("imm trains the backbone imm_detector.")
        if self.size % network.stride or self.size < 2 * network.stride:
            raise UsageError(
                f"size={self.size} is no multiple of the detector's {network.stride} pixels a cell, at least twice it."
            )
        if network.side not in (0, self.size):
            raise UsageError(
                f"views of size={self.size}, but the detector resizes to side={network.side}: make them equal."
            )
        cells = self.size // network.stride
        if network.landmarks > cells**2:
            raise UsageError(f"{network.landmarks} landmarks on maps of {cells} x {cells} cells; take fewer.")
