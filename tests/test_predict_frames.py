"""`lmbench predict` sees what the run saw: on the run's test images it gives the predictions that the run kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from folder_trees import coco_tree, csv_tree
from other_trees import bbc_tree, cat_tree, cub_tree, lspet_tree, there
from PIL import Image
from predicting import Boxes, predicted, table_of
from small_face_trees import celeba_full_tree, w300_tree
from small_runs import pixels_run, recorded

from lmbench.data.boxes import frames_of, made_of
from lmbench.data.opening import open_dataset
from lmbench.data.schema import column
from lmbench.datasets.bbcpose import loader as bbcpose
from lmbench.datasets.mafl import loader as mafl
from lmbench.datasets.w300 import loader as w300
from lmbench.heads.base import TensorInputs
from lmbench.metrics.base import Predictions
from lmbench.plugins.loading import get_plugins
from lmbench.results.run import Run


def stored(run: Path, root: Path | None = None) -> dict[str, np.ndarray]:
    """The predictions that a run kept of its test images by id, in pixels of the source images; by the convention's words:
    p' = (p + half - origin of the box) * resize / side - half - crop, half a pixel where centres are kept."""
    record = json.loads((run / "record.json").read_text())
    dataset = open_dataset(record["dataset"], root)
    steps, test = dataset.spec.preprocessing, dataset.splits["test"]
    kept = Predictions.read(run / "predictions", "regression-nall")
    assert kept is not None
    boxes = dict(zip(column(test, "source_id").tolist(), column(test, "box").astype(float), strict=True))
    images = dict(zip(test["source_id"], (row["path"] for row in test.with_format(None)["image"]), strict=True))
    found = {}
    for i, points in zip(kept.image_ids.tolist(), kept.predicted[0], strict=True):
        left, top, width, height = boxes[i]
        if width == 0:
            with Image.open(images[i]) as image:
                width, height = image.size
        scale, half = np.array([width, height]) / steps.resize, 0.5 * (steps.centres == "kept")
        found[i] = (points + half + steps.crop) * scale - half + [left, top]
    assert len(found) > 1
    return found


def same_as_the_run(capsys, run: Path, folder: Path, *options: str, root: Path | None = None) -> None:
    kept = stored(run, root)
    rows = predicted(capsys, run, *(str(folder / i) for i in kept), *options)
    for row, points in zip(rows, kept.values(), strict=True):
        np.testing.assert_allclose(list(row["landmarks"].values()), points, atol=1e-3)
    spread = np.ptp(np.stack(list(kept.values())), axis=0)
    assert spread.max() > 0.01  # predictions that are all alike would prove nothing


def test_whole_images_of_a_folder_are_read_whole(tmp_path: Path, capsys) -> None:
    coco_tree(tmp_path / "data")
    run = pixels_run(tmp_path / "runs", f"folder:{tmp_path / 'data'}:crop=image")
    same_as_the_run(capsys, run, tmp_path / "data")


def test_a_box_of_the_annotation_is_asked_for_and_gets_the_runs_margin(tmp_path: Path, capsys) -> None:
    coco_tree(tmp_path / "data")
    run = pixels_run(tmp_path / "runs", f"folder:{tmp_path / 'data'}:crop=box:margin=0.2")
    same_as_the_run(capsys, run, tmp_path / "data", "--box", "10,8,40,30")
    kept = stored(run)
    table = table_of(tmp_path / "data" / "boxes.csv", dict.fromkeys(kept, (10, 8, 40, 30)))
    same_as_the_run(capsys, run, tmp_path / "data", "--boxes", str(table))


def test_the_extent_of_the_landmarks_is_asked_for_and_gets_the_runs_margin(tmp_path: Path, capsys) -> None:
    points = csv_tree(tmp_path / "data")
    run = pixels_run(tmp_path / "runs", f"folder:{tmp_path / 'data'}")  # the second image has no nose
    boxes = {f"{i:02}.png": (*p.min(0), *np.ptp(p, axis=0)) for i, p in enumerate(points)}
    (left, top), (right, bottom) = points[1, :2]
    boxes["01.png"] = (left, top, right - left, bottom - top)
    same_as_the_run(capsys, run, tmp_path / "data", "--boxes", str(table_of(tmp_path / "boxes.csv", boxes)))


