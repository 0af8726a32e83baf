"""Can landmarks, boxes and sizes be meant as they stand? Asked when a user's folder is read, and by `data verify`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LARGEST = 1e6
"""No image is so large: a coordinate beyond it is damage, whatever is accepted."""
SLACK = 1.0  # pixels that a landmark may lie beyond an edge without a word
UNIT = (-1.0, 2.0)  # parts of the image's size lie between these, those of landmarks beyond its edges too
SAMPLES_OF_A_CORNER = 5
SMALL_IMAGE = 32
PART_OUTSIDE = 0.2
PART_SWAPPED = 0.1
VAST = 3.0  # times the image's longer side
ROOM = 0.25  # by which a box may miss its landmarks on each side, in parts of its longer side

MEANT = {
    "unit": "landmarks, or one of them, within the first two pixels",
    "corner": "all landmarks in the top left quarter of their images",
    "outside": "landmarks beyond the edges of their images",
    "swapped": "landmarks that would fit better with x and y exchanged",
    "box": "boxes that miss their landmarks, or the image",
    "tiny": "objects of one or two pixels",
    "sizes": "images of another size than the annotation says",
}
"""What may be meant all the same, by the word that accepts it."""
OF_SINGLE_SAMPLES = ("outside", "box", "tiny")
"""What one bad sample among thousands is enough for; the rest is of a whole dataset."""


@dataclass(frozen=True)
class Finding:
    """What cannot be meant: the word that accepts it (``""``: nothing does), and what was seen, where, and what to do."""

    word: str
    said: str


@dataclass(frozen=True)
class Labels:
    """What is asked about, a row for each of N samples.

    ``points`` (N, L, 2) pixels from 0, ``visible`` (N, L), ``sizes`` (N, 2) width and height of the image (zero: not
    known), ``boxes`` (N, 4) left, top, width, height (zero width: none), ``stated`` (N, 2) sizes that the annotation says.
    """

    ids: Sequence[str]
    points: np.ndarray
    visible: np.ndarray
    sizes: np.ndarray
    boxes: np.ndarray | None = None
    stated: np.ndarray | None = None

    def several(self, bad: np.ndarray) -> str:
        return f"{int(bad.sum())} of {len(bad)} samples"

    def first(self, bad: np.ndarray) -> tuple[int, str]:
        at = int(bad.argmax())
        return at, self.ids[at]


def implausible(labels: Labels) -> list[Finding]:
    """All findings, the most telling first; empty where the labels can be meant as they stand."""
    if not len(labels.ids):
        return []
    absurd = list(_absurd(labels))
    return absurd or [finding for check in CHECKS for finding in check(labels)]


def _absurd(labels: Labels) -> Iterator[Finding]:
    seen = np.where(labels.visible[..., None], labels.points, 0.0)
    bad = np.asarray(~(np.abs(seen) < LARGEST).all((1, 2)))
    if bad.any():
        at, first = labels.first(bad)
        worst = seen[at][np.nanargmax(np.abs(np.nan_to_num(seen[at], nan=np.inf)).max(1))]
        yield Finding(
            "",
            f"{labels.several(bad)} have a landmark that no image can hold (first: {first}, at {_place(worst)}). Take it out.",
        )
    if labels.boxes is not None:
        bad = ~(np.abs(labels.boxes) < LARGEST).all(1)
        if bad.any():
            yield Finding(
                "", f"{labels.several(bad)} have a box that no image can hold (first: {labels.first(bad)[1]})."
            )


def _all_unit(labels: Labels) -> bool:
    values = labels.points[labels.visible]
    small = len(values) < 2 or labels.sizes.max() < SMALL_IMAGE
    return not small and bool(values.min() >= UNIT[0] and values.max() <= UNIT[1])


def _unit(labels: Labels) -> Iterator[Finding]:
    if _all_unit(labels):
        values = labels.points[labels.visible]
        yield Finding(
            "unit",
            f"all {len(values)} landmarks lie between {values.min():g} and {values.max():g}: parts of the image's size, it "
            "seems, where pixels are expected. Multiply x by the image's width and y by its height.",
        )
        return
    within = ((labels.points >= UNIT[0]) & (labels.points <= UNIT[1])).all(-1)
    bad = (within | ~labels.visible).all(0) & (labels.visible.sum(0) >= SAMPLES_OF_A_CORNER)
    if bad.any() and labels.sizes.max() >= SMALL_IMAGE:
        k = int(bad.argmax())
        at = int(labels.visible[:, k].argmax())
        yield Finding(
            "unit",
            f"landmark number {k} (from 0) lies within the first two pixels of every image that has it (first: "
            f"{labels.ids[at]}, at {_place(labels.points[at, k])}): it is in parts of the image's size, or a placeholder, it "
            "seems. Take it out, or scale it.",
        )


def _swapped(labels: Labels) -> Iterator[Finding]:
    bad = np.asarray((_beyond(labels, labels.points) > SLACK).any(1))
    if bad.sum() < max(2, PART_SWAPPED * len(bad)):
        return
    if not (_beyond(labels, labels.points[..., ::-1]) > SLACK).any():
        at, first = labels.first(bad)
        yield Finding(
            "swapped",
            f"x and y are exchanged, it seems: {labels.several(bad)} have a landmark outside their image (first: {first}, "
            f"{_outside(labels, at)}), and none would have with y before x.",
        )


def _outside(labels: Labels, at: int) -> str:
    """One landmark of a sample that lies outside, and how large the image is."""
    k = int(_beyond(labels, labels.points)[at].argmax())
    width, height = labels.sizes[at]
    return f"{_place(labels.points[at, k])} in an image of {width:g}x{height:g}"


def _off_the_image(labels: Labels) -> Iterator[Finding]:
    if next(_swapped(labels), None) or _all_unit(labels):
        return
    beyond = _beyond(labels, labels.points)
    out = beyond > SLACK
    mostly = 2 * out.sum(1) > labels.visible.sum(1)
    far = (beyond > labels.sizes.max(1, keepdims=True)).any(1) & (labels.sizes.max(1) > 0)
    bad, what = (
        (mostly, "most of their landmarks outside their image")
        if mostly.any()
        else (far, "a landmark far outside their image")
    )
    if not bad.any() and out.sum() > PART_OUTSIDE * labels.visible.sum():
        bad, what = out.any(1), "landmarks outside their image, a fifth of all"
    if bad.any():
        at, first = labels.first(bad)
        yield Finding(
            "outside",
            f"{labels.several(bad)} have {what} (first: {first}, {_outside(labels, at)}). Are these labels of other "
            "images, or of images of another size?",
        )


def _corner(labels: Labels) -> Iterator[Finding]:
    known = labels.sizes.min(1) >= SMALL_IMAGE
    if known.sum() < SAMPLES_OF_A_CORNER or not known.all() or _all_unit(labels):
        return
    parts = ((labels.points + 0.5) / labels.sizes[:, None])[labels.visible]
    if len(parts) and parts.max() < 0.5:
        furthest = np.asarray(labels.points[labels.visible].max(0))
        percent = " They may be percents, as Label Studio writes them." if furthest.max() <= 100 else ""
        yield Finding(
            "corner",
            f"all landmarks of all {len(known)} samples lie in the top left quarter of their images (none beyond "
            f"{_place(furthest)}): labels of smaller copies, it seems.{percent} Scale them to the images.",
        )


def _boxes(labels: Labels) -> Iterator[Finding]:
    if labels.boxes is None or not (labels.boxes[:, 2] > 0).any():
        return
    left, top, width, height = labels.boxes.T
    there = width > 0
    slim = there & (np.minimum(width, height) <= 2) & (labels.sizes.max(1) >= SMALL_IMAGE)
    if slim.any():
        at, first = labels.first(slim)
        yield Finding(
            "box", f"{labels.several(slim)} have a box of {width[at]:g}x{height[at]:g} pixels (first: {first})."
        )
        return
    vast = there & (np.maximum(width, height) > VAST * labels.sizes.max(1)) & (labels.sizes.max(1) > 0)
    if vast.any():
        at, first = labels.first(vast)
        yield Finding(
            "box",
            f"{labels.several(vast)} have a box far larger than their image (first: {first}, {_box(labels, at)}).",
        )
        return
    ends = np.stack([width - left, height - top], 1)  # what is left where width and height are right and bottom
    too_large = there & (np.stack([left + width, top + height], 1) > labels.sizes * 1.02 + 1).any(1)
    corners = np.asarray((ends > 0).all(1) & (np.stack([width, height], 1) <= labels.sizes + 1).all(1))
    squares = np.array_equal(width[there], height[there])  # frames, cut by lmbench, may leave the image
    if 2 * too_large.sum() > there.sum() and corners[there].all() and not squares:
        at, first = labels.first(too_large)
        yield Finding(
            "box",
            f"{labels.several(too_large)} have a box that reaches beyond its image (first: {first}, {_box(labels, at)}): "
            "right and bottom stand where width and height are expected, it seems.",
        )
        return
    room = ROOM * np.maximum(width, height)
    low = labels.boxes[:, :2] - room[:, None]
    high = labels.boxes[:, :2] + labels.boxes[:, 2:] + room[:, None]
    missed = np.asarray(labels.visible & ((labels.points < low[:, None]) | (labels.points > high[:, None])).any(-1))
    bad = there & (2 * missed.sum(1) > labels.visible.sum(1))
    if bad.any():
        at, first = labels.first(bad)
        yield Finding(
            "box",
            f"{labels.several(bad)} have a box that most of their landmarks lie outside of (first: {first}, "
            f"{_box(labels, at)}, a landmark at {_place(labels.points[at, int(missed[at].argmax())])}).",
        )


def _box(labels: Labels, at: int) -> str:
    assert labels.boxes is not None
    left, top, width, height = labels.boxes[at]
    return f"left {left:g}, top {top:g}, width {width:g}, height {height:g}"


def _tiny(labels: Labels) -> Iterator[Finding]:
    if _all_unit(labels):
        return
    low = np.where(labels.visible[..., None], labels.points, np.inf).min(1)
    high = np.where(labels.visible[..., None], labels.points, -np.inf).max(1)
    several = (labels.visible.sum(1) > 1) & (labels.sizes.max(1) >= SMALL_IMAGE)
    bad = several & ((high - low).max(1) <= 1)
    if bad.any():
        at, first = labels.first(bad)
        yield Finding(
            "tiny",
            f"all landmarks of {labels.several(bad)} lie within one pixel (first: {first}, at {_place(low[at])}): no object "
            "is so small.",
        )


def _sizes(labels: Labels) -> Iterator[Finding]:
    if labels.stated is None:
        return
    known = (labels.stated > 0).all(1) & (labels.sizes > 0).all(1)
    same = (labels.stated == labels.sizes).all(1) | (labels.stated[:, ::-1] == labels.sizes).all(1)  # a turned photo
    bad = known & ~same
    if bad.any():
        at, first = labels.first(bad)
        said, true = (f"{s[at][0]:g}x{s[at][1]:g}" for s in (labels.stated, labels.sizes))
        yield Finding(
            "sizes",
            f"{labels.several(bad)} have images of another size than the annotation says (first: {first}, {said} there, "
            f"{true} in the file). Put the images there that were annotated, or scale the labels.",
        )


CHECKS: tuple[Callable[[Labels], Iterator[Finding]], ...] = (
    _unit, _sizes, _swapped, _off_the_image, _corner, _boxes, _tiny,
)  # fmt: skip


def _beyond(labels: Labels, points: np.ndarray) -> np.ndarray:
    """(N, L) pixels by which a visible landmark lies outside its image, 0 for those inside."""
    over = np.maximum(-points, points - (labels.sizes[:, None] - 1)).max(-1)
    return np.where(labels.visible & (labels.sizes[:, None, 0] > 0), np.maximum(over, 0.0), 0.0)


def _place(point: np.ndarray) -> str:
    return f"({point[0]:.6g}, {point[1]:.6g})"
