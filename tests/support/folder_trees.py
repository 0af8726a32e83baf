"""Small folders of labelled images in each of the five formats, as tests make them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from small_trees import write_image

from lmbench.data.opening import open_dataset
from lmbench.data.schema import column

NAMES = ("left_eye", "right_eye", "nose")
Tree = Callable[[Path], np.ndarray]


def points(count: int = 10) -> np.ndarray:
    """(count, 3, 2) landmarks inside 60x50 images, all different."""
    face = np.array([[20.0, 15.5], [40.0, 16.0], [30.25, 33.0]])
    return face + np.arange(count)[:, None, None] * 0.5


def photos(folder: Path, count: int = 10) -> list[str]:
    return [write_image(folder / f"{i:02}.png", (60, 50), seed=i).name for i in range(count)]


def coco(names: list[str], labels: np.ndarray, **changes: Any) -> dict[str, Any]:
    """A COCO file with one object an image; the nose of the second image has v = 0, that of the third v = 1."""
    seen = np.full(labels.shape[:2], 2)
    seen[1, 2], seen[2, 2] = 0, 1
    keypoints = np.concatenate([labels, seen[..., None]], axis=2)
    return {
        "images": [{"id": i, "file_name": n, "width": 60, "height": 50} for i, n in enumerate(names)],
        "annotations": [
            {"id": 100 + i, "image_id": i, "category_id": 1, "bbox": [10, 8, 40, 30], "keypoints": k.ravel().tolist()}
            for i, k in enumerate(keypoints)
        ],
        "categories": [{"id": 1, "name": "Face", "keypoints": list(NAMES)}],
        **changes,
    }


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def coco_tree(root: Path) -> np.ndarray:
    """As COCO is unpacked: images and annotations in folders of their own."""
    write_json(root / "annotations" / "keypoints.json", coco(photos(root / "pictures"), points()))
    return points()


def dlc_tree(root: Path) -> np.ndarray:
    """Three header rows, and an empty cell for the second nose."""
    photos(root / "labeled-data" / "video")
    lines = ["scorer" + ",me" * 6, "bodyparts," + ",".join(n for n in NAMES for _ in "xy"), "coords" + ",x,y" * 3]
    for i, face in enumerate(points()):
        cells = [f"{v}" for v in face.ravel()]
        if i == 1:
            cells[4:] = ["", ""]
        lines.append(",".join([f"labeled-data\\video\\{i:02}.png", *cells]))
    (root / "labeled-data" / "video" / "CollectedData_me.csv").write_text("\n".join(lines) + "\n")
    return points()


def imglab_tree(root: Path) -> np.ndarray:
    """The second box lacks its nose."""
    images = []
    for i, (name, face) in enumerate(zip(photos(root), points(), strict=True)):
        parts = [f"<part name='{n}' x='{x}' y='{y}'/>" for n, (x, y) in zip(NAMES, face, strict=True)]
        kept = "".join(parts[: 2 if i == 1 else 3])
        images.append(f"<image file='{name}'><box top='8' left='10' width='40' height='30'>{kept}</box></image>")
    text = f"<?xml version='1.0'?>\n<dataset>\n<images>\n{chr(10).join(images)}\n</images>\n</dataset>"
    (root / "faces.xml").write_text(text)
    return points()


def pts_tree(root: Path) -> np.ndarray:
    """Pixels counted from one."""
    for name, face in zip(photos(root), points(), strict=True):
        rows = "\n".join(f"{x} {y}" for x, y in face + 1)
        (root / name).with_suffix(".pts").write_text(f"version: 1\nn_points:  3\n{{\n{rows}\n}}\n")
    return points()


def csv_text(delimiter: str = ",", **columns: list[str]) -> str:
    header = ["image", *(n + end for n in NAMES for end in ("_x", "_y")), *columns]
    rows = [header]
    for i, face in enumerate(points()):
        cells = [f"{v}" for v in face.ravel()]
        if i == 1:
            cells[4:] = ["", ""]
        rows.append([f"{i:02}.png", *cells, *(c[i] for c in columns.values())])
    return "\n".join(delimiter.join(r) for r in rows) + "\n"


def csv_tree(root: Path) -> np.ndarray:
    photos(root)
    (root / "labels.csv").write_text(csv_text())
    return points()


TREES: dict[str, Tree] = {
    "coco": coco_tree, "deeplabcut": dlc_tree, "imglab": imglab_tree, "pts": pts_tree, "csv": csv_tree,
}  # fmt: skip


def rows_of(name: str) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """``{file name: (landmarks, visible, box)}`` over all splits."""
    found = {}
    for dataset in open_dataset(name).splits.values():
        values = zip(*(column(dataset, c) for c in ("source_id", "landmarks", "visible", "box")), strict=True)
        found |= {Path(i).name: (p, v, b) for i, p, v, b in values}
    return found
