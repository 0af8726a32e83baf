"""How the images of a fit are framed, now and when they are predicted on."""

from __future__ import annotations

from typing import Literal

from lmbench.detecting.framer import Framer
from lmbench.geometry.framing import Framing, Preprocessing

Frame = Literal["whole", "central", "box"]


def framer_of(name: str, side: int, frame: Frame = "whole", margin: float = 0.0, raw: bool = False) -> Framer:
    """Frames of ``side`` pixels: the ``whole`` image padded to a square, its ``central`` square, or the ``box`` of each object
    with a ``margin`` of its longer side around it. All of a frame is seen; pixel centres stay pixel centres.
    ``raw``: as `Framing` says."""
    if frame == "central":
        framing = Framing(kind="central", raw=raw)
    elif frame == "box":
        framing = Framing(kind="box", of="the box of the label", factor=1 + 2 * margin, square=True, raw=raw)
    else:
        framing = Framing(kind="padded", square=True, raw=raw)
    return Framer(name, Preprocessing(resize=side, centres="kept"), framing)
