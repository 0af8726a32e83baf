"""The settings of the objectives and of the compact networks: the one place of every default, which are the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from lmbench.api import (
    Channels,
    Count,
    Ge,
    ImageNetWeights,
    Le,
    MapName,
    MapOf,
    MinLen,
    NotNegative,
    Positive,
    Probability,
    SideOrZero,
    Surroundings,
    UsageError,
    ViewSettings,
)

HYPERCOLUMN = ("conv5_x", "conv4_x", "conv3_x", "conv2_x")  # Cheng et al. sec. 4.1
STRIDE = 4  # reference code: the projection is trained on 24x24 cells of 96x96 pixels


@dataclass(frozen=True, kw_only=True)
class View(ViewSettings):
    """ViewSettings and what the paper adds to them.

    ``jpeg``: JPEG noise before everything else. ``lighting``: standard deviation of the colour shift along ImageNet's
    principal components. ``centre``: side in pixels of the middle of the view that is kept (0: all of it).
    """

    jpeg: bool = False
    lighting: Annotated[float, Ge(0), Le(10)] = 0.0
    centre: SideOrZero = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.centre > self.size:
            raise UsageError(f"the centre of {self.centre} pixels does not fit into a view of {self.size}.")

    @property
    def side(self) -> int:
        """The side in pixels of what the network sees."""
        return self.centre or self.size


# Reference code: JPEG noise, random resized crop of 136, colour jitter, lighting, and the central 96 of that.
PAPER_VIEW = View(
    size=136,
    centre=96,
    scale=(0.2, 1.0),
    jitter=(0.4, 0.4, 0.4, 0.0),
    jitter_p=1.0,
    grey_p=0.0,
    jpeg=True,
    lighting=0.1,
)
PLAIN_VIEW = View(size=136, centre=96, scale=(1.0, 1.0), ratio=(1.0, 1.0), jitter_p=0.0, grey_p=0.0)  # open


@dataclass(frozen=True)
class MoCoSettings:
    """``layer``: the map that is averaged over the image before the linear head, which has ``dim`` outputs.

    ``queue``: how many keys are kept; the batch must divide it. ``momentum``: the key network's EMA, of parameters alone.
    ``groups``: the batch is encoded in so many groups, each with BatchNorm statistics of its own, keys in shuffled order
    (ShuffleBN). ``batch_norm``: ``batch`` statistics in both networks, or ``frozen`` ones, as an untrained network has them.
    """

    layer: MapName = "conv5_x"
    dim: Channels = 128  # He et al. 2020
    queue: Count = 4096  # reference code
    temperature: Positive = 0.07  # He et al. 2020
    momentum: Probability = 0.999  # He et al. 2020
    groups: Count = 4  # reference code: 4 GPUs
    batch_norm: Literal["batch", "frozen"] = "batch"
    view: View = PAPER_VIEW

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for a batch that cannot be encoded, see `require_batch`."""
        self.require_batch(around.batch_size)

    def require_batch(self, batch: int) -> None:
        """Raises UsageError for a batch that does not divide the queue, or does not fall into groups of two or more."""
        if self.queue % batch:
            raise UsageError(
                f"a queue of {self.queue} keys cannot be filled by batches of {batch}; set queue to a multiple of it, for "
                f"instance {-(-self.queue // batch) * batch}."
            )
        if self.groups > 1 and (batch % self.groups or batch < 2 * self.groups):
            raise UsageError(
                f"a batch of {batch} does not fall into {self.groups} equal groups of two or more; set groups to 1, or to "
                "a divisor of half the batch."
            )


@dataclass(frozen=True)
class CLProjectionSettings:
    """``temperature``: of the cosines. ``power``: of the distance."""

    temperature: Positive = 7.0  # reference code (8 for 64 dimensions)
    power: Positive = 0.5  # Cheng et al., eq. 4
    view: View = PAPER_VIEW


@dataclass(frozen=True)
class NMFSettings:
    """``samples``: how many vectors are kept (the memory is samples x channels x 4 bytes).

    ``per_image``: how many positions of an image are looked at. ``iterations``: epochs of scikit-learn's ``solver``.
    """

    samples: Count = 16384
    per_image: Count = 16
    iterations: Count = 200
    solver: Literal["minibatch", "full"] = "minibatch"
    view: View = PLAIN_VIEW


@dataclass(frozen=True)
class CompactSettings:
    """What a compact hypercolumn is made of: ``layers`` of the encoder, deepest first, on a grid of ``stride`` pixels."""

    layers: Annotated[tuple[Annotated[str, MapOf("encoder")], ...], MinLen(1)] = HYPERCOLUMN
    stride: Annotated[int, Ge(1), Le(64)] = STRIDE
    weights: ImageNetWeights = None

    def fits(self, around: Surroundings) -> None:
        """Raises UsageError for more dimensions than the hypercolumn has channels."""
        maps = around.maps_of(around.fixed["encoder"])
        channels = sum(maps[name].channels or 0 for name in self.layers)
        dim: int = getattr(self, "dim", 0)
        if dim > channels:
            raise UsageError(
                f"{dim} dimensions are no compact form of the {channels} channels of {around.fixed['encoder']} "
                f"({', '.join(self.layers)}): expected 1 to {channels}. Lower dim, or take a wider backbone "
                "(--set backbone=resnet50)."
            )


@dataclass(frozen=True)
class ProjectedSettings(CompactSettings):
    """``multiplier``: of the softmax over each channel's cells (0: none, the plain projection of the text)."""

    dim: Channels = 256
    multiplier: NotNegative = 7.0  # reference code (6.5 for 64 dimensions)


@dataclass(frozen=True)
class FactorisedSettings(CompactSettings):
    """``iterations``: of the updates of a new vector's code."""

    dim: Channels = 64
    iterations: Count = 50
