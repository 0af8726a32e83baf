"""A person, painted back to front: hair behind the head, body, ears, skin, hair in front, glasses."""

from __future__ import annotations

from typing import Final

import numpy as np

from lmbench.datasets.synthfaces.loader.arrays import CIRCLE, Array
from lmbench.datasets.synthfaces.loader.canvas import Canvas, dull_colours
from lmbench.datasets.synthfaces.loader.identity import Identity
from lmbench.datasets.synthfaces.loader.sitting import Patches, Sitting, sheet_patches
from lmbench.datasets.synthfaces.loader.skin import paint_skin
from lmbench.datasets.synthfaces.loader.template import HEIGHT_KNOTS, LEFT, RIGHT

SUNGLASSES_SHARE: Final = 0.06  # of images; clear glasses belong to the identity


def paint_person(canvas: Canvas, sitting: Sitting, rng: np.random.Generator) -> None:
    """Paint all of a person, with the colours of clothes and glasses from `rng`."""
    hair, ears = _hair_sheets(sitting), _ears(sitting)
    for patches, colours in hair:
        patches.paint(canvas, 0.6 * colours, ~patches.facing)
    _paint_body(canvas, sitting, rng)
    for outlines, colours, _ in ears:
        canvas.polygons(outlines, colours)
    paint_skin(canvas, sitting, rng)
    for outlines, colours, outside in ears:
        if outside:
            canvas.polygons(outlines, colours)
    for patches, colours in hair:
        patches.paint(canvas, colours, patches.facing, covers=True)
    _paint_glasses(canvas, sitting, rng)


EAR_SIDES: Final = np.array([LEFT, RIGHT])
EAR_AXES: Final = np.array([(0.10, 0.0, -0.12), (0.02, 0.25, -0.04)])  # right ear: across and down
EAR: Final = np.stack([(CIRCLE + [0.55, 0]) @ EAR_AXES, (0.6 * CIRCLE + [0.6, 0]) @ EAR_AXES])  # rim, hollow
EAR_TONES: Final = np.array([[0.95], [0.72]])


def _ears(sitting: Sitting) -> list[tuple[Array, Array, bool]]:
    """Return, for both ears, outlines (2, 20, 2), colours (2, 3) and whether the outer side is seen."""
    bases = sitting.surface.points(EAR_SIDES * 1.62, np.full(2, 0.12))
    ears = []
    for side, base in zip(EAR_SIDES, bases, strict=True):
        normal = sitting.camera.to_view(np.array([0.97 * side, 0, 0.1]))
        outlines = sitting.pixels(base + EAR * [side, 1, 1])
        colour = sitting.identity.skin * sitting.light.shade(normal)
        ears.append((outlines, colour * EAR_TONES, bool(normal[2] > 0)))
    return ears


def _paint_body(canvas: Canvas, sitting: Sitting, rng: np.random.Generator) -> None:
    clothes = dull_colours(rng).astype(float)
    neck = sitting.turned((0, 0.7, -0.2)) * 0.73  # the body stands upright whatever the head does
    slope = rng.uniform(0.1, 0.45)
    shoulders = np.array([(-0.42, 0.75), (0.42, 0.75), (1.5, 0.75 + slope), (1.7, 4), (-1.7, 4), (-1.5, 0.75 + slope)])
    throat = np.array([(-0.44, 0), (0.44, 0), (0.46, 0.95), (0.0, 1.15), (-0.46, 0.95)])
    for outline, colour in ((shoulders, clothes), (throat, 0.72 * sitting.identity.skin)):
        view = neck + np.insert(outline, 2, -0.1, axis=1)
        shade = sitting.light.shade(np.array([0.0, 0.0, 1.0]))
        canvas.polygon(sitting.camera.project(view)[0], colour * shade)


HAIR_THETA: Final = np.linspace(-np.pi, np.pi, 33)
HAIR_ROWS: Final = np.array([[0.0], [0.05], [0.16], [0.38], [0.68], [1.0]])  # closer where the skull is round
CURTAIN_FRONT: Final = 1.15  # angle at which long hair frames the face
SKULL_CENTRE: Final = np.array([0.0, -0.25, 0.0])


def _hair_sheets(sitting: Sitting) -> list[tuple[Patches, Array]]:
    """Return patches and colours (Q, 3) of the sheets of hair (or of a beanie) around the head."""
    if not sitting.identity.has_cap:
        return []
    sheets = [_cap(sitting)]
    if sitting.identity.hair_style in ("bob", "long"):
        sheets.append(_curtain(sitting))
    return [(sheet_patches(sitting, sheet), _hair_colours(sitting.identity, sheet)) for sheet in sheets]


