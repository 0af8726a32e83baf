"""Marks of landmarks on photographs: colours that the colour-blind tell apart, then the same in other shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import ImageColor, ImageDraw

from lmbench.report.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW

Colour = tuple[int, ...]
COLOURS: tuple[Colour, ...] = tuple(
    ImageColor.getrgb(name) for name in (VERMILION, SKY, YELLOW, GREEN, PURPLE, ORANGE, BLUE)
)
UNITS: tuple[Sequence[tuple[float, float]], ...] = (
    (),  # a disc
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
)
"""The corners of each shape, where a disc has the radius 1."""
LIGHT, DARK = (255, 255, 255), (0, 0, 0)
MOST = len(COLOURS) * len(UNITS)
"""How many landmarks are told apart."""


class Mark(NamedTuple):
    """A colour in a shape; ``hollow``: the outline alone."""

    colour: Colour
    shape: int = 0
    hollow: bool = False

    def draw(self, draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
        """Draws it around a point, with an outline that stands out from bright and from dark images."""
        if not self.hollow:
            self._outline(draw, x, y, radius + 1, fill=DARK)
            self._outline(draw, x, y, radius, fill=self.colour)
            return
        thick = max(2, round(radius * 0.7))
        self._outline(draw, x, y, radius + 1 + thick, outline=DARK, width=2 * thick)
        self._outline(draw, x, y, radius + 1 + thick / 2, outline=self.colour, width=thick)

    def _outline(self, draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, **how: object) -> None:
        corners = UNITS[self.shape]
        if corners:
            draw.polygon([(x + u * radius, y + v * radius) for u, v in corners], **how)  # type: ignore[arg-type]
        else:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), **how)  # type: ignore[arg-type]


def mark_of(number: int, hollow: bool = False) -> Mark:
    """The mark of the n-th landmark: colours first, then the same in the next shape."""
    return Mark(COLOURS[number % len(COLOURS)], number // len(COLOURS) % len(UNITS), hollow)


def legend_of(names: Sequence[str]) -> dict[str, Mark]:
    """The mark of each landmark by its name; none where there are more than marks tell apart."""
    return {name: mark_of(k) for k, name in enumerate(names)} if len(names) <= MOST else {}
