"""The skin of a synthetic face and the features on it."""

from __future__ import annotations

from typing import Final

import numpy as np

from lmbench.datasets.synthfaces.loader.arrays import Array
from lmbench.datasets.synthfaces.loader.canvas import Canvas
from lmbench.datasets.synthfaces.loader.identity import Identity
from lmbench.datasets.synthfaces.loader.sitting import Patches, Sitting, sheet_patches
from lmbench.datasets.synthfaces.loader.template import HEIGHT_KNOTS

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
    return np.asarray(np.exp(-(((np.abs(PATCH_THETA) - theta) / spread) ** 2) - ((PATCH_V - v) / spread_v) ** 2))


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


def paint_skin(canvas: Canvas, sitting: Sitting, rng: np.random.Generator) -> None:
    """Paint the skin, the features on it, and the nose over what lies behind it."""
    identity = sitting.identity
    skin = sheet_patches(sitting, sitting.surface.points(SKIN_THETA, SKIN_V[:, None]))
    colours = _skin_colours(identity, rng)
    under_hair = identity.hairline - 0.3 if identity.has_cap else -np.inf
    bare = under_hair < PATCH_V
    features = _seen_features(sitting, skin)
    skin.paint(canvas, colours, skin.facing & bare & ~NOSE_PATCHES)
    _paint_features(canvas, features, _colours_under_nose(identity))
    skin.paint(canvas, colours, skin.facing & NOSE_PATCHES)  # hides what lies behind the nose
    nostril = 0.45 * identity.skin
    _paint_features(canvas, features, {"left_nostril": nostril, "right_nostril": nostril})


def _paint_features(canvas: Canvas, features: dict[str, tuple[Array, Array]], colours: dict[str, Array]) -> None:
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
