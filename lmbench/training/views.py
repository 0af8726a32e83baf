"""How a view is drawn, as data; `augment.py` draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lmbench.config.ranges import Degrees, Fraction, Ge, Gt, Le, Probability, Side
from lmbench.errors import UsageError

Strength = Annotated[float, Ge(0), Le(10)]
Aspect = Annotated[float, Gt(0), Le(100)]
Sigma = Annotated[float, Ge(0), Le(100)]


@dataclass(frozen=True, kw_only=True)
class Colours:
    """What a view does to colours, blur and solarisation last, each image on its own; nothing moves.

    ``jitter``: brightness, contrast, saturation, hue as in torchvision's ColorJitter, applied with probability
    ``jitter_p``. ``blur``: smallest and largest sigma in pixels. Hue is turned in YIQ space.
    """

    jitter: tuple[Strength, Strength, Strength, Annotated[float, Ge(0), Le(0.5)]] = (0.4, 0.4, 0.2, 0.1)
    jitter_p: Probability = 0.8
    grey_p: Probability = 0.2
    blur_p: Probability = 0.0
    blur: tuple[Sigma, Sigma] = (0.1, 2.0)
    solarise_p: Probability = 0.0

    def __post_init__(self) -> None:
        require_ascending("blur", self.blur)


@dataclass(frozen=True, kw_only=True)
class ViewSettings(Colours):
    """How a view is drawn. Geometry first, then colour, then blur and solarisation, each image on its own.

    ``size``: side of the view in pixels. ``scale``: area of the crop as a fraction of ``window``, the central part of
    the frame (as a fraction of its side) crops are taken from. ``ratio``: aspect of the crop. ``rotation``: largest
    angle in degrees. The rest: see Colours.
    """

    size: Side = 96
    scale: tuple[Fraction, Fraction] = (0.08, 1.0)
    ratio: tuple[Aspect, Aspect] = (3 / 4, 4 / 3)
    window: Fraction = 1.0
    rotation: Degrees = 0.0
    flip_p: Probability = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_ascending("scale", self.scale)
        require_ascending("ratio", self.ratio)


def require_ascending(name: str, pair: tuple[float, float]) -> None:
    """Raises UsageError for a smallest value above the largest."""
    if not pair[0] <= pair[1]:
        raise UsageError(f"{name} = {pair}: expected the smallest value and then the largest.")
