"""Pictures of `synthfaces`: procedural faces with exact landmarks, drawn from (split, index, seed) alone.

`render_face` samples a person, an expression and a camera (`synthfaces_template`) and paints, back to front:
background, hair behind the head, body, ears, skin, the features on the skin, nose, hair in front, glasses,
occluders. What is painted over a landmark makes it invisible; what is only drawn on the skin does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from lmbench.datasets.synthfaces_template import (
    EYES,
    HEIGHT_KNOTS,
    LANDMARK_NAMES,
    LEFT,
    RIGHT,
    SWAP_PAIRS,
    Array,
    Bools,
    Camera,
    Contours,
    Identity,
    Surface,
    circle,
    cross,
    sample_camera,
    sample_expression,
    sample_identity,
    trace_contours,
)

__all__ = [
    "EYES", "IMAGES_PER_IDENTITY", "LANDMARK_NAMES", "SIZE", "SPLIT_SIZES", "SWAP_PAIRS", "VERSION", "Face",
    "render_face",
]  # fmt: skip

VERSION: Final = "1"  # changes whenever any pixel or landmark changes
SIZE: Final = 96
SPLIT_SIZES: Final = {"train": 2000, "test": 500}
IMAGES_PER_IDENTITY: Final = 5

SUPERSAMPLING: Final = 2
IDENTITY_STREAM, IMAGE_STREAM = 0, 1  # of random numbers

SUNGLASSES_SHARE: Final = 0.06  # of images; clear glasses belong to the identity
OCCLUDER_SHARE: Final = 0.30


@dataclass(frozen=True)
class Face:
    """One image of `synthfaces`.

    image: (96, 96, 3) uint8, RGB. landmarks: (15, 2) float32, pixels, x before y, first pixel centre = 0, in
    the order of LANDMARK_NAMES; exact also where `visible` (15,) is False, which it is for points behind the
    head or nose, under hair in front, dark glasses or an occluder, and outside the image. A closed lid or the
    frame of clear glasses hides nothing. identity: number of the person, unique over both splits.
    """

    image: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float32]
    visible: Bools
    identity: int


def render_face(split: str, index: int, seed: int = 0) -> Face:
    """Return image `index` of `split` ("train", "test"); equal arguments give equal bits on one machine.

    `seed` (>= 0) names the whole dataset: another seed gives other people. Raises ValueError for an unknown
    split, IndexError for an index outside it.
    """
    identity_number = _identity_number(split, index)
    identity = _identity(seed, identity_number)
    rng = _generator(seed, IMAGE_STREAM, identity_number, index)
    expression = sample_expression(rng)
    surface = Surface(identity.shape, expression)
    contours = trace_contours(identity.shape, expression)
    traced = surface.points(*np.concatenate([contours.landmarks, *contours.polygons.values()]).T)
    marks, outlines = traced[: len(LANDMARK_NAMES)], traced[len(LANDMARK_NAMES) :]
    camera = sample_camera(rng, marks, SIZE)
    landmarks, _ = camera.project(camera.to_view(marks))

    canvas = Canvas(_background(rng))
    _paint_person(canvas, Sitting(identity, surface, contours, outlines, camera, _sample_light(rng)), rng)
    _paint_occluder(canvas, identity, camera.scale, landmarks, rng)

    inside = ((landmarks > -0.5) & (landmarks < SIZE - 0.5)).all(axis=1)
    visible = inside & ~surface.hides(marks, camera) & ~canvas.covers(landmarks)
    image = _degrade(canvas.reduced(), rng)
    return Face(image, landmarks.astype(np.float32), visible, identity_number)


def _identity_number(split: str, index: int) -> int:
    if split not in SPLIT_SIZES:
        raise ValueError(f"synthfaces: expected split {' or '.join(map(repr, SPLIT_SIZES))}, found {split!r}")
    if not 0 <= index < SPLIT_SIZES[split]:
        raise IndexError(f"synthfaces: {split} has images 0..{SPLIT_SIZES[split] - 1}, found index {index}")
    offset = 0 if split == "train" else SPLIT_SIZES["train"] // IMAGES_PER_IDENTITY
    return offset + index // IMAGES_PER_IDENTITY


@lru_cache(maxsize=16)  # neighbouring images show one person
def _identity(seed: int, number: int) -> Identity:
    return sample_identity(_generator(seed, IDENTITY_STREAM, number))


def _generator(*key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(key))


class Canvas:
    """A supersampled picture that remembers which areas were painted over the face."""

    def __init__(self, background: Image.Image) -> None:
        # Nearest neighbour: reducing gives back exactly the background where nothing is painted.
        size = (SIZE * SUPERSAMPLING, SIZE * SUPERSAMPLING)
        self._image = background.resize(size, Image.Resampling.NEAREST)
        self._draw = ImageDraw.Draw(self._image)
        self._covers: list[Array] = []

    def polygons(self, outlines: Array, colours: Array, covers: bool = False) -> None:
        """Fill `outlines` (Q, N, 2), pixels, with `colours` (Q, 3); `covers`: they hide landmarks below."""
        corners = self._grid(outlines).reshape(len(outlines), -1).tolist()
        for corner, ink in zip(corners, _inks(colours), strict=True):
            self._draw.polygon(corner, ink)
        if covers:
            self._covers.append(outlines)

    def polygon(self, outline: Array, colour: Array, covers: bool = False) -> None:
        """Fill one `outline` (N, 2), pixels, with `colour` (3,)."""
        self.polygons(outline[None], colour[None], covers)

    def line(self, path: Array, colour: Array, width: float) -> None:
        """Draw `path` (N, 2), pixels, `width` pixels wide."""
        ink = _inks(colour[None])[0]
        thick = max(1, round(width * SUPERSAMPLING))
        self._draw.line(self._grid(path).ravel().tolist(), fill=ink, width=thick, joint="curve")

    def covers(self, points: Array) -> Bools:
        """Return which of `points` (L, 2), pixels, lie under a polygon that covers."""
        hidden = np.zeros(len(points), dtype=bool)
        for outlines in self._covers:
            hidden |= _inside(points, outlines)
        return hidden

    def reduced(self) -> Image.Image:
        """Return the picture at its final size."""
        return self._image.reduce(SUPERSAMPLING)

    def _grid(self, points: Array) -> npt.NDArray[np.int64]:
        # Pillow truncates corners to whole pixels: rounding first keeps shapes centred.
        return np.floor(points * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2 + 0.5).astype(np.int64)


def _inks(colours: Array) -> list[int]:
    """Return `colours` (Q, 3), 0 and more, as Pillow packs them: faster to draw with than tuples."""
    packed: list[int] = (np.minimum(colours, 255).astype(np.int64) @ [1, 1 << 8, 1 << 16]).tolist()
    return packed


def _inside(points: Array, outlines: Array) -> Bools:
    """Return which of `points` (L, 2) lie inside any of `outlines` (Q, N, 2), by the even-odd rule."""
    x, y = points[:, None, None, 0], points[:, None, None, 1]
    x0, y0 = outlines[..., 0], outlines[..., 1]
    following = outlines[:, [*range(1, outlines.shape[1]), 0]]
    x1, y1 = following[..., 0], following[..., 1]
    straddles = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    crossings = straddles & (x < x0 + (y - y0) * (x1 - x0) / rise)
    return np.asarray((crossings.sum(axis=2) % 2 == 1).any(axis=1))


@dataclass(frozen=True)
class Light:
    """A lamp and its surroundings; `shade` gives the factor by which a colour is multiplied."""

    direction: Array  # (3,), unit, from the face to the lamp, view coordinates
    ambient: float
    diffuse: float
    tint: Array  # (3,)

    def shade(self, normals: Array) -> Array:
        """Return factors (..., 3) for unit `normals` (..., 3) in view coordinates."""
        lit = self.ambient + self.diffuse * np.maximum(normals @ self.direction, 0)
        return np.asarray(lit[..., None] * self.tint)


def _sample_light(rng: np.random.Generator) -> Light:
    azimuth, height = rng.uniform(-1.3, 1.3), rng.uniform(-0.3, 1.1)
    direction = [np.sin(azimuth) * np.cos(height), -np.sin(height), np.cos(azimuth) * np.cos(height)]
    ambient = rng.uniform(0.38, 0.85)
    return Light(np.array(direction), ambient, rng.uniform(1.0, 1.22) - ambient, rng.uniform(0.92, 1.06, 3))


@dataclass(frozen=True)
class Sitting:
    """One person in front of one camera."""

    identity: Identity
    surface: Surface
    contours: Contours
    outlines: Array  # (N, 3), the polygons of `contours` one after the other, head coordinates
    camera: Camera
    light: Light

    def pixels(self, points: Array) -> Array:
        """Return pixels (..., 2) of `points` (..., 3) in head coordinates."""
        return self.camera.project(self.camera.to_view(points))[0]

    def turned(self, normal: Iterable[float]) -> Array:
        """Return the unit vector (3,) along `normal`, given in head coordinates, in view coordinates."""
        vector = self.camera.to_view(np.array(list(normal), dtype=float))
        return np.asarray(vector / np.linalg.norm(vector))


@dataclass(frozen=True)
class Patches:
    """Quadrilaterals of a curved sheet, seen by the camera."""

    outlines: Array  # (Q, 4, 2), pixels
    depth: Array  # (Q,), larger = nearer
    facing: Bools  # (Q,), outer side towards the viewer
    shade: Array  # (Q, 3)

    def paint(self, canvas: Canvas, colours: Array, which: Bools, covers: bool = False) -> None:
        """Paint the patches `which` (Q,) in shaded `colours` (Q, 3), far ones first."""
        chosen = np.flatnonzero(which)
        chosen = chosen[np.argsort(self.depth[chosen], kind="stable")]
        canvas.polygons(self.outlines[chosen], colours[chosen] * self.shade[chosen], covers)


def _patches(sitting: Sitting, sheet: Array) -> Patches:
    """Return the quadrilaterals of `sheet` (M, N, 3), rows downwards, columns towards growing theta."""
    view = sitting.camera.to_view(sheet)
    pixels, _ = sitting.camera.project(view)
    down, across = view[1:, 1:] - view[:-1, :-1], view[:-1, 1:] - view[1:, :-1]
    normals = cross(across, down).reshape(-1, 3)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    outlines = np.stack([pixels[:-1, :-1], pixels[:-1, 1:], pixels[1:, 1:], pixels[1:, :-1]], axis=2)
    outlines = outlines.reshape(-1, 4, 2)
    p, q = outlines[:, 2] - outlines[:, 0], outlines[:, 1] - outlines[:, 3]
    depth = (view[:-1, :-1, 2] + view[1:, 1:, 2]).ravel() / 2
    return Patches(outlines, depth, q[:, 0] * p[:, 1] > q[:, 1] * p[:, 0], sitting.light.shade(normals))


def _paint_person(canvas: Canvas, sitting: Sitting, rng: np.random.Generator) -> None:
    hair, ears = _hair_sheets(sitting), _ears(sitting)
    for patches, colours in hair:
        patches.paint(canvas, 0.6 * colours, ~patches.facing)
    _paint_body(canvas, sitting, rng)
    for outlines, colours, _ in ears:
        canvas.polygons(outlines, colours)
    _paint_skin(canvas, sitting, rng)
    for outlines, colours, outside in ears:
        if outside:
            canvas.polygons(outlines, colours)
    for patches, colours in hair:
        patches.paint(canvas, colours, patches.facing, covers=True)
    _paint_glasses(canvas, sitting, rng)


# --- skin and the features on it ---

# Finer where the relief is: around the nose and between brows and chin.
SKIN_THETA: Final = np.concatenate([
    np.linspace(-np.pi, -1.7, 4)[:-1], np.linspace(-1.7, -0.48, 7)[:-1], np.linspace(-0.48, 0.48, 13)[:-1],
    np.linspace(0.48, 1.7, 7)[:-1], np.linspace(1.7, np.pi, 4),
])  # fmt: skip
SKIN_V: Final = np.concatenate([
    [-1.24, -1.21, -1.13, -1.0, -0.82, -0.62, -0.42], np.linspace(-0.25, 0.3, 7)[:-1],
    np.linspace(0.3, 0.56, 7)[:-1], np.linspace(0.56, HEIGHT_KNOTS[-1], 7),
])  # fmt: skip
GRID_THETA, GRID_V = np.meshgrid(SKIN_THETA, SKIN_V)
PATCH_THETA: Final = ((GRID_THETA[1:, 1:] + GRID_THETA[:-1, :-1]) / 2).ravel()
PATCH_V: Final = ((GRID_V[1:, 1:] + GRID_V[:-1, :-1]) / 2).ravel()
# Painted after eyes and mouth. Narrow at the bridge: the inner corners of the eyes start beside it.
NOSE_PATCHES: Final = (
    (np.abs(PATCH_THETA) < np.interp(PATCH_V, [-0.1, 0.08, 0.22], [0.10, 0.12, 0.34]))
    & (PATCH_V > -0.1)
    & (PATCH_V < 0.54)
)


def _spot(theta: float, spread: float, v: float, spread_v: float) -> Array:
    """Return a soft spot (Q,), 0..1, on both sides of the skin's patches."""
    return np.asarray(
        np.exp(-(((np.abs(PATCH_THETA) - theta) / spread) ** 2) - ((PATCH_V - v) / spread_v) ** 2)
    )


