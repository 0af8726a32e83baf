"""How much of the frame an objective's views show: what decides how large the object stands in them. No torch here.

An objective says by its spec which of its settings cut views out of the frame; see docs/protocol.md, "Size of the object".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lmbench.training.views import ViewSettings

TRIES = 10  # of a random crop that fits, as torchvision's RandomResizedCrop


@dataclass(frozen=True)
class Shown:
    """A mean view: its ``side`` in pixels, and the ``part`` of the frame's side that it shows."""

    side: float
    part: float


@dataclass(frozen=True)
class Changed:
    """Settings of an objective that differ, and the side of the frame that its views are then cut from."""

    settings: dict[str, Any]
    frame: int


Wanted = Callable[[float], float]
"""The part of the frame's side that a view of so many pixels should show."""


@dataclass(frozen=True)
class Cuts:
    """Which settings of an objective cut its views out of the frame. A subclass for each way of doing so."""

    def shown(self, settings: Mapping[str, Any], frame: int) -> list[Shown]:
        """The mean view of each kind that is drawn from a frame of ``frame`` pixels."""
        raise NotImplementedError

    def showing(self, settings: Mapping[str, Any], frame: int, wanted: Wanted) -> Changed:
        """What to set for views that show the part that is ``wanted``, as near as their pixels allow."""
        raise NotImplementedError


@dataclass(frozen=True)
class Crops(Cuts):
    """Random resized crops: each of ``views`` names a setting that holds fields of ViewSettings, and perhaps ``centre``, the
    pixels in the middle of the view that are kept."""

    views: tuple[str, ...] = ("view",)

    def shown(self, settings: Mapping[str, Any], frame: int) -> list[Shown]:
        return [self._shown(settings[name]) for name in self.views]

    def showing(self, settings: Mapping[str, Any], frame: int, wanted: Wanted) -> Changed:
        changes: dict[str, Any] = {}
        frames = []
        for name in self.views:
            view = settings[name] or {}
            now = self._shown(view)
            drawn = _drawn(view)
            window, side = _window(drawn.window * wanted(now.side) / now.part, drawn.size)
            changes[name] = {"window": window} | ({} if side == drawn.size else {"size": side})
            frames.append(round(side / window))  # so that a whole crop is read pixel by pixel
        return Changed(changes, max(frames))

    def _shown(self, view: Mapping[str, Any] | None) -> Shown:
        drawn, centre = _drawn(view), (view or {}).get("centre", 0)
        part = drawn.window * mean_side(drawn.scale, drawn.ratio)
        side = centre or drawn.size
        return Shown(side, part * side / drawn.size)


@dataclass(frozen=True)
class Window(Cuts):
    """The centre of the frame: ``size`` pixels (0: as many as the frame has) that show ``window`` of its side."""

    def shown(self, settings: Mapping[str, Any], frame: int) -> list[Shown]:
        return [Shown(settings["size"] or frame, settings["window"])]

    def showing(self, settings: Mapping[str, Any], frame: int, wanted: Wanted) -> Changed:
        size = settings["size"] or frame
        window, side = _window(wanted(size), size)
        return Changed({"window": window, "size": side}, round(side / window))


@dataclass(frozen=True)
class Margin(Cuts):
    """What is left of the frame without ``crop`` on every side: pixels, or a ``fraction`` of its side.

    ``least``: the smallest margin, as a fraction, that hides what a warp brings in from beyond the frame.
    """

    fraction: bool = False
    least: float = 0.0

    def shown(self, settings: Mapping[str, Any], frame: int) -> list[Shown]:
        crop = round(settings["crop"] * frame) if self.fraction else settings["crop"]
        return [Shown(frame - 2 * crop, 1 - 2 * crop / frame)]

    def showing(self, settings: Mapping[str, Any], frame: int, wanted: Wanted) -> Changed:
        (now,) = self.shown(settings, frame)
        frame = round(now.side / wanted(now.side))
        part = min(wanted(now.side), 1 - 2 * self.least)
        return Changed({"crop": round((1 - part) / 2, 4) if self.fraction else round(frame * (1 - part) / 2)}, frame)


def mean_side(scale: tuple[float, float], ratio: tuple[float, float], steps: int = 2000) -> float:
    """The mean of the square root of a random resized crop's area, as a fraction of the side of what it is cut from.

    Areas are drawn evenly from ``scale``, ratios evenly on a logarithmic axis; a crop that does not fit is drawn again.
    """
    low, high = (math.log(r) for r in ratio)
    total = accepted = 0.0
    for i in range(steps):
        area = scale[0] + (scale[1] - scale[0]) * (i + 0.5) / steps
        limit = -math.log(area)  # both sides fit where |log ratio| is no more
        share = float(-limit <= low <= limit)
        if high > low:
            share = max(0.0, min(high, limit) - max(low, -limit)) / (high - low)
        accepted += share / steps
        total += share * math.sqrt(area) / steps
    never = (1 - accepted) ** TRIES
    largest = math.sqrt(min(1.0, ratio[1]) * min(1.0, 1 / ratio[0]))
    return (1 - never) * (total / accepted if accepted else 0.0) + never * largest


def _drawn(view: Mapping[str, Any] | None) -> ViewSettings:
    known = ViewSettings.__dataclass_fields__
    return ViewSettings(**{k: v for k, v in (view or {}).items() if k in known})


def _window(window: float, side: int) -> tuple[float, int]:
    """A window of at most the whole frame; where more is wanted than a tenth beyond it, smaller views (multiples of 8)."""
    if window <= 1.1:
        return round(min(window, 1.0), 3), side
    return 1.0, max(8, 8 * round(side / window / 8))
