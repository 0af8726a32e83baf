"""Images in rows and columns, each with points on it, above one legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmbench.report.style import INCH_PT, MM, SKY, YELLOW, Page, legend_below, legend_lines, new_figure, wrapped

RIM = 0.6  # pt at most, around a point
GAP = 0.7  # mm between images
SMALLER = (1.0, 0.875, 0.75)  # of the letters of a figure, those beside rows that are lower than a name is long
POINT = 0.08  # size of a point, of the width of its image, where there are so many as here:
USUAL = 10
TRUE, FOUND = SKY, YELLOW
Points = np.ndarray
"""(L, 2), pixels of an image."""


@dataclass(frozen=True)
class Tile:
    """An image (H, W, 3) of 8 bits, or floats from 0 to 1, and a word or two above it."""

    image: np.ndarray
    above: str = ""


@dataclass(frozen=True)
class Grid:
    """Axes for rows of images, in their pixels; ``point``: the size of a point in pt."""

    figure: Any
    axes: list[list[Any]]
    point: float


def grid(
    page: Page,
    rows: Sequence[Sequence[Tile]],
    names: Sequence[str] = (),
    handles: Sequence[Any] = (),
    points: int = USUAL,
) -> Grid:
    """Images side by side over the page's width, ``names`` beside the rows, and a legend of ``handles``.

    ``points``: how many there are to be on an image; the more, the smaller.
    """
    columns = max(map(len, rows))
    image = rows[0][0].image
    aspect = image.shape[0] / image.shape[1]
    guess = ((page.width - (2 * page.line if names else 0)) / columns - GAP) * aspect  # the height of a row
    words = [page.line if any(tile.above for tile in row) else 0 for row in rows]
    called, letters = _beside(names, guess + min(words), page)
    left = max((1 + name.count("\n") for name in called), default=0) * letters.line + (0.6 if called else 0)
    side = (page.width - left - (columns - 1) * GAP) / columns
    below = legend_lines(handles, page) * page.line + 2.0 if handles else 0
    total = sum(words) + len(rows) * (side * aspect + GAP) - GAP + below
    figure = new_figure(page, total, arranged=False)
    axes: list[list[Any]] = []
    top = 0.0
    for number, row in enumerate(rows):
        top += words[number]
        made = []
        for column, tile in enumerate(row):
            x, y = left + column * (side + GAP), total - top - side * aspect
            axis = figure.add_axes((x / page.width, y / total, side / page.width, side * aspect / total))
            axis.imshow(tile.image, interpolation="bicubic", aspect="auto")
            axis.axis("off")
            if tile.above:
                axis.set_title(tile.above, loc="center", pad=1.5)
            made.append(axis)
        if called:
            height = 1 - (top + side * aspect / 2) / total
            figure.text(
                0,
                height,
                called[number],
                rotation=90,
                va="center",
                ha="left",
                multialignment="center",
                size=letters.font,
            )
        axes.append(made)
        top += side * aspect + GAP
    legend_below(figure, page, handles, arranged=False)
    size = POINT * side * INCH_PT / MM * min(1.0, (USUAL / max(1, points)) ** 0.5)
    return Grid(figure, axes, max(1.5, min(6.0, size)))


def _beside(names: Sequence[str], room: float, page: Page) -> tuple[list[str], Page]:
    """Names in lines that fit into so many mm, and the page with the size of their letters: smaller ones for a long word."""
    for share in SMALLER:
        letters = replace(page, font=share * page.font)
        called = [wrapped(name, room, letters) for name in names]
        if all(letters.fits(line, room) for name in called for line in name.split("\n")):
            return called, letters
    return [wrapped(name, 0.9 * room, letters, cut=True) for name in names], letters


def put(
    axis: Any, points: Points, size: float, colours: Sequence[str] | str, markers: Sequence[str] | str = "o"
) -> None:
    """Filled points, each in its colour with a thin black rim; those outside of the image are not drawn."""
    for k, (x, y) in enumerate(points):
        colour = colours if isinstance(colours, str) else colours[k]
        marker = markers if isinstance(markers, str) else markers[k]
        axis.plot(
            x, y, marker, markersize=size, markerfacecolor=colour, markeredgecolor="black",
            markeredgewidth=min(RIM, 0.12 * size), scalex=False, scaley=False, clip_on=True,
        )  # fmt: skip


def compare(axis: Any, true: Points, found: Points, size: float) -> None:
    """Where landmarks are (rings) and where they were found (dots), a line between the two."""
    for (x, y), (u, v) in zip(true, found, strict=True):
        join(axis, np.array([x, y]), np.array([u, v]), 0.15 * size)
        axis.plot(x, y, "o", scalex=False, scaley=False, **_ring(1.15 * size))
    put(axis, found, 0.8 * size, FOUND)


def join(axis: Any, one: Points, other: Points, width: float) -> None:
    """A white line between two points, in black rims: it is seen on a bright image too."""
    from matplotlib.patheffects import withStroke

    line = np.stack([one, other]).T
    rims = [withStroke(linewidth=width + 0.5, foreground="black")]
    axis.plot(*line, color="white", linewidth=width, path_effects=rims, scalex=False, scaley=False)


def _ring(size: float) -> dict[str, Any]:
    from matplotlib.patheffects import withStroke

    return {
        "markersize": size, "markerfacecolor": "none", "markeredgecolor": TRUE, "markeredgewidth": 0.16 * size,
        "path_effects": [withStroke(linewidth=0.32 * size, foreground="black")],
    }  # fmt: skip


def compared() -> list[Any]:
    """The legend of `compare`."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="", marker="o", label="annotated", **_ring(4.5)),
        Line2D([], [], linestyle="", marker="o", label="predicted", **_dot(FOUND, 3.5)),
    ]


def named(names: Sequence[str], looks: Sequence[tuple[str, str]]) -> list[Any]:
    """A legend of landmarks by colour and marker."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="", marker=marker, label=name.replace("_", " "), **_dot(colour, 4))
        for name, (colour, marker) in zip(names, looks, strict=True)
    ]


def _dot(colour: str, size: float) -> dict[str, Any]:
    return {"markersize": size, "markerfacecolor": colour, "markeredgecolor": "black", "markeredgewidth": 0.12 * size}
