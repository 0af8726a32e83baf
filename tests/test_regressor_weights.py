"""What a linear head makes of each discovered landmark: the table, the matrix and the landmarks sized by weight."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import safetensors.torch
import torch
from made_heads import ols_head
from PIL import Image

from lmbench.cli.main import run_cli
from lmbench.data.pixels import PixelStore
from lmbench.heads.base import Subset, TensorInputs
from lmbench.plugins.loading import get_plugins
from lmbench.report.pictures import PREDICTED, ZOOM
from lmbench.report.weights import draw_weighted_landmarks, draw_weights, read_weights, write_weights

SIDE, NAMES = 64, ("eye", "nose")


def planted():
    """Discovered landmarks (200, 4, 2), and annotated ones made of them.

    The eye is 0.6 of landmark 2 and 0.2 of landmark 0; the nose is landmark 1 with its coordinates exchanged, doubled.
    """
    found = torch.from_numpy(np.random.default_rng(0).uniform(5, 58, (200, 4, 2)))
    eye = 0.6 * found[:, 2] + 0.2 * found[:, 0]
    nose = 2 * found[:, 1].flip(-1)
    return found, torch.stack([eye, nose], 1)


@pytest.fixture
def head_file(tmp_path):
    """The least squares of the planted landmarks as a run keeps them, of two draws."""
    found, annotated = planted()
    subsets = [Subset(100, 0, torch.arange(100)), Subset(100, 1, torch.arange(100, 200))]
    visible = torch.ones(annotated.shape[:2], dtype=torch.bool)
    fitted = ols_head().fit(TensorInputs(SIDE, landmarks=found), annotated, visible, subsets, torch.Generator())
    path = tmp_path / "regression-n100.safetensors"
    safetensors.torch.save_file(fitted.state(), path)
    return path


def test_planted_weights_are_found_with_their_coordinates(head_file, tmp_path):
    weights = read_weights(head_file, NAMES)
    write_weights(weights, tmp_path / "weights.csv")
    with (tmp_path / "weights.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 4
    shares = {("eye", "2"): 0.75, ("eye", "0"): 0.25, ("nose", "1"): 1.0}
    sizes = {("eye", "2"): 0.6, ("eye", "0"): 0.2, ("nose", "1"): 2.0}
    for row in rows:
        place = row["annotated"], row["discovered"]
        assert float(row["share"]) == pytest.approx(shares.get(place, 0), abs=1e-6)
        assert float(row["norm"]) == pytest.approx(sizes.get(place, 0) * 2**0.5, abs=1e-6)
        straight = float(row["x_to_x"]), float(row["y_to_y"])
        crossed = float(row["x_to_y"]), float(row["y_to_x"])
        expected = sizes.get(place, 0)
        swapped = place[0] == "nose"
        assert crossed == pytest.approx((expected, expected) if swapped else (0, 0), abs=1e-6)
        assert straight == pytest.approx((0, 0) if swapped else (expected, expected), abs=1e-6)
    assert [row["draw"] for row in rows] == ["0"] * 8 + ["1"] * 8


def test_what_a_column_says_is_what_moving_the_landmark_does(tmp_path):
    found, annotated = planted()
    annotated[:, 0, 0] += 0.3 * found[:, 3, 1]  # y of landmark 3 enters x of the eye
    visible = torch.ones(annotated.shape[:2], dtype=torch.bool)
    every = [Subset("all", 0, torch.arange(200))]
    fitted = ols_head(bias=True).fit(TensorInputs(SIDE, landmarks=found), annotated, visible, every, torch.Generator())
    safetensors.torch.save_file(fitted.state(), tmp_path / "head.safetensors")
    weights = read_weights(tmp_path / "head.safetensors", NAMES)
    moved = found.clone()
    moved[:, 3, 1] += 1
    change = fitted.predict(TensorInputs(SIDE, landmarks=moved)) - fitted.predict(TensorInputs(SIDE, landmarks=found))
    np.testing.assert_allclose(weights.blocks[0, 0, 3, 1], change[0, 0, 0].numpy(), atol=1e-9)
    assert weights.blocks[0, 0, 3, 1] == pytest.approx([0.3, 0], abs=1e-9)


def test_no_weight_at_all_is_no_share(tmp_path):
    safetensors.torch.save_file({"weight": torch.zeros(1, 6, 4)}, tmp_path / "head.safetensors")
    weights = read_weights(tmp_path / "head.safetensors", NAMES)
    assert weights.shares.shape == (1, 2, 3) and not weights.shares.any()


def test_a_head_that_is_no_such_map_has_no_weights(tmp_path):
    safetensors.torch.save_file({"filters": torch.zeros(3, 4)}, tmp_path / "head.safetensors")
    assert read_weights(tmp_path / "head.safetensors", NAMES) is None
    assert read_weights(tmp_path / "not there", NAMES) is None
    safetensors.torch.save_file({"weight": torch.zeros(1, 8, 6)}, tmp_path / "head.safetensors")
    assert read_weights(tmp_path / "head.safetensors", NAMES) is None  # of three landmarks, not of two


def test_landmarks_are_drawn_as_large_as_their_weight(head_file, tmp_path):
    weights = read_weights(head_file, NAMES)
    draw_weights(weights, tmp_path / "matrix.png")
    assert Image.open(tmp_path / "matrix.png").size[0] > 100
    places = np.array([[[10, 10], [50, 10], [10, 50], [50, 50]]], np.float32)
    store = PixelStore(
        np.zeros((1, SIDE, SIDE, 3), np.uint8), np.zeros((1, 2, 2), np.float32), np.zeros((1, 2), bool), np.array([-1]),
        np.array(["a"]), "",
    )  # fmt: skip
    draw_weighted_landmarks(weights, places, store, tmp_path / "landmarks.png")
    picture = np.asarray(Image.open(tmp_path / "landmarks.png").convert("RGB")).astype(int)
    assert picture.shape[:2] == (2 * SIDE * ZOOM, SIDE * ZOOM)
    eye = (picture == PREDICTED.colour).all(-1)[: SIDE * ZOOM]
    half = SIDE * ZOOM // 2
    sizes = [eye[:half, :half].sum(), eye[:half, half:].sum(), eye[half:, :half].sum(), eye[half:, half:].sum()]
    assert sizes[2] > 2 * sizes[0] > 8 * max(sizes[1], sizes[3])


def test_a_run_with_a_head_on_discovered_landmarks_leaves_its_weights(tmp_path, capsys):
    arguments = [
        "run", "--method", "sparse", "--dataset", "synthfaces", "--preset", "smoke", "--tasks", "regression", "--json",
        "--untrained", "--runs", str(tmp_path), "--device", "cpu",
    ]  # fmt: skip
    assert run_cli(arguments) == 0
    record = json.loads(capsys.readouterr().out)
    folder = tmp_path / record["run"]
    with (folder / "regressor_weights.csv").open() as file:
        rows = list(csv.DictReader(file))
    by_name = {}
    for row in rows:
        by_name.setdefault(row["annotated"], []).append(float(row["share"]))
    assert tuple(by_name) == get_plugins().find("dataset", "synthfaces").spec.landmark_names
    assert all(sum(shares) == pytest.approx(1, abs=1e-5) for shares in by_name.values())
    for name in ("regressor_weights.png", "regressor_landmarks.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
