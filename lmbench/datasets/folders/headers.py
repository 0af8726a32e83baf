"""What the columns of a table are, by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lmbench.datasets.folders.samples import composed, folded_name

IMAGE = ("image", "filename", "file_name", "file", "image_name", "image_path", "image_file", "img", "path", "image_id")
"""The column that names the image: the first of these that is there, in any case of letters."""
SIZE = (("width", "height"), ("image_width", "image_height"), ("img_width", "img_height"))
OWN_BOX = ("box_left", "box_top", "box_width", "box_height")
ENDS = {
    "visible": ("visible", "visibility", "vis", "v"),
    "width": ("w", "width"),
    "height": ("h", "height"),
}
LIKE_A_BOX = re.compile(
    r"b?box|bounding_?box|bnd_?box|rect|rectangle|roi|crop|(top|bottom|upper|lower)_?(left|right)|"
    r"(b?box|rect|roi|crop)_(min|max|center|centre|start|end|tl|br|top_left|bottom_right)"
)


@dataclass
class Columns:
    """Places of the columns: ``points`` by landmark, ``box`` with what its four numbers are; -1 where there is none."""

    image: int = -1
    points: dict[str, tuple[int, int]] = field(default_factory=dict)
    visible: dict[str, int] = field(default_factory=dict)
    box: tuple[int, int, int, int] | None = None
    corners: bool = False
    size: tuple[int, int] | None = None
    split: int = -1
    id: int = -1
    unused: list[int] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    """Names of columns that have an x but no y, or the other way about."""


def columns_of(header: list[str]) -> Columns:
    """The columns of a header; the names of landmarks keep their letters."""
    plain = [folded_name(cell) for cell in header]
    found = Columns()
    place = {name: i for i, name in reversed(list(enumerate(plain)))}
    found.image = next((place[name] for name in IMAGE if name in place), -1)
    found.split, found.id = place.get("split", -1), place.get("id", -1)
    axes: dict[str, dict[str, int]] = {}
    for i, cell in enumerate(header):
        name, axis = _axis(cell)
        if name:
            axes.setdefault(name, {}).setdefault(axis, i)
    used = {found.image, found.split, found.id}
    pairs = {name: (at["x"], at["y"]) for name, at in axes.items() if len(at) == 2}
    found.half = [header[i] for at in axes.values() if len(at) == 1 for i in at.values() if _ends_in_axis(header[i])]
    _find_box(found, place, pairs)
    found.points = {name: at for name, at in pairs.items() if not found.box or set(at).isdisjoint(found.box)}
    used |= {i for at in found.points.values() for i in at} | set(found.box or ())
    for name in found.points:
        folded = folded_name(name)
        wanted = [form for end in ENDS["visible"] for form in (f"{folded}_{end}", f"{end}_{folded}")]
        at = next((place[form] for form in wanted if form in place and place[form] not in used), -1)
        if folded and at >= 0:
            found.visible[name] = at
            used.add(at)
    sizes = [(place[w], place[h]) for w, h in SIZE if w in place and h in place]
    if sizes and used.isdisjoint(sizes[0]):
        found.size = sizes[0]
        used |= set(sizes[0])
    found.unused = [i for i in range(len(header)) if i not in used and header[i].strip()]
    return found


def _axis(cell: str) -> tuple[str, str]:
    """Landmark and axis of ``nose_x``, ``nose.X``, ``nose x``, ``x_nose`` and ``x1``; two empty words for another column."""
    text = composed(cell.strip())
    match = re.fullmatch(r"(.+?)[ _.:\-]+([xyXY])", text)
    if match:
        return match[1], match[2].lower()
    match = re.fullmatch(r"([xyXY])[ _.:\-]+(.+)", text) or re.fullmatch(r"([xyXY])(\d+)", text)
    return (match[2], match[1].lower()) if match else ("", "")


def _ends_in_axis(cell: str) -> bool:
    return re.search(r"[_.][xyXY]$", cell.strip()) is not None


def _find_box(found: Columns, place: dict[str, int], pairs: dict[str, tuple[int, int]]) -> None:
    """The first box that the header names: lmbench's own columns, X_x, X_y, X_w, X_h, or four corners."""

    def at(*names: str) -> tuple[int, int, int, int] | None:
        places = [place[name] for name in names if name in place]
        return (places[0], places[1], places[2], places[3]) if len(places) == len(names) == 4 else None

    found.box = at(*OWN_BOX)
    for name in ("", *(folded_name(n) for n in pairs)):
        head = f"{name}_" if name else ""
        for width in ENDS["width"]:
            for height in ENDS["height"]:
                found.box = found.box or at(f"{head}x", f"{head}y", head + width, head + height)
    for head in ("", "bbox_", "box_", "face_"):
        corners = at(*(head + c for c in ("xmin", "ymin", "xmax", "ymax")))
        corners = corners or at(*(head + c for c in ("x_min", "y_min", "x_max", "y_max")))
        corners = corners or (at(*(head + c for c in ("x1", "y1", "x2", "y2"))) if head else None)
        if corners and not found.box:
            found.box, found.corners = corners, True


def box_named(names: list[str], header: list[str]) -> list[str]:
    """Landmarks that are called like a box, or a corner or the centre of one."""
    cells = {folded_name(cell) for cell in header}
    corners = {"x1", "y1", "x2", "y2"} <= cells and not {"x3", "y3"} & cells
    like = {"1", "2"} if corners else set()
    like |= {"center", "centre"} if {"width", "height"} <= cells or {"w", "h"} <= cells else set()
    return [name for name in names if LIKE_A_BOX.fullmatch(folded_name(name)) or folded_name(name) in like]
