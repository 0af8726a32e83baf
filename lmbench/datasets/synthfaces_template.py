"""The posed 3-D face of `synthfaces`: who it is, what it does, and where its landmarks are.

The head is a surface in cylindrical coordinates around its vertical axis: a point is named by its angle
`theta` (radians; 0 = straight ahead, positive = image right on a frontal face) and its canonical height `v`
(0 = eye line, positive = down). An identity or an expression changes where a surface point lies in space,
never its name, so that a nose tip is (0, 0.40) on every face.

Convention: x right, y down, z towards the viewer; one unit is 10 cm. "Left" is image left on a frontal face.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Range: TypeAlias = tuple[float, float]

LANDMARK_NAMES: Final = (
    "left_eye", "right_eye", "left_eye_outer", "left_eye_inner", "right_eye_inner", "right_eye_outer",
    "left_brow", "right_brow", "nose_tip", "nose_bridge", "left_mouth", "right_mouth",
    "upper_lip", "lower_lip", "chin",
)  # fmt: skip
EYES: Final = (0, 1)
SWAP_PAIRS: Final = ((0, 1), (2, 5), (3, 4), (6, 7), (10, 11))
LEFT, RIGHT = -1, 1

EYE_V, NOSE_TIP_V, MOUTH_V, CHIN_V = 0.0, 0.40, 0.66, 1.07
HEIGHT_KNOTS: Final = np.array(
    [-1.24, EYE_V, 0.46, MOUTH_V, 1.08, 1.20]
)  # top, eyes, nose base, mouth, chin, end

# Half width, depth in front of the axis and depth behind it, by canonical height.
PROFILE_V: Final = np.array(
    [-1.24, -1.18, -1.08, -0.92, -0.70, -0.40, 0.0, 0.35, 0.66, 0.90, 1.05, 1.14, 1.20]
)
HALF_WIDTH: Final = np.array([0.02, 0.26, 0.45, 0.61, 0.71, 0.755, 0.75, 0.72, 0.65, 0.54, 0.42, 0.27, 0.02])
FRONT_DEPTH: Final = np.array([0.02, 0.30, 0.50, 0.67, 0.80, 0.86, 0.82, 0.82, 0.83, 0.80, 0.75, 0.55, 0.02])
BACK_DEPTH: Final = np.array([0.02, 0.32, 0.58, 0.82, 1.00, 1.08, 1.02, 0.90, 0.75, 0.60, 0.45, 0.30, 0.02])
JAW_CLIMB: Final = 0.30  # how far the lower edge of the head rises from the chin to the ears

# Soft bumps and dents on both sides of the face: |theta|, its width, v, its width, height.
BUMPS: Final = np.array([
    (0.40, 0.19, 0.02, 0.13, -0.060),  # eye socket
    (0.30, 0.30, -0.20, 0.08, 0.030),  # brow ridge
    (0.58, 0.22, 0.26, 0.15, 0.045),  # cheekbone
    (0.21, 0.07, 0.43, 0.055, 0.070),  # nostril wing
    (0.00, 0.32, 0.66, 0.10, 0.055),  # lips
    (0.00, 0.30, 0.83, 0.06, -0.030),  # dent under the lower lip
    (0.00, 0.28, 1.00, 0.10, 0.060),  # chin
])  # fmt: skip
WING = 3

NOSE_V: Final = np.array([-0.14, -0.03, 0.18, 0.34, NOSE_TIP_V, 0.455, 0.50, 0.54])
NOSE_HEIGHT: Final = np.array([0.0, 0.05, 0.145, 0.245, 0.285, 0.215, 0.04, 0.0])
NOSE_WIDTH: Final = np.array([0.10, 0.095, 0.105, 0.14, 0.16, 0.17, 0.18, 0.18])

OCCLUSION_STEPS: Final = np.arange(0.04, 1.3, 0.045)  # finer than half the nose's width
OCCLUSION_MARGIN: Final = 0.012  # a landmark lies on the surface: its own neighbourhood must not hide it


def cross(first: Array, second: Array) -> Array:
    """Return the cross products (..., 3); several times faster than numpy.cross on small arrays."""
    product = np.empty(first.shape)
    for axis in range(3):
        y, z = (axis + 1) % 3, (axis + 2) % 3
        product[..., axis] = first[..., y] * second[..., z] - first[..., z] * second[..., y]
    return product


@dataclass(frozen=True)
class Shape:
    """Geometry of one identity; a factor of 1 is average, lengths are in units, angles in radians."""

    width: float
    jaw: float
    depth: float
    height_knots: Array  # y of HEIGHT_KNOTS at rest
    nose_height: float
    nose_width: float
    eye_theta: float
    eye_half_width: float
    eye_half_height: float
    eye_cant: float
    brow_v: float
    brow_thickness: float
    brow_arch: float
    mouth_half_width: float
    upper_lip: float
    lower_lip: float


@dataclass(frozen=True)
class Expression:
    """What a face does in one image. Pairs are (left, right)."""

    mouth_open: float  # how far the jaw drops, units
    smile: float  # -1 frown .. 1 smile
    brow_raise: tuple[float, float]
    eye_open: tuple[float, float]  # 0 closed .. 1 at rest
    gaze: tuple[float, float]  # -1 .. 1, image right and down


@dataclass(frozen=True)
class Camera:
    """Pose and perspective: `project` gives pixels (first pixel centre = 0) and depth (larger = nearer)."""

    rotation: Array  # (3, 3), head to view
    scale: float  # pixels a unit, at the head's centre
    centre: Array  # (2,), pixel of the head's centre
    distance: float  # of the viewer, units

    def to_view(self, points: Array) -> Array:
        """Return `points` (..., 3) in view coordinates."""
        return points @ self.rotation.T

    def project(self, view: Array) -> tuple[Array, Array]:
        """Return pixels (..., 2), x before y, and depth (...) of points (..., 3) in view coordinates."""
        depth = view[..., 2]
        factor = self.scale * self.distance / (self.distance - depth)
        return self.centre + view[..., :2] * factor[..., None], depth

    def towards_viewer(self, points: Array) -> Array:
        """Return unit vectors (..., 3), in head coordinates, from `points` (..., 3) to the viewer."""
        rays = self.rotation[2] * self.distance - points
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


class Surface:
    """The skin of one face with one expression."""

    def __init__(self, shape: Shape, expression: Expression) -> None:
        jaw = 1 + (shape.jaw - 1) * np.clip((PROFILE_V - 0.2) / 0.6, 0, 1)
        self._half_width = HALF_WIDTH * shape.width * jaw
        self._front = FRONT_DEPTH * shape.depth
        self._back = BACK_DEPTH * shape.depth
        self._heights = shape.height_knots + expression.mouth_open * (HEIGHT_KNOTS > MOUTH_V)
        self._nose_height = NOSE_HEIGHT * shape.nose_height
        self._nose_width = NOSE_WIDTH * shape.nose_width
        self._bumps = BUMPS.copy()
        self._bumps[WING, 0] *= shape.nose_width

    def radius(self, theta: Array, v: Array) -> Array:
        """Return the distance from the vertical axis at (theta, v), which broadcast against each other."""
        half_width = np.interp(v, PROFILE_V, self._half_width)
        cosine = np.cos(theta)
        depth = np.where(
            cosine > 0, np.interp(v, PROFILE_V, self._front), np.interp(v, PROFILE_V, self._back)
        )
        skull = 1 / np.sqrt((np.sin(theta) / half_width) ** 2 + (cosine / depth) ** 2)
        return np.asarray(skull + self._relief(theta, v))

    def points(self, theta: Array, v: Array) -> Array:
        """Return the points (..., 3) of the surface named (theta, v), which broadcast against each other."""
        radius = self.radius(theta, v)
        sine, cosine = np.sin(theta), np.cos(theta)
        y = np.interp(v, HEIGHT_KNOTS, self._heights)
        points = np.empty((*radius.shape, 3))
        points[..., 0] = radius * sine
        points[..., 1] = np.where(y > 0, y * _climb(cosine), y)
        points[..., 2] = radius * cosine
        return points

    def contains(self, points: Array) -> Bools:
        """Return which of `points` (..., 3) lie inside the head, deeper than OCCLUSION_MARGIN."""
        x, y, z = np.moveaxis(points, -1, 0)
        distance = np.hypot(x, z)
        y = np.where(y > 0, y / _climb(z / np.maximum(distance, 1e-9)), y)
        v = np.interp(y, self._heights, HEIGHT_KNOTS)
        return np.asarray(distance < self.radius(np.arctan2(x, z), v) - OCCLUSION_MARGIN)

    def hides(self, points: Array, camera: Camera) -> Bools:
        """Return which of `points` (N, 3) on the surface the head itself hides from the viewer."""
        rays = camera.towards_viewer(points)
        return self.contains(points + OCCLUSION_STEPS[:, None, None] * rays).any(axis=0)

    def _relief(self, theta: Array, v: Array) -> Array:
        centre, spread, centre_v, spread_v, height = self._bumps.T
        across = np.exp(-(((np.abs(theta)[..., None] - centre) / spread) ** 2))
        along = np.exp(-(((v[..., None] - centre_v) / spread_v) ** 2))
        nose = np.exp(-((theta / np.interp(v, NOSE_V, self._nose_width)) ** 2))
        return np.asarray((across * along) @ height + np.interp(v, NOSE_V, self._nose_height) * nose)


def _climb(cosine: Array) -> Array:
    """Return the factor by which heights below the eyes shrink towards the back of the head."""
    return 1 - JAW_CLIMB * (1 - cosine)


@dataclass(frozen=True)
class Contours:
    """Outlines drawn on the skin and the landmarks among them, as (theta, v) names of surface points.

    `polygons` maps a feature to its outline (N, 2); `landmarks` is (15, 2) in the order of LANDMARK_NAMES.
    """

    polygons: dict[str, Array]
    landmarks: Array


def trace_contours(shape: Shape, expression: Expression) -> Contours:
    """Return the outlines of eyes, brows, mouth and nostrils, and the landmarks they define."""
    polygons: dict[str, Array] = {}
    marks: dict[str, Array] = {
        "nose_tip": np.array([0.0, NOSE_TIP_V]),
        "nose_bridge": np.array([0.0, EYE_V]),
        "chin": np.array([0.0, CHIN_V]),
    }
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        _trace_eye(shape, expression, side, name, polygons, marks)
        _trace_brow(shape, expression, side, name, polygons, marks)
        nostril = np.array([side * 0.088 * shape.nose_width, 0.457])
        polygons[f"{name}_nostril"] = nostril + NOSTRIL
    _trace_mouth(shape, expression, polygons, marks)
    return Contours(polygons, np.stack([marks[name] for name in LANDMARK_NAMES]))


def circle(corners: int) -> Array:
    """Return a regular polygon (corners, 2) on the unit circle."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    return np.array([np.cos(angles), np.sin(angles)]).T


