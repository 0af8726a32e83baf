"""The settings of both objectives: the one place of every default, which are the paper's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from lmbench.api import Channels, Ge, Le, MapName, Positive, Probability, ViewSettings

# BYOL's pair of augmentations (Grill et al. 2020, appendix B), which LEAD follows in both stages (supplement D): the first
# view is always blurred, the second now and then, and it alone is solarised.
FIRST_VIEW = ViewSettings(
    size=96,
    scale=(0.08, 1.0),
    flip_p=0.5,
    jitter=(0.4, 0.4, 0.2, 0.1),
    jitter_p=0.8,
    grey_p=0.2,
    blur_p=1.0,
    solarise_p=0.0,
)
SECOND_BLUR, SECOND_SOLARISE = 0.1, 0.2
SECOND_VIEW = replace(FIRST_VIEW, blur_p=SECOND_BLUR, solarise_p=SECOND_SOLARISE)


@dataclass(frozen=True)
class BYOLSettings:
    """``layer``: the map that is averaged over the image before the projector. ``hidden``, ``dim``: of projector and predictor.

    ``momentum``: the target's EMA at the start; it rises to 1 along a cosine. ``batch_norm``: ``batch`` statistics in the
    backbone, as everybody has it, or ``frozen`` ones, as an untrained network has them.
    """

    layer: MapName = "conv5_x"
    hidden: Channels = 4096  # OpenSelfSup
    dim: Channels = 256  # OpenSelfSup
    momentum: Probability = 0.996  # Grill et al. 2020, sec. 3.2
    batch_norm: Literal["batch", "frozen"] = "batch"
    view1: ViewSettings = FIRST_VIEW
    view2: ViewSettings = SECOND_VIEW


@dataclass(frozen=True)
class SecondView:
    """In what the view of a pair's second image differs from that of the first (None: alike)."""

    blur_p: Probability | None = SECOND_BLUR
    solarise_p: Probability | None = SECOND_SOLARISE


@dataclass(frozen=True)
class DistillationSettings:
    """``teacher_temperature``: the teacher's, where it is another one.

    ``projection``: width of the projection head that is dropped afterwards (0: none). ``encoder``: ``frozen`` (supplement D)
    or ``trained`` (main text). ``pairs``: the second image of a pair is ``another`` of the batch, or the ``same`` once more.
    ``teacher_normalise``: the hypercolumn is normalised as one block (``global``) or ``layer`` by layer. ``grid``: cells a side
    on which maps are compared (0: the dense map's own). ``view``: of the first image of a pair; ``view2``: what differs in
    that of the second.
    """

    temperature: Positive = 0.05  # LEAD, sec. 4
    teacher_temperature: Positive | None = None
    projection: Annotated[int, Ge(0), Le(65_536)] = 256  # LEAD, Table 3
    encoder: Literal["frozen", "trained"] = "frozen"  # supplement D
    pairs: Literal["another", "same"] = "another"
    teacher_normalise: Literal["global", "layer", "none"] = "global"
    grid: Annotated[int, Ge(0), Le(256)] = 0
    view: ViewSettings = FIRST_VIEW
    view2: SecondView = SecondView()

    @property
    def views(self) -> tuple[ViewSettings, ViewSettings]:
        """How both images of a pair are drawn."""
        first, blur, solarise = self.view, self.view2.blur_p, self.view2.solarise_p
        blur, solarise = first.blur_p if blur is None else blur, first.solarise_p if solarise is None else solarise
        return first, replace(first, blur_p=blur, solarise_p=solarise)
