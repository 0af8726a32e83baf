"""300-W: boxes, the papers' crop, and the real faces against an independent parse."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from small_face_trees import (
    face_68,
    ids_of,
    pts_text,
    w300_tree,
)

from lmbench.data.schema import Incomplete, column
from lmbench.datasets.w300 import loader as w300
from lmbench.errors import DataError
from lmbench.plugins.loading import get_plugins

Splits = dict[str, datasets.Dataset]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LMBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def reference_canvas(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """DVE's crop of one face in float64, step by step: (68, 2) points of the 96x96 image from points counted from one."""
    xmin, ymin, xmax, ymax = box
    width, height = xmax - xmin + 1, ymax - ymin + 1
    factor = 52 / width
    centre_x, centre_y = np.floor(factor * (xmin + (width + 1) / 2)), np.floor(factor * (ymin + (height + 1) / 2))
    left, top = centre_x - 26 + 1, centre_y - 26 + 1
    left, top = left - 24, top - 26
    canvas = points * factor - np.array([left - 1, top - 1]) - 1
    return canvas * 136 / 100 - 20


def test_300w_landmarks_move_exactly_as_in_the_reference_code(tmp_path: Path, pixels: Any) -> None:
    made = w300_tree(tmp_path)
    splits = w300.load(tmp_path / "300w")
    assert {s: len(d) for s, d in splits.items()} == {"train": 6, "test": 6}
    assert [i.split("/")[0] for i in ids_of(splits["train"])] == ["afw", "afw", "helen", "helen", "lfpw", "lfpw"]
    assert ids_of(splits["train"])[:2] == ["afw/image_02.jpg", "afw/image_01.jpg"]  # the order of the .mat
    for dataset in splits.values():
        expected = np.stack([reference_canvas(*made[i]) for i in ids_of(dataset)])
        np.testing.assert_allclose(pixels("300w", dataset).landmarks, expected, atol=1e-3)
        raw = np.stack([made[i][0] for i in ids_of(dataset)])
        np.testing.assert_allclose(column(dataset, "landmarks"), raw - 1, atol=1e-4)
        assert dataset.info.description == ""


def test_without_its_mat_a_face_box_is_the_extent_of_the_landmarks_and_the_split_says_so(
    tmp_path: Path, pixels: Any
) -> None:
    made = w300_tree(tmp_path, boxes=False)
    test = w300.load(tmp_path / "300w")["test"]
    extents = {i: np.concatenate([p.min(0), p.max(0)]) for i, (p, _) in made.items()}
    expected = np.stack([reference_canvas(made[i][0], extents[i]) for i in ids_of(test)])
    np.testing.assert_allclose(pixels("300w", test).landmarks, expected, atol=1e-3)
    assert test.info.description.endswith("for want of their .mat: helen_testset, lfpw_testset, ibug")


def test_a_face_stands_where_its_landmarks_say_on_the_canvas(tmp_path: Path, pixels: Any) -> None:
    """A white spot at landmark 30 of a black picture is found there, up to half a pixel of the source and one of 96."""
    made = w300_tree(tmp_path)
    path = tmp_path / "300w" / "ibug" / "image_51.jpg"
    points = made["ibug/image_51.jpg"][0] - 1
    yy, xx = np.mgrid[:260, :220]
    spot = 255 * np.exp(-((xx - points[30, 0]) ** 2 + (yy - points[30, 1]) ** 2) / (2 * 3.0**2))
    Image.fromarray(spot.astype(np.uint8)).convert("RGB").save(path, quality=98)
    test = w300.load(tmp_path / "300w")["test"]
    row = ids_of(test).index("ibug/image_51.jpg")
    store = pixels("300w", test)
    weight = store.images[row, :, :, 0].astype(np.float64) * (store.images[row, :, :, 0] > 40)
    found = [(weight.sum(axis) * np.arange(96)).sum() / weight.sum() for axis in (0, 1)]
    assert np.abs(np.array(found) - store.landmarks[row, 30]).max() < 1


def test_parts_of_300w_that_are_missing_are_named_and_the_rest_is_at_hand(tmp_path: Path) -> None:
    w300_tree(tmp_path, boxes=False)
    for file in (tmp_path / "300w" / "ibug").iterdir():
        file.unlink()
    (tmp_path / "300w" / "ibug").rmdir()
    with pytest.raises(Incomplete, match="ibug is missing under") as caught:
        w300.load(tmp_path / "300w")
    assert {s: len(d) for s, d in caught.value.splits.items()} == {"train": 6, "test": 4}


