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
    Name,
    NotNegative,
    SideOrZero,
    Surroundings,
    TPSStrength,
    UsageError,
)

# Standard deviations of the two warps (reference code); the second goes on top of the first.
TARGET_WARP = TPSStrength(warpsd_all=0.001, warpsd_subset=0.005, transsd=0.1, scalesd=0.0, rotsd=0.0)
SOURCE_WARP = TPSStrength(warpsd_all=0.001, warpsd_subset=0.01, transsd=0.1, scalesd=0.1, rotsd=5.0)


@dataclass(frozen=True)
class DetectorSettings:
    """``landmarks``: K. ``width``: channels of the first of ``levels``. ``side``: images are brought to it (0: as they come)."""

    landmarks: Landmarks = 30
    width: Channels = 32  # reference code
    levels: Annotated[int, Ge(1), Le(8)] = 4  # reference code
    side: SideOrZero = 0


@dataclass(frozen=True)
class IMMSettings:
    """``size``: side of the views. ``window``: part of the frame shown. ``std``: in half map sides. ``clip``: 0 is none."""

    size: Annotated[int, Ge(8), Le(1_024)] = 128  # reference code
    window: Fraction = 0.8  # reference code: 128 of 160
    border: Literal["black", "real"] = "black"
    std: Annotated[float, Gt(0), Le(10)] = 0.1  # reference code
    reconstruction: Literal["perceptual", "pixel"] = "perceptual"
    perceptual_weights: Name = "imagenet"  # or a file; read where the loss is perceptual
    target_warp: TPSStrength = TARGET_WARP
    source_warp: TPSStrength = SOURCE_WARP
    clip: NotNegative = 1.0  # reference code

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for views that the detector's cells do not divide, or that have fewer cells than landmarks."""
        network = around.backbone_settings
        if around.backbone is None or around.backbone.name != "imm_detector":
            raise UsageError("imm trains the backbone imm_detector.")
        check_sizes(self.size, network["levels"], network["side"], network["landmarks"])


def check_sizes(size: int, levels: int, side: int, landmarks: int) -> None:
    """Raises UsageError where views of ``size`` pixels are nothing for a detector of such cells, side and landmarks."""
    stride = 2 ** (levels - 1)
    if size % stride or size < 2 * stride:
        raise UsageError(
            f"imm: size={size} is no multiple of the detector's {stride} pixels a cell, at least twice it."
        )
    if side not in (0, size):
        raise UsageError(f"imm: views of size={size}, but the detector resizes to side={side}: make them equal.")
    if landmarks > (size // stride) ** 2:
        cells = size // stride
        raise UsageError(f"imm: {landmarks} landmarks on maps of {cells} x {cells} cells; take fewer.")