# What is dark because little light reaches it, and where blood shows.
HOLLOWS: Final = (
    1
    - 0.20 * _spot(0.36, 0.18, 0.0, 0.10)
    - 0.30 * _spot(0.0, 0.20, 0.50, 0.035)
    - 0.16 * _spot(0.0, 0.22, 0.82, 0.04)
    - 0.12 * _spot(0.26, 0.05, 0.44, 0.06)
    - 0.40 * np.clip((PATCH_V - 1.08) / 0.08, 0, 1)
)
BLUSH: Final = _spot(0.6, 0.25, 0.32, 0.15) + _spot(0.0, 0.14, 0.38, 0.08)
BEARD_EDGE: Final = 0.55 - 0.5 * np.clip(np.abs(PATCH_THETA) - 0.35, 0, 0.9) / 0.9
BEARD: Final = np.clip((PATCH_V - BEARD_EDGE) / 0.09, 0, 1) * np.clip((1.5 - np.abs(PATCH_THETA)) / 0.2, 0, 1)
SCALP_EDGE: Final = np.interp(np.abs(PATCH_THETA), [0, 0.7, 1.1, 1.5, 2.2], [-0.62, -0.6, -0.2, 0.1, 0.7])
SCALP: Final = np.clip((SCALP_EDGE - PATCH_V) / 0.06, 0, 1)