NOSTRIL: Final = circle(8) * [0.042, 0.017]
PUPIL_AND_IRIS: Final = np.concatenate(
    [[[0.0, 0.0]], circle(12) * [0.095, 0.078], circle(8) * [0.047, 0.038]]
)


def _curve(theta: Array, v: Array) -> Array:
    """Return a curve (N, 2) of surface points."""
    return np.array([theta, v]).T


def _ring(first: Array, second: Array) -> Array:
    """Return the outline between two curves (N, 2) that run the same way."""
    return np.concatenate([first, second[::-1]])


EYE_S: Final = np.linspace(-1, 1, 9)  # inner to outer corner
LID_ARCH: Final = (1 - EYE_S**2) ** 0.75
BROW_S: Final = np.linspace(-1, 1, 9)
BROW_TAPER: Final = (1 - 0.55 * np.clip(BROW_S, 0, 1)) * (1 - 0.5 * BROW_S**8)
MOUTH_T: Final = np.linspace(-1, 1, 11)  # left to right corner
LIP_ARCH: Final = (1 - MOUTH_T**2) ** 0.6
MIN_GAP_OF_TEETH: Final = 0.03
CUPIDS_BOW: Final = (1 - MOUTH_T**2) ** 0.7 * (1 - 0.22 * np.exp(-((MOUTH_T / 0.16) ** 2)))