@pytest.mark.parametrize("name", ["cats", "lspet"])
def test_a_papers_set_cut_around_its_points_is_framed_as_there(tmp_path: Path, capsys, name: str) -> None:
    boxes: Boxes = {}
    if name == "cats":
        for path, p in cat_tree(tmp_path).items():
            boxes[path] = (*p.min(0), *np.ptp(p, axis=0))
        folder = tmp_path / "CAT"
    else:
        folder = tmp_path / "LSPET" / "images"
        for i, joints in enumerate(lspet_tree(tmp_path, count=20).transpose(2, 0, 1), 1):
            p = joints[joints[:, 2] > 0, :2]
            boxes[f"im{i:05}.jpg"] = (*p.min(0), *np.ptp(p, axis=0))
    run = pixels_run(tmp_path / "runs", name, "--data-root", str(tmp_path))
    table = str(table_of(tmp_path / "boxes.csv", boxes))
    same_as_the_run(capsys, run, folder, "--boxes", table, root=tmp_path)


def test_a_papers_set_of_whole_images_is_read_whole(tmp_path: Path, capsys) -> None:
    cub_tree(tmp_path)
    run = pixels_run(tmp_path / "runs", "cub_species:001", "--data-root", str(tmp_path))
    same_as_the_run(capsys, run, tmp_path / "CUB_200_2011" / "images", root=tmp_path)


def test_the_rules_of_the_papers_sets_give_their_boxes(tmp_path: Path) -> None:
    def framing(name: str):
        return get_plugins().find("dataset", name).spec.framing

    made = w300_tree(tmp_path)
    for part in there(w300.load, tmp_path / "300w").values():
        corners = np.stack([made[i][1] for i in column(part, "source_id")])  # from one, both ends counted
        faces = np.c_[corners[:, :2] - 1, corners[:, 2:] - corners[:, :2] + 1]
        np.testing.assert_allclose(frames_of(framing("300w"), faces, faces[:, 2:]), column(part, "box"), rtol=1e-6)
    joints = bbc_tree(tmp_path)
    for part in there(bbcpose.load, tmp_path / "bbcpose").values():
        points = np.stack([joints[int(Path(i).parent.name), int(Path(i).stem)] - 1 for i in column(part, "source_id")])
        rectangles = np.c_[points.min(1), np.ptp(points, axis=1)]
        sizes = np.tile([720, 405], (len(points), 1))
        np.testing.assert_array_equal(frames_of(framing("bbcpose"), rectangles, sizes), column(part, "box"))
    celeba_full_tree(tmp_path)
    (part,) = {d for s, d in there(mafl.load, tmp_path / "celeba").items() if s == "test"}
    assert column(part, "box")[0].tolist() == list(framing("mafl").box) and framing("mafl").image == (178, 218)
    assert framing("mafl_unaligned:1-2").factor == 1.5


def test_every_labelled_dataset_says_how_it_is_framed() -> None:
    specs = [e.spec for e in get_plugins().datasets if e.owner == "lmbench"]
    assert len(specs) > 15
    assert [s.name for s in specs if s.framing is None] == ["folder:*"]  # its members do
    assert all(made_of(s.framing) for s in specs if s.framing)


def test_heads_on_discovered_landmarks_give_the_predictions_of_their_run(capsys, tmp_path: Path) -> None:
    coco_tree(tmp_path / "data")
    arguments = ["run", "--method", "sparse", "--variant", "k10", "--dataset", f"folder:{tmp_path / 'data'}:crop=image"]
    record = recorded([*arguments, "--preset", "smoke", "--runs", str(tmp_path / "runs"), "--device", "cpu"])
    assert record["config"]["regression"]["head"] == "ridge"
    same_as_the_run(capsys, tmp_path / "runs" / record["run"], tmp_path / "data")
    run = Run.open(tmp_path / "runs" / record["run"])
    stored = run.predictions()
    landmarks = torch.full((1, 10, 2), 20.0)
    (alike,) = run.heads().predict(TensorInputs(stored.image_size, landmarks=landmarks))
    assert alike.shape == (1, len(run.landmark_names), 2)