def _skin_colours(identity: Identity, rng: np.random.Generator) -> Array:
    colours = identity.skin * (1 - BLUSH[:, None] * [0, 0.10, 0.10])
    colours *= (HOLLOWS * rng.uniform(0.985, 1.015, HOLLOWS.shape))[:, None]
    if identity.beard:
        colours += identity.beard * BEARD[:, None] * (identity.brows - colours)
    if identity.hair_style == "buzz":
        colours += 0.8 * SCALP[:, None] * (identity.hair - colours)
    return colours


def _paint_skin(canvas: Canvas, sitting: Sitting, rng: np.random.Generator) -> None:
    identity = sitting.identity
    skin = _patches(sitting, sitting.surface.points(SKIN_THETA, SKIN_V[:, None]))
    colours = _skin_colours(identity, rng)
    bare = PATCH_V > (identity.hairline - 0.3 if _has_cap(identity) else -np.inf)  # not deep under hair
    features = _seen_features(sitting, skin)
    skin.paint(canvas, colours, skin.facing & bare & ~NOSE_PATCHES)
    _paint_features(canvas, features, _colours_under_nose(identity))
    skin.paint(canvas, colours, skin.facing & NOSE_PATCHES)  # hides what lies behind the nose
    nostril = 0.45 * identity.skin
    _paint_features(canvas, features, {"left_nostril": nostril, "right_nostril": nostril})