def test_an_image_that_the_mat_lists_but_is_not_there_is_named(tmp_path: Path) -> None:
    w300_tree(tmp_path)
    (tmp_path / "300w" / "afw" / "image_01.jpg").rename(tmp_path / "300w" / "afw" / "other.jpg")
    with pytest.raises(Incomplete, match=r"1 of 12 files are missing .*\(first: afw/image_01\.jpg\)\. Beside them lie"):
        w300.load(tmp_path / "300w")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (pts_text(face_68(0)[:36]), "n_points says 36|68 points are expected, found 36"),
        (pts_text(face_68(0)).replace("}", ""), "points are expected between braces"),
        (pts_text(face_68(0)).replace(".", ",", 5), "is no number"),
        ("", "points are expected between braces"),
        (None, r"afw/image_01\.pts is missing"),
        (pts_text(np.full((68, 2), np.nan)), "1 images have NaN or infinite landmarks"),
    ],
)
def test_a_pts_file_without_its_68_points_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    w300_tree(tmp_path)
    path = tmp_path / "300w" / "afw" / "image_01.pts"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=said):
        w300.load(tmp_path / "300w")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"boxes": np.zeros(4)}, "has no bounding_boxes; it holds boxes"),
        ({"bounding_boxes": np.zeros((1, 4))}, "entries with imgName and bb_ground_truth are expected"),
        ({"bounding_boxes": {"imgName": "a.jpg", "bb_ground_truth": [5, 5, 5, 9]}}, "a.jpg has the box"),
        ({"bounding_boxes": {"imgName": "a.jpg", "bb_ground_truth": [5, 5, 9]}}, "a.jpg has the box"),
    ],
)
def test_bounding_boxes_of_another_kind_are_refused(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    w300_tree(tmp_path)
    savemat(tmp_path / "300w" / "Bounding Boxes" / "bounding_boxes_afw.mat", content)
    with pytest.raises(DataError, match=said):
        w300.load(tmp_path / "300w")


def test_every_real_landmark_of_300w_agrees_with_an_independent_parse(test_data: Path, pixels: Any) -> None:
    with pytest.raises(Incomplete, match="lfpw/trainset, lfpw/testset, ibug is missing") as caught:
        w300.load(test_data / "300w")
    splits = caught.value.splits
    assert {s: len(d) for s, d in splits.items()} == {"train": 22, "test": 8}
    for dataset in splits.values():
        raw = []
        for name in ids_of(dataset):
            text = (test_data / "300w" / name).with_suffix(".pts").read_text()
            pairs = re.findall(r"^\s*(-?[\d.]+)\s+(-?[\d.]+)\s*$", text, re.MULTILINE)
            raw.append([[float(x), float(y)] for x, y in pairs])
        points = np.array(raw)
        assert points.shape[1:] == (68, 2)
        np.testing.assert_allclose(column(dataset, "landmarks"), points - 1, atol=1e-3)
        expected = np.stack([reference_canvas(p, np.concatenate([p.min(0), p.max(0)])) for p in points])
        moved = pixels("300w", dataset).landmarks
        np.testing.assert_allclose(moved, expected, atol=2e-3)
        np.testing.assert_allclose(np.ptp(moved[..., 0], axis=1).mean(), 52 * 1.36, atol=1)


def test_mirroring_68_landmarks_is_symmetric_on_real_faces(test_data: Path) -> None:
    """On the mean face, each landmark and its partner are mirror images of each other, up to a few percent."""
    spec = get_plugins().find("dataset", "300w").spec
    with pytest.raises(Incomplete) as caught:
        w300.load(test_data / "300w")
    points = column(caught.value.splits["train"], "landmarks").astype(np.float64)
    centred = points - points.mean(1, keepdims=True)
    mean = (centred / np.abs(centred).max((1, 2), keepdims=True)).mean(0)
    swapped = mean.copy()
    for left, right in spec.swap_pairs:
        swapped[[left, right]] = mean[[right, left]]
        assert mean[left, 0] < mean[right, 0]
    assert np.abs(swapped * [-1, 1] - mean).max() < 0.16
    assert spec.landmark_names[36] == "left_eye_0" and spec.landmark_names[45] == "right_eye_3"


# --- Extended Yale B ---
