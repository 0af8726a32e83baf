"""Who a synthetic face is and what it does: geometry, colours, hair, expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lmbench.datasets.synthfaces.loader.arrays import Array
from lmbench.datasets.synthfaces.loader.template import HEIGHT_KNOTS, Expression, Shape

SKIN_TONES: Final = np.array([
    (250, 218, 194), (232, 187, 152), (206, 150, 112), (158, 106, 74), (112, 74, 54),
], float)  # fmt: skip
HAIR_COLOURS: Final = np.array([
    (22, 18, 18), (48, 32, 24), (84, 56, 36), (126, 84, 48), (206, 168, 104), (146, 62, 30), (168, 164, 160),
], float)  # fmt: skip
IRIS_COLOURS: Final = np.array([
    (60, 36, 22), (96, 62, 32), (84, 110, 70), (70, 110, 150), (100, 112, 118),
], float)  # fmt: skip
HAIR_STYLES: Final = ("bald", "buzz", "short", "swept", "fringe", "bob", "long", "beanie")
HAIR_SHARES: Final = (0.08, 0.12, 0.24, 0.16, 0.10, 0.10, 0.14, 0.06)


@dataclass(frozen=True)
class Identity:
    """One person: geometry, colours (3,) in 0..255, hair, beard and glasses."""

    shape: Shape
    skin: Array
    lips: Array
    hair: Array
    brows: Array
    iris: Array
    hair_style: str
    hairline: float  # v over the middle of the forehead
    hair_volume: float  # thickness, as a share of the distance from the head's centre
    hair_sweep: float  # asymmetry of the hairline, v
    hair_length: float  # v at which a curtain of hair ends
    beard: float  # 0 none .. 1 opaque
    glasses: bool

    @property
    def has_cap(self) -> bool:
        """Whether a sheet of hair (or a beanie) covers the skull."""
        return self.hair_style not in ("bald", "buzz")


def sample_identity(rng: np.random.Generator) -> Identity:
    """Return one person."""
    shape = sample_shape(rng)
    skin = _between(SKIN_TONES, rng.uniform(0, len(SKIN_TONES) - 1)) * rng.uniform(0.95, 1.03, 3)
    hair = HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))] * rng.uniform(0.8, 1.2)
    style = HAIR_STYLES[rng.choice(len(HAIR_STYLES), p=HAIR_SHARES)]
    dyed = style == "beanie" or rng.random() < 0.04
    red = np.array([rng.uniform(0.80, 1.0), rng.uniform(0.50, 0.74), rng.uniform(0.52, 0.78)])
    fringe = style == "fringe"
    return Identity(
        shape=shape,
        skin=np.minimum(skin, 255),
        lips=skin * red,
        hair=rng.uniform(20, 235, 3) if dyed else hair,
        brows=np.minimum(hair * 0.75, skin * 0.62),
        iris=IRIS_COLOURS[rng.integers(len(IRIS_COLOURS))],
        hair_style=style,
        hairline=rng.uniform(-0.42, -0.20) if fringe else rng.uniform(-0.78, -0.52),
        hair_volume=rng.uniform(0.06, 0.16),
        hair_sweep=rng.uniform(-0.22, 0.22) if style == "swept" else rng.uniform(-0.06, 0.06),
        hair_length=rng.uniform(0.5, 0.95) if style == "bob" else rng.uniform(1.1, 1.8),
        beard=rng.uniform(0.25, 0.9) if rng.random() < 0.22 else 0.0,
        glasses=bool(rng.random() < 0.16),
    )


def sample_shape(rng: np.random.Generator) -> Shape:
    """Return the geometry of one identity."""
    lengths = np.diff(HEIGHT_KNOTS) * rng.uniform([0.94, 0.88, 0.85, 0.88, 1.0], [1.08, 1.12, 1.18, 1.14, 1.0])
    below_eyes = np.cumsum(lengths[1:])
    return Shape(
        width=rng.uniform(0.90, 1.10),
        jaw=rng.uniform(0.86, 1.12),
        depth=rng.uniform(0.95, 1.06),
        height_knots=np.concatenate([[-lengths[0], 0.0], below_eyes]),
        nose_height=rng.uniform(0.75, 1.3),
        nose_width=rng.uniform(0.82, 1.3),
        eye_theta=rng.uniform(0.385, 0.45),
        eye_half_width=rng.uniform(0.18, 0.225),
        eye_half_height=rng.uniform(0.07, 0.105),
        eye_cant=rng.uniform(-0.012, 0.03),
        brow_v=rng.uniform(-0.215, -0.165),
        brow_thickness=rng.uniform(0.018, 0.045),
        brow_arch=rng.uniform(0.01, 0.06),
        mouth_half_width=rng.uniform(0.26, 0.36),
        upper_lip=rng.uniform(0.035, 0.075),
        lower_lip=rng.uniform(0.045, 0.085),
    )


def sample_expression(rng: np.random.Generator) -> Expression:
    """Return what a face does in one image: mostly mild, sometimes an open mouth, a blink or a wink."""
    brow = rng.uniform(-0.03, 0.10)
    opened = rng.uniform(0.0, 0.25) if rng.random() < 0.1 else rng.uniform(0.65, 1.15)
    wink = rng.random(2) < 0.02
    return Expression(
        mouth_open=rng.uniform(0.04, 0.28) if rng.random() < 0.45 else rng.uniform(0.0, 0.015),
        smile=rng.uniform(-0.5, 1.0),
        brow_raise=(brow + rng.uniform(-0.015, 0.015), brow + rng.uniform(-0.015, 0.015)),
        eye_open=(0.0 if wink[0] else opened, 0.0 if wink[1] else opened),
        gaze=(rng.uniform(-1, 1), rng.uniform(-1, 1)),
    )


def _between(colours: Array, position: float) -> Array:
    """Return the colour (3,) at a fractional `position` in the list `colours` (N, 3)."""
    lower = min(int(position), len(colours) - 2)
    return np.asarray(colours[lower] + (position - lower) * (colours[lower + 1] - colours[lower]))
