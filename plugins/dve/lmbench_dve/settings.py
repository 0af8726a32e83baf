"""The settings of the objective and of both networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lmbench.api import (
    TRAIN_PAIR,
    Channels,
    Colours,
    Count,
    Ge,
    Le,
    Lt,
    MultipleOf,
    Positive,
    SideOrZero,
    TPSStrength,
    UsageError,
)

# Colours alone: the view is neither moved nor cropped again. Jitter as the reference's; blur stands for its JPEG noise.
PHOTOMETRIC = Colours(jitter=(0.4, 0.4, 0.4, 0.0), jitter_p=1.0, grey_p=0.0, blur_p=0.5, blur=(0.1, 1.0))


@dataclass(frozen=True)
class DVESettings:
    """``exchange``: by way of another image's descriptors (DVE), else straight (Dense3D). ``normalise``, ``factor``,
    ``power``, ``stride``: as ``dense_correlation_loss``. ``crop``: fraction of the frame's side cut off each side after
    warping, so that the warp's black border does not show. ``view``: colours, of each view by itself.
    """

    exchange: bool = True
    normalise: bool = True
    factor: Positive = 20.0  # length of normalised descriptors; reference code
    power: Annotated[float, Ge(0.01), Le(8)] = 0.5  # of the distance; both papers
    crop: Annotated[float, Ge(0), Lt(0.5)] = 20 / 136  # 20 of 136 pixels leave 96, 15 of 100 leave 70; reference code
    stride: Count = 1
    warp: TPSStrength = TRAIN_PAIR
    view: Colours = PHOTOMETRIC


@dataclass(frozen=True)
class SmallNetSettings:
    """``dim``: channels. ``resize``: images are brought to this side first (0: as they come)."""

    dim: Channels = 64
    resize: SideOrZero = 0

    least = 16

    def __post_init__(self) -> None:
        if 0 < self.resize < self.least:
            raise UsageError(
                f"resize = {self.resize}: expected 0 (images as they come) or at least {self.least} pixels."
            )


@dataclass(frozen=True)
class HourglassSettings(SmallNetSettings):
    """``width``: channels of the 3x3 filters, half of those between blocks. ``blocks``: residual blocks in each part."""

    width: Annotated[int, Ge(2), Le(65_536), MultipleOf(2)] = 128  # reference code
    blocks: Annotated[int, Ge(1), Le(64)] = 4  # reference code

    least = 32