HAIR_EDGE_THETA: Final = (0.0, 0.6, 0.9, 1.1, 1.3, 1.6, 2.0, np.pi)
HAIR_EDGE_V: Final = np.array([0.0, 0.02, 0.12, -0.28, 0.08, -0.14, 0.5, 0.85])  # the first three: from the hairline
LOCKS: Final = 0.02 * np.sin(37 * HAIR_THETA)


def _cap(sitting: Sitting) -> Array:
    """Return the sheet (M, N, 3), head coordinates, of the hair on the skull, or of a beanie."""
    identity = sitting.identity
    if identity.hair_style == "beanie":
        edge = 0.5 * (identity.hairline - 0.35) + 0.10 * (1 - np.cos(HAIR_THETA))
        volume = np.full_like(HAIR_ROWS, identity.hair_volume)
    else:
        edge = _hair_edge(identity)
        volume = identity.hair_volume * (1 - 0.7 * HAIR_ROWS**3)
    v = HEIGHT_KNOTS[0] + HAIR_ROWS * (edge - HEIGHT_KNOTS[0])
    points = sitting.surface.points(HAIR_THETA, v)
    return np.asarray(SKULL_CENTRE + (points - SKULL_CENTRE) * (1 + volume)[..., None])


def _hair_edge(identity: Identity) -> Array:
    """Return v at the lower edge of the hair for every HAIR_THETA: forehead, temples, ears, nape."""
    edge_v = HAIR_EDGE_V + identity.hairline * (np.arange(len(HAIR_EDGE_V)) < 3)
    edge = np.interp(np.abs(HAIR_THETA), HAIR_EDGE_THETA, edge_v)
    fringe = identity.hair_sweep * np.sin(1.4 * HAIR_THETA) + LOCKS
    return np.asarray(edge + np.where(np.abs(HAIR_THETA) < HAIR_EDGE_THETA[3], fringe, 0))


def _curtain(sitting: Sitting) -> Array:
    """Return the sheet (M, N, 3), head coordinates, of long hair beside and behind the face."""
    theta = np.linspace(CURTAIN_FRONT, 2 * np.pi - CURTAIN_FRONT, 25)
    rows = np.linspace(0, 1, 5)[:, None]
    radius = sitting.surface.radius(theta, np.full_like(theta, -0.35)) * (1 + sitting.identity.hair_volume)
    radius = radius * (1 + 0.10 * np.sin(2.5 * rows))
    y = np.broadcast_to(-0.6 + rows * (sitting.identity.hair_length + 0.6), radius.shape)
    return np.stack([radius * np.sin(theta), y, radius * np.cos(theta)], axis=-1)


def _hair_colours(identity: Identity, sheet: Array) -> Array:
    """Return a colour (Q, 3) for every patch of `sheet` (M, N, 3): strands run down its columns."""
    rows, columns = sheet.shape[0] - 1, sheet.shape[1] - 1
    strands = 1 + 0.08 * np.sin(2.4 * np.arange(columns)) - 0.08 * (np.arange(rows) == rows - 1)[:, None]
    return np.asarray(identity.hair * strands.reshape(-1, 1))


HIDDEN_ARM: Final = -0.2  # depth of the unit vector to an ear below which the head hides the arm of glasses
LENS: Final = np.sign(CIRCLE) * np.abs(CIRCLE) ** 0.6  # a rectangle with round corners


def _paint_glasses(canvas: Canvas, sitting: Sitting, rng: np.random.Generator) -> None:
    dark = rng.random() < SUNGLASSES_SHARE
    half_width, half_height, tone = rng.uniform([0.22, 0.15, 5], [0.29, 0.22, 90])
    shape = sitting.identity.shape
    if not (dark or sitting.identity.glasses):
        return
    frame, width = np.full(3, tone), 0.05 * sitting.camera.scale
    eye = sitting.surface.points(np.array([shape.eye_theta]), np.array([0.02]))[0] + [0.01, 0, 0.10]
    hinge, ear = eye + [half_width, -0.05, 0], [0.82 * shape.width, -0.04, -0.05]
    bent = -0.25 * np.maximum(LENS[:, :1], 0) * half_width  # the outer half follows the face
    lens = eye + np.hstack([LENS * [half_width, half_height], bent])
    for side in (LEFT, RIGHT):
        if sitting.turned((side, 0, 0.1))[2] > HIDDEN_ARM:
            canvas.line(sitting.pixels(np.array([hinge, ear]) * [side, 1, 1]), frame, width)
        outline = sitting.pixels(lens * [side, 1, 1])
        if dark:
            canvas.polygon(outline, 0.6 * frame, covers=True)
        canvas.line(np.concatenate([outline, outline[:1]]), frame, width)
    bridge = eye - [half_width, 0.05, 0]
    canvas.line(sitting.pixels(np.array([bridge, bridge * [-1, 1, 1]])), frame, width)