def _paint_features(
    canvas: Canvas, features: dict[str, tuple[Array, Array]], colours: dict[str, Array]
) -> None:
    """Paint those of `features` that have one of `colours`, in the order of `colours`."""
    for name, colour in colours.items():
        if name in features:
            outline, shade = features[name]
            canvas.polygon(outline, colour * shade)


def _seen_features(sitting: Sitting, skin: Patches) -> dict[str, tuple[Array, Array]]:
    """Return outline (N, 2), pixels, and shade (3,) of every feature on patches of `skin` that are seen."""
    polygons = sitting.contours.polygons
    theta, v = np.concatenate(list(polygons.values())).T
    rows, columns = np.searchsorted(SKIN_V, v) - 1, np.searchsorted(SKIN_THETA, theta) - 1
    below = rows * (len(SKIN_THETA) - 1) + columns
    facing, shade, pixels = skin.facing[below], skin.shade[below], sitting.pixels(sitting.outlines)
    seen = {}
    start = 0
    for name, polygon in polygons.items():
        corners = start + np.flatnonzero(facing[start : start + len(polygon)])
        start += len(polygon)
        if len(corners) > 2:
            seen[name] = (pixels[corners], shade[corners].sum(axis=0) / len(corners))
    return seen


def _colours_under_nose(identity: Identity) -> dict[str, Array]:
    """Return the colours (3,) of all features that the nose may hide, in the order of painting."""
    colours: dict[str, Array] = {}
    for side in ("left", "right"):
        colours[f"{side}_socket"] = 0.82 * identity.skin
        colours[f"{side}_white"] = np.array([236.0, 232.0, 228.0])
        colours[f"{side}_iris"] = identity.iris
        colours[f"{side}_pupil"] = np.array([12.0, 10.0, 12.0])
        colours[f"{side}_lash"] = 0.25 * identity.skin
        colours[f"{side}_brow"] = identity.brows
    colours["mouth"] = np.array([70.0, 22.0, 26.0])
    colours["teeth"] = np.array([232.0, 226.0, 214.0])
    colours["upper_lip"] = 0.88 * identity.lips
    colours["lower_lip"] = identity.lips
    return colours