def _trace_eye(
    shape: Shape,
    expression: Expression,
    side: int,
    name: str,
    polygons: dict[str, Array],
    marks: dict[str, Array],
) -> None:
    opened = expression.eye_open[(side + 1) // 2]
    low = 0.55 * shape.eye_half_height
    high = shape.eye_half_height * opened - low * max(0.0, 1 - opened)
    theta = side * (shape.eye_theta + EYE_S * shape.eye_half_width)
    axis = EYE_V - shape.eye_cant * EYE_S
    lid = _curve(theta, axis - high * LID_ARCH)
    lower_lid = _curve(theta, axis + low * (1 - EYE_S**2))
    polygons[f"{name}_socket"] = _ring(lid - [0, 0.045], lower_lid + [0, 0.02])
    polygons[f"{name}_white"] = _ring(lid, lower_lid)
    polygons[f"{name}_lash"] = _ring(lid - [0, 0.024], lid + [0, 0.004])

    looking = (side * shape.eye_theta + 0.06 * expression.gaze[0], EYE_V + 0.015 * expression.gaze[1] - 0.01)
    outline = _between_lids(PUPIL_AND_IRIS + looking, lid[::side], lower_lid[::side])
    polygons[f"{name}_iris"], polygons[f"{name}_pupil"] = outline[1:13], outline[13:]
    marks[f"{name}_eye"] = outline[0]
    marks[f"{name}_eye_inner"], marks[f"{name}_eye_outer"] = lid[0], lid[-1]


def _between_lids(outline: Array, upper: Array, lower: Array) -> Array:
    """Return `outline` (N, 2) squeezed between two lids (M, 2) that run from left to right."""
    theta = np.clip(outline[:, 0], upper[0, 0], upper[-1, 0])
    top, bottom = np.interp(theta, *upper.T), np.interp(theta, *lower.T)
    return _curve(theta, np.clip(outline[:, 1], top, bottom))


def _trace_brow(
    shape: Shape,
    expression: Expression,
    side: int,
    name: str,
    polygons: dict[str, Array],
    marks: dict[str, Array],
) -> None:
    theta = side * (shape.eye_theta + 0.02 + BROW_S * shape.eye_half_width * 1.3)
    middle = (
        shape.brow_v - expression.brow_raise[(side + 1) // 2] - shape.brow_arch * (1 - (BROW_S - 0.25) ** 2)
    )
    half = shape.brow_thickness * BROW_TAPER
    upper, lower = _curve(theta, middle - half), _curve(theta, middle + half)
    polygons[f"{name}_brow"] = _ring(upper, lower)
    marks[f"{name}_brow"] = (upper[4] + lower[4]) / 2


def _trace_mouth(
    shape: Shape, expression: Expression, polygons: dict[str, Array], marks: dict[str, Array]
) -> None:
    half_width = shape.mouth_half_width * (1 + 0.18 * expression.smile - 0.6 * expression.mouth_open)
    theta = MOUTH_T * half_width
    line = MOUTH_V + expression.smile * 0.05 * (0.4 - MOUTH_T**2)
    stretch = 1 + expression.mouth_open / (HEIGHT_KNOTS[4] - HEIGHT_KNOTS[3])  # of heights under the mouth
    gap = 0.8 * expression.mouth_open / stretch
    top, upper = _curve(theta, line - shape.upper_lip * CUPIDS_BOW), _curve(theta, line)
    lower = _curve(theta, line + gap * LIP_ARCH)
    bottom = _curve(theta, line + (gap + shape.lower_lip) * LIP_ARCH)
    polygons["upper_lip"], polygons["lower_lip"] = _ring(top, upper), _ring(lower, bottom)
    polygons["mouth"] = _ring(upper - [0, 0.006], lower + [0, 0.008])
    if gap > MIN_GAP_OF_TEETH:
        teeth = _curve(theta, line + min(0.55 * gap, 0.055) * (1 - MOUTH_T**2))
        polygons["teeth"] = _ring(upper, teeth)
    marks["left_mouth"], marks["right_mouth"] = upper[0], upper[-1]
    marks["upper_lip"], marks["lower_lip"] = top[5], bottom[5]


def sample_shape(rng: np.random.Generator) -> Shape:
    """Return the geometry of one identity."""
    lengths = np.diff(HEIGHT_KNOTS) * rng.uniform(
        [0.94, 0.88, 0.85, 0.88, 1.0], [1.08, 1.12, 1.18, 1.14, 1.0]
    )
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


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Return the (3, 3) rotation of a head; radians; positive turns it to image right, down, clockwise."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y)


MIN_EYE_DISTANCE: Final = 11.0  # pixels at a size of 96: errors are divided by it
MAX_ANGLES: Final = np.deg2rad([50.0, 20.0, 20.0])  # yaw, pitch, roll
MAX_SHIFT: Final = 5.0  # pixels at a size of 96
SCALES: Final = (28.0, 38.0)  # pixels a unit at a size of 96
FACE_CENTRE: Final = np.array(
    [0.0, 8.0]
)  # pixels at a size of 96 from the image's centre to the middle of a face
FOLLOW_SHARE: Final = 0.9  # 0: the head is in the middle, 1: the face is, as a face detector would crop
BORDER: Final = 4.0  # pixels at a size of 96 that landmarks keep from the border of the image
CUT_SHARE: Final = 0.015  # images in which the face may leave the image


def sample_camera(rng: np.random.Generator, landmarks: Array, size: int) -> Camera:
    """Return a camera for `landmarks` (15, 3), in head coordinates, and a square image of `size` pixels."""
    unit = size / 96
    yaw, pitch, roll = rng.normal(0, MAX_ANGLES / [4, 2, 2])
    if rng.random() < 0.55:
        yaw = rng.uniform(-MAX_ANGLES[0], MAX_ANGLES[0])
    turn = rotation(*np.clip([yaw, pitch, roll], -MAX_ANGLES, MAX_ANGLES))
    distance = rng.uniform(6, 14)
    scale = unit * rng.uniform(*SCALES)
    pixels, _ = Camera(turn, scale, np.zeros(2), distance).project(landmarks @ turn.T)
    enlarge = max(1.0, unit * MIN_EYE_DISTANCE / float(np.linalg.norm(pixels[EYES[1]] - pixels[EYES[0]])))
    middle = FOLLOW_SHARE * enlarge * pixels.mean(axis=0)
    centre = (size - 1) / 2 + unit * (FACE_CENTRE + rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2)) - middle
    if rng.random() < CUT_SHARE:
        centre += unit * 1.5 * rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2)
    else:
        lowest = unit * BORDER - enlarge * pixels.min(axis=0)
        highest = size - 1 - unit * BORDER - enlarge * pixels.max(axis=0)
        centre = np.minimum(np.maximum(centre, lowest), highest)
    return Camera(turn, scale * enlarge, centre, distance)


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


def _between(colours: Array, position: float) -> Array:
    """Return the colour (3,) at a fractional `position` in the list `colours` (N, 3)."""
    lower = min(int(position), len(colours) - 2)
    return np.asarray(colours[lower] + (position - lower) * (colours[lower + 1] - colours[lower]))
