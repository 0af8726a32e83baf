"""How a view is drawn, as data; `augment.py` draws it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ViewSettings:
    """How a view is drawn. Geometry first, then colour, then blur and solarisation, each image on its own.

    ``size``: side of the view in pixels. ``scale``: area of the crop as a fraction of ``window``, the central part of
    the frame (as a fraction of its side) crops are taken from. ``ratio``: aspect of the crop. ``rotation``: largest
    angle in degrees. ``jitter``: brightness, contrast, saturation, hue as in torchvision's ColorJitter, applied with
    probability ``jitter_p``. ``blur``: smallest and largest sigma in pixels. Hue is turned in YIQ space.
    """

    size: int = 96
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    window: float = 1.0
    rotation: float = 0.0
    flip_p: float = 0.0
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_p: float = 0.8
    grey_p: float = 0.2
    blur_p: float = 0.0
    blur: tuple[float, float] = (0.1, 2.0)
    solarise_p: float = 0.0