# --- what surrounds the face ---

CIRCLE: Final = circle(20)


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
    clothes = _dull_colours(rng).astype(float)
    neck = sitting.turned((0, 0.7, -0.2)) * 0.73  # the body stands upright whatever the head does
    slope = rng.uniform(0.1, 0.45)
    shoulders = np.array(
        [(-0.42, 0.75), (0.42, 0.75), (1.5, 0.75 + slope), (1.7, 4), (-1.7, 4), (-1.5, 0.75 + slope)]
    )
    throat = np.array([(-0.44, 0), (0.44, 0), (0.46, 0.95), (0.0, 1.15), (-0.46, 0.95)])
    for outline, colour in ((shoulders, clothes), (throat, 0.72 * sitting.identity.skin)):
        view = neck + np.insert(outline, 2, -0.1, axis=1)
        shade = sitting.light.shade(np.array([0.0, 0.0, 1.0]))
        canvas.polygon(sitting.camera.project(view)[0], colour * shade)


HAIR_THETA: Final = np.linspace(-np.pi, np.pi, 33)
HAIR_ROWS: Final = np.array([[0.0], [0.05], [0.16], [0.38], [0.68], [1.0]])  # closer where the skull is round
CURTAIN_FRONT: Final = 1.15  # angle at which long hair frames the face
SKULL_CENTRE: Final = np.array([0.0, -0.25, 0.0])


def _has_cap(identity: Identity) -> bool:
    return identity.hair_style not in ("bald", "buzz")


def _hair_sheets(sitting: Sitting) -> list[tuple[Patches, Array]]:
    """Return patches and colours (Q, 3) of the sheets of hair (or of a beanie) around the head."""
    if not _has_cap(sitting.identity):
        return []
    sheets = [_cap(sitting)]
    if sitting.identity.hair_style in ("bob", "long"):
        sheets.append(_curtain(sitting))
    return [(_patches(sitting, sheet), _hair_colours(sitting.identity, sheet)) for sheet in sheets]


HAIR_EDGE_THETA: Final = (0.0, 0.6, 0.9, 1.1, 1.3, 1.6, 2.0, np.pi)
HAIR_EDGE_V: Final = np.array(
    [0.0, 0.02, 0.12, -0.28, 0.08, -0.14, 0.5, 0.85]
)  # the first three: from the hairline
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


# --- occluders ---


def _paint_occluder(
    canvas: Canvas, identity: Identity, scale: float, landmarks: Array, rng: np.random.Generator
) -> None:
    """Paint something over a random landmark in some images; `scale` is pixels a unit."""
    if rng.random() > OCCLUDER_SHARE:
        return
    target = landmarks[rng.integers(len(landmarks))] + rng.normal(0, 3, 2)
    kind = rng.integers(4)
    if kind == 0:
        _paint_hand(canvas, identity.skin, scale, target, rng)
    elif kind == 1:
        _paint_card(canvas, scale, target, rng)
    elif kind == 2:
        _paint_blob(canvas, scale, target, rng)
    else:
        _paint_strands(canvas, identity.hair, scale, target, rng)


def _capsule(start: Array, end: Array, width: float) -> Array:
    """Return the outline (20, 2) of a bar with round ends."""
    along = (end - start) / np.linalg.norm(end - start)
    axes = np.array([along, [-along[1], along[0]]]) * width / 2
    return np.asarray(np.where(CIRCLE[:, :1] >= 0, end, start) + CIRCLE @ axes)


def _paint_hand(canvas: Canvas, skin: Array, scale: float, target: Array, rng: np.random.Generator) -> None:
    angle = rng.uniform(0, 2 * np.pi)
    back = np.array([np.cos(angle), np.sin(angle)]) * scale  # from the finger tips to the arm
    aside = np.array([-back[1], back[0]])
    colour = skin * rng.uniform(0.6, 1.05)
    palm = target + 0.75 * back
    canvas.polygon(_capsule(palm, palm + 1.6 * back, 0.62 * scale), 0.9 * colour, covers=True)
    for finger in range(4):
        offset = (finger - 1.5) * 0.17
        root = palm + offset * aside
        tip = palm + 1.25 * offset * aside - (0.75 - 0.12 * abs(finger - 1.3)) * back
        canvas.polygon(_capsule(root, tip, 0.19 * scale), 0.8 * colour, covers=True)
        canvas.polygon(_capsule(root, tip, 0.14 * scale), (1.0 - 0.03 * finger) * colour)


def _paint_card(canvas: Canvas, scale: float, target: Array, rng: np.random.Generator) -> None:
    angle, half = rng.uniform(0, np.pi), rng.uniform(0.12, 0.55, 2) * scale
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    card = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half @ turn
    edge, face = _dull_colours(rng, 2).astype(float)
    canvas.polygon(target + card, edge, covers=True)
    canvas.polygon(target + 0.7 * card, face)


def _paint_blob(canvas: Canvas, scale: float, target: Array, rng: np.random.Generator) -> None:
    wobble = 1 + 0.25 * np.sin(np.arange(len(CIRCLE)) * np.pi / 10 * rng.integers(2, 5) + rng.uniform(0, 6))
    outline = CIRCLE * wobble[:, None] * rng.uniform(0.15, 0.5, 2) * scale
    canvas.polygon(target + outline, _dull_colours(rng).astype(float), covers=True)


def _paint_strands(
    canvas: Canvas, hair: Array, scale: float, target: Array, rng: np.random.Generator
) -> None:
    t = np.linspace(0, 1, 8)
    for _ in range(rng.integers(3, 9)):
        start, end = target + scale * (rng.normal(0, 0.25, 2) + [[0, -0.9], [0, 0.6]])
        path = start + t[:, None] * (end - start)
        path[:, 0] += rng.uniform(-0.25, 0.25) * scale * np.sin(np.pi * t)
        half = np.outer(rng.uniform(0.015, 0.05) * scale * (1 - 0.7 * t), [1, 0])
        outline = np.concatenate([path - half, (path + half)[::-1]])
        canvas.polygon(outline, hair * rng.uniform(0.7, 1.2), covers=True)


# --- background and degradation ---


def _background(rng: np.random.Generator) -> Image.Image:
    """Return a cluttered picture without a face: colour field, texture, shapes, sometimes out of focus."""
    size = (SIZE, SIZE)
    cells = int(rng.integers(2, 6))
    image = Image.fromarray(_dull_colours(rng, cells, cells)).resize(size, Image.Resampling.BICUBIC)
    _paint_clutter(ImageDraw.Draw(image), rng)
    if rng.random() < 0.6:
        image = _textured(image, rng)
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.5, 4))))
    return image


def _dull_colours(rng: np.random.Generator, *shape: int) -> npt.NDArray[np.uint8]:
    """Return random colours (*shape, 3), most of them greyish or brownish, as in photographs."""
    grey = rng.uniform(10, 240, (*shape, 1))
    chroma = rng.uniform(0, 60) * rng.standard_normal((*shape, 3)) + rng.uniform(-10, 30) * np.array(
        [1, 0, -1]
    )
    return np.clip(grey + chroma, 0, 255).astype(np.uint8)


def _paint_clutter(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    count = int(rng.integers(0, 14))
    boxes = rng.uniform([-20, -20, 3, 3], [SIZE, SIZE, 45, 45], (count, 4)).tolist()
    inks = _inks(_dull_colours(rng, count).astype(float))
    for (x, y, width, height), ink, kind in zip(
        boxes, inks, rng.integers(4, size=count).tolist(), strict=True
    ):
        if kind == 0:
            draw.rectangle((x, y, x + width, y + height), ink)
        elif kind == 1:
            draw.ellipse((x, y, x + width, y + height), ink)
        elif kind == 2:
            draw.line((x, y, x + 4 * width - 60, y + 4 * height - 60), ink, 1 + int(width) // 8)
        else:
            draw.polygon(
                (x, y, x + width, y + height / 2, x + height, y + width, x - width / 2, y + height), ink
            )


def _textured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    rows, columns = rng.integers(4, 97, 2).tolist()
    grain = Image.fromarray(rng.integers(0, 256, (rows, columns), dtype=np.uint8))
    grain = grain.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return Image.blend(image, Image.merge("RGB", (grain, grain, grain)), float(rng.uniform(0.05, 0.45)))


def _degrade(image: Image.Image, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return `image` (96, 96, 3) as a poor camera stores it: focus, exposure, compression, noise."""
    if rng.random() < 0.35:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.9))))
    pixels = np.take(_exposure(rng), np.asarray(image) + CHANNEL_ROWS)
    if rng.random() < 0.3:
        pixels = _compressed(pixels, float(rng.uniform(6, 26)))
    grain = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    strength = np.float32(rng.uniform(0.5, 8) / 73.9)  # a random byte's standard deviation
    pixels = pixels + strength * (grain - np.float32(127.5))
    return np.asarray(np.clip(pixels, 0, 255), dtype=np.uint8)


GREY_LEVELS: Final = np.linspace(0, 1, 256)
CHANNEL_ROWS: Final = np.array([0, 256, 512])  # where a channel's table starts


def _exposure(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return lookup tables (3 * 256,) of gain, gamma and colour cast for the three channels."""
    level = GREY_LEVELS ** rng.uniform(0.75, 1.2)
    gain = rng.uniform(0.75, 1.15) * rng.uniform(0.92, 1.08, 3)
    table = rng.uniform(0, 25) + level * gain[:, None] * 255
    return np.minimum(table, 255).astype(np.float32).ravel()


ORDER: Final = np.arange(8)
DCT: Final = (
    np.cos((2 * ORDER + 1) * ORDER[:, None] * np.pi / 16) * np.where(ORDER == 0, 1 / 8, 2 / 8)[:, None] ** 0.5
).astype(np.float32)
COARSENESS: Final = (1 + 0.6 * (ORDER + ORDER[:, None])).astype(np.float32)


def _compressed(pixels: npt.NDArray[np.float32], step: float) -> npt.NDArray[np.float32]:
    """Return `pixels` (96, 96, 3) with the cosine coefficients of 8x8 blocks rounded, as JPEG does.

    Not JPEG itself: its decoders differ in the last bit, and every pixel of this dataset is promised.
    """
    blocks = pixels.reshape(SIZE // 8, 8, SIZE // 8, 8, 3).transpose(0, 2, 4, 1, 3)
    steps = np.float32(step) * COARSENESS
    coefficients = np.rint(DCT @ blocks @ DCT.T / steps) * steps
    restored = DCT.T @ coefficients @ DCT
    return np.ascontiguousarray(restored.transpose(0, 3, 1, 4, 2).reshape(SIZE, SIZE, 3))
